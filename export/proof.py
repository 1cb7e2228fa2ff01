"""Proof of an export: what the package on disk stores equals the torch module.

Two comparisons, both on the file that was written:

- weights and biases of every convolution and linear layer, bit for bit, with the torch weights
  folded with BatchNorm (`export.fold`) and rounded to half precision;
- the number of ops of each kind that carries weights or statistics, with the ops traced from the
  module. A module that was converted in training mode would show means over the batch.

A detector's anchors are compared bit for bit as well, and outputs by name and shape. Of a pipeline,
its first stage is compared; `palmette.export.pipeline` checks the second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.ends import End, constants_of
from palmette.export.errors import ExportError
from palmette.export.fold import Half, Layer, fold_batch_norm
from palmette.export.package import network_of, read_spec
from palmette.export.weights import (
    StoredLayer,
    network_layers,
    program_operations,
    stored_layers,
)
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import expect
from palmette.space.ops import Op

if TYPE_CHECKING:
    from torch import nn

CHECKED_OPS: dict[str, tuple[str, ...]] = {
    "conv": ("conv", "convolution"),
    "linear": ("linear", "innerProduct"),
    "mean": ("reduce_mean", "reduceMean", "global pooling"),
    "norm": ("batch_norm", "batchnorm", "instance_norm", "mvn"),
    # only training has them: batch statistics divide by a deviation, dropout draws masks
    "training": ("real_div", "divideBroadcastable", "random_bernoulli", "randomBernoulliStatic"),
}
"""Names in ML Programs and neural networks of the ops whose numbers must be those of the trace."""


@dataclass(frozen=True, slots=True)
class WeightReport:
    """What was compared, all of it equal to the last bit."""

    layers: int
    """Convolutions and linear layers."""
    values: int
    """Their weights and biases."""
    vectors: int = 0
    """Vectors of other layers: gains, slopes, indices."""


def verify_weights(path: Path, module: nn.Module) -> WeightReport:
    """Check a package against a torch module: every stored weight and bias, bit for bit.

    Args:
        path: a package of either format with one image input, or a pipeline that begins with one.
        module: in evaluation mode; BatchNorm is folded in a copy of it.

    Raises:
        ExportError: a stored value differs; the message names layer, value and difference.
        InputError: not a package, damaged, or the module is not in evaluation mode.
    """
    folded = fold_batch_norm(module, (IMAGE_CHANNELS, *image_size(path)))
    return compare_weights(stored_layers(path, _constants(path)), folded.layers)


def _constants(path: Path) -> tuple[Half, ...]:
    """Constants of the architecture that a package says it is; none if it says none."""
    text = read_spec(path).description.metadata.userDefined.get("architecture", "")
    return constants_of(Architecture.from_text(text)) if text else ()


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) in px of a package's image input.

    Raises:
        InputError: not a package, or its input is not one image.
    """
    inputs = network_of(read_spec(path)).description.input
    expect(
        len(inputs) == 1 and inputs[0].type.WhichOneof("Type") == "imageType",
        f"package {path}: its input is not one image",
    )
    image = inputs[0].type.imageType
    return int(image.height), int(image.width)


def compare_weights(stored: Sequence[StoredLayer], expected: Sequence[Layer]) -> WeightReport:
    """Check stored layers against the layers that should be stored, both in program order.

    Raises:
        ExportError: their number, a shape, or any bit differs.
    """
    if len(stored) != len(expected):
        raise ExportError(
            f"the package stores {len(stored)} layers with values, the module has {len(expected)}"
        )
    for found, layer in zip(stored, expected, strict=True):
        _compare(found.weight, layer.weight, f"{layer.name}.weight")
        # a bias of zeros may be left out
        bias = np.zeros_like(layer.bias) if found.bias is None else found.bias
        _compare(bias, layer.bias, f"{layer.name}.bias")
    layers = [layer for layer in expected if layer.weight.ndim > 1]
    values = sum(layer.weight.size + layer.bias.size for layer in layers)
    return WeightReport(len(layers), values, len(expected) - len(layers))


def _compare(found: NDArray[Any], expected: NDArray[Any], where: str) -> None:
    if found.shape != expected.shape:
        raise ExportError(f"{where} has the shape {found.shape}, the module's is {expected.shape}")
    bits = f"u{expected.itemsize}"  # minus zero is not zero
    if found.dtype != expected.dtype:
        raise ExportError(f"{where} is stored as {found.dtype}, the module's is {expected.dtype}")
    different = found.view(bits) != expected.view(bits)
    if different.any():
        index = tuple(int(i) for i in np.argwhere(different)[0])
        raise ExportError(
            f"{where}: {int(different.sum())} of {found.size} values differ, the first at"
            f" {index}: {found[index]} is stored, the folded weight is {expected[index]}"
        )


def compare_outputs(path: Path, end: End) -> None:
    """Check names and shapes of the outputs of a package's network, a classifier's aside.

    Raises:
        ExportError: they are not those of the end.
    """
    if end.classifier:
        return
    given = network_of(read_spec(path)).description.output
    found = {output.name: tuple(output.type.multiArrayType.shape) for output in given}
    wanted = dict(zip(end.outputs, end.shapes, strict=True))
    if found != wanted:
        raise ExportError(f"the package's outputs are {found}, the module's {wanted}")


def compare_structure(path: Path, ops: Sequence[Op]) -> None:
    """Check the numbers of ops in a package against those traced from its module.

    Raises:
        ExportError: they differ for a kind of `CHECKED_OPS`.
    """
    stored, traced = op_kinds(read_spec(path)), Counter(op.kind for op in ops)
    for kind, names in CHECKED_OPS.items():
        found = sum(stored[name] for name in names)
        if found != traced[kind]:
            raise ExportError(
                f"the package holds {found} ops of the kind '{kind}' ({', '.join(names)}),"
                f" the module {traced[kind]}"
            )


def op_kinds(spec: Any) -> Counter[str]:
    """Number of ops of each kind in a package's network, by the format's own names."""
    spec = network_of(spec)
    if spec.WhichOneof("Type") == "mlProgram":
        return Counter(op.type for op in program_operations(spec) if op.type != "const")
    return Counter(_layer_kind(layer) for layer in network_layers(spec))


def _layer_kind(layer: Any) -> str:
    kind: str = layer.WhichOneof("layer")
    whole_map = kind == "pooling" and layer.pooling.globalPooling
    return "global pooling" if whole_map else kind
