"""Files of trained weights: safetensors that say which network they belong to.

Beside the tensors stand the architecture, the names of the classes and the normalisation: all that
an export or another training needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture, Head
from palmette.space.errors import InputError, expect
from palmette.space.files import write_bytes
from palmette.train.tensors import read_tensors, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palmette.train.device import Normalisation

FORMAT = "palmette/weights@1"


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """Weights of a network, and what belongs to them."""

    architecture: Architecture
    classes: tuple[str, ...]
    normalisation: Normalisation
    tensors: Mapping[str, Tensor]
    about: Mapping[str, Any]
    """Where they come from: top-1, epoch, recipe."""

    def module(self) -> nn.Module:
        """The network with these weights, in evaluation mode."""
        module = self.architecture.build()
        module.load_state_dict(dict(self.tensors))
        return module.eval()

    def for_export(self) -> dict[str, Any]:
        """Module, scale and bias, by the names that an export and its gates take them under."""
        scaling = self.normalisation
        return {"module": self.module(), "scale": scaling.scale, "bias": scaling.bias}


def write_weights(path: Path, weights: TrainedWeights, form: str = FORMAT) -> None:
    """Write a file of weights, atomically; equal weights give equal bytes."""
    info = {
        "format": form,
        "architecture": weights.architecture.to_text(),
        "architecture_id": weights.architecture.id,
        "classes": list(weights.classes),
        "normalisation": asdict(weights.normalisation),
        "about": dict(weights.about),
    }
    write_bytes(path, tensor_bytes(weights.tensors, info))


def read_weights(
    path: Path, architecture: Architecture | None = None, *, form: str = FORMAT
) -> TrainedWeights:
    """Read a file of weights.

    Args:
        path: that `write_weights` wrote.
        architecture: which it must belong to; the number of classes may be another, for a network
            learns those of its data.
        form: format of the file; tensors of another than the usual one are not the architecture's,
            and only whole.

    Raises:
        InputError: no such file, damaged or truncated, of another format or architecture.
    """
    from palmette.train.device import Normalisation

    tensors, info = read_tensors(path, form)
    try:
        found = Architecture.from_text(info["architecture"])
        numbers = info["normalisation"]
        red, green, blue = map(float, numbers["mean"])
        normalisation = Normalisation((red, green, blue), float(numbers["deviation"]))
        classes, about = tuple(map(str, info["classes"])), dict(info["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"weights {path}: what stands beside them is damaged ({error})") from None
    if architecture is not None:
        expect_same_network(path, found, architecture)
    if form == FORMAT:
        check_tensors(f"weights {path}", found, tensors)
    return TrainedWeights(found, classes, normalisation, tensors, about)


def expect_same_network(path: Path, found: Architecture, wanted: Architecture) -> None:
    """Raise InputError unless two architectures differ in nothing but their classes."""
    expect(
        with_classes(found, 0) == with_classes(wanted, 0),
        f"weights {path}: belong to another architecture ({found.to_text()}), not to"
        f" {wanted.to_text()}; give its own, or leave them out",
    )


def with_classes(architecture: Architecture, classes: int) -> Architecture:
    """The same network with a classifier of so many classes.

    Raises:
        InputError: its head is no classifier.
    """
    head = architecture.head
    if not isinstance(head, Head):
        raise InputError(
            f"network {architecture.id}: has a '{head.kind}' head; networks are trained, and"
            f" weights are read, for a classifier ('{Head.kind}')"
        )
    return replace(architecture, head=replace(head, classes=classes))


def check_tensors(where: str, architecture: Architecture, tensors: Mapping[str, Tensor]) -> None:
    """Raise InputError unless names and shapes are those of the architecture's module."""
    import torch

    with torch.device("meta"):
        from palmette.space.modules import Network

        wanted = Network(architecture).state_dict()
    for name, like in wanted.items():
        expect(name in tensors, f"{where}: '{name}' is missing")
        expect(
            tensors[name].shape == like.shape,
            f"{where}: '{name}' has the shape {tuple(tensors[name].shape)}, the architecture's is"
            f" {tuple(like.shape)}",
        )
    extra = sorted(set(tensors) - set(wanted))
    expect(not extra, f"{where}: '{extra[0] if extra else ''}' is no tensor of the architecture")
