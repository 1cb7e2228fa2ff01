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
from palmette.space.files import expect_file, write_bytes
from palmette.train.run_folder import TrainingFolder
from palmette.train.tensors import read_info, read_tensors, tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

    from palmette.train.device import Normalisation

FORMAT = "palmette/weights@1"
QUANTISED_FORMAT = "palmette/quantised-weights@1"
"""Of weights whose tensors are the state of a network prepared for 8 bits."""
RUNG = "training, on its validation images"


@dataclass(frozen=True, slots=True)
class Described:
    """What a file says of its weights, read without torch."""

    path: Path
    quantised: bool
    architecture: Architecture
    classes: tuple[str, ...]
    """Names in the order of the outputs."""


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

    @property
    def accuracy(self) -> dict[str, str]:
        """Metadata of a package: top-1 as it was measured, if it was, and on what."""
        rung = f"supernet {self.about['supernet']}" if "supernet" in self.about else RUNG
        top1 = self.about.get("top1")
        measured = {} if top1 is None else {"measured_top1": f"{100 * top1:.1f}"}
        return {**measured, "accuracy_rung": rung}

    def for_export(self) -> dict[str, Any]:
        """Module, scale and bias, by the names that an export and its gates take them under."""
        scaling = self.normalisation
        return {"module": self.module(), "scale": scaling.scale, "bias": scaling.bias}


def weights_file(path: Path) -> Path:
    """The file that somebody named, or that of the best epoch in the folder of a training.

    Raises:
        InputError: no such file, or a folder in which no training has ended an epoch.
    """
    if path.is_dir():
        best = TrainingFolder(path).best
        expect(
            best.is_file(),
            f"{path}: holds no {best.name}, which a training leaves when an epoch has ended; name"
            " a file of weights, or the folder of a training",
        )
        return best
    expect_file(path)
    return path


def describe_weights(path: Path) -> Described:
    """What a file of weights says of itself; see `weights_file`.

    Tensors are not read: whether the file is whole is seen when they are.

    Raises:
        InputError: no such file, or none of weights.
    """
    path = weights_file(path)
    info = read_info(path)
    form = info["format"]
    expect(
        form in (FORMAT, QUANTISED_FORMAT),
        f"{path}: has the format '{form}', needed are weights ('{FORMAT}')",
    )
    try:
        return Described(path, form == QUANTISED_FORMAT, *_named(info))
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None


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
        path: that `write_weights` wrote, or the folder of a training: see `weights_file`.
        architecture: which it must belong to; the number of classes may be another, for a network
            learns those of its data.
        form: format of the file; tensors of another than the usual one are not the architecture's,
            and only whole.

    Raises:
        InputError: no such file, damaged or truncated, of another format or architecture.
    """
    from palmette.train.device import Normalisation

    path = weights_file(path)
    tensors, info = read_tensors(path, form)
    try:
        found, classes = _named(info)
        numbers = info["normalisation"]
        red, green, blue = map(float, numbers["mean"])
        normalisation = Normalisation((red, green, blue), float(numbers["deviation"]))
        about = dict(info["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from None
    if architecture is not None:
        expect_same_network(path, found, architecture)
    if form == FORMAT:
        check_tensors(f"weights {path}", found, tensors)
    return TrainedWeights(found, classes, normalisation, tensors, about)


def _named(info: Mapping[str, Any]) -> tuple[Architecture, tuple[str, ...]]:
    return Architecture.from_text(info["architecture"]), tuple(map(str, info["classes"]))


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"weights {path}: what stands beside them is damaged ({error})")


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
