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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.ends import End, constants_of
from palmette.export.errors import ExportError
from palmette.export.fold import Half, Layer, fold_batch_norm
from palmette.export.formats import SPECIFICATIONS
from palmette.export.package import network_of, read_spec
from palmette.export.scaling import stored_scaling
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


def verify_weights(path: Path, module: nn.Module, function: str = "") -> WeightReport:
    """Check a package against a torch module: every stored weight and bias, bit for bit.

    Args:
        path: a package of either format with one image or tensor input, or a pipeline that begins
            with one.
        module: in evaluation mode; BatchNorm is folded in a copy of it, and the scale of the image
            that the package says its weights hold.
        function: of a package with several.

    Raises:
        ExportError: a stored value differs; the message names layer, value and difference.
        InputError: not a package, damaged, or the module is not in evaluation mode.
    """
    spec = read_spec(path, function)
    metadata = spec.description.metadata.userDefined
    scaling = stored_scaling(metadata, f"package {path}")
    image = (IMAGE_CHANNELS, *image_size(path, function))
    folded = fold_batch_norm(module, image, scaling.folded)
    factors = scaling.half_factors()
    constants = (*_constants(metadata), *([] if factors is None else [factors]))
    return compare_weights(stored_layers(path, constants, function), folded.layers)


def _constants(metadata: Mapping[str, str]) -> tuple[Half, ...]:
    """Constants of the architecture that a package says it is; none if it says none."""
    text = metadata.get("architecture", "")
    return constants_of(Architecture.from_text(text)) if text else ()


def image_size(path: Path, function: str = "") -> tuple[int, int]:
    """(height, width) in px of a package's image or tensor input, the default one of several.

    Raises:
        InputError: not a package, or its input is neither one image nor a tensor of images.
    """
    inputs = network_of(read_spec(path, function)).description.input
    kind = inputs[0].type.WhichOneof("Type") if len(inputs) == 1 else ""
    shape = list(inputs[0].type.multiArrayType.shape) if kind == "multiArrayType" else []
    expect(
        kind == "imageType" or (len(shape) == 4 and shape[1] == IMAGE_CHANNELS),
        f"package {path}: its input is not one image, nor a tensor of images",
    )
    if shape:
        return int(shape[2]), int(shape[3])
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


def compare_system(path: Path, system: str) -> None:
    """Check that a system reads a package.

    Raises:
        ExportError: the package asks for a later one.
    """
    found = read_spec(path).specificationVersion
    if found > SPECIFICATIONS[system]:
        raise ExportError(
            f"the package has specification {found}, {system} reads {SPECIFICATIONS[system]}"
        )


def compare_outputs(path: Path, end: End, function: str = "", flexible: bool = False) -> None:
    """Check names and shapes of the outputs of a package's network, a classifier's aside.

    Of a network that takes several sizes, names alone: its maps have the shapes that come.

    Raises:
        ExportError: they are not those of the end.
    """
    if end.classifier:
        return
    given = network_of(read_spec(path, function)).description.output
    if flexible:
        end = replace(end, shapes=((),) * len(end.outputs))
    found = {
        output.name: () if flexible else tuple(output.type.multiArrayType.shape) for output in given
    }
    wanted = dict(zip(end.outputs, end.shapes, strict=True))
    if found != wanted:
        raise ExportError(f"the package's outputs are {found}, the module's {wanted}")


def compare_structure(path: Path, ops: Sequence[Op], function: str = "") -> None:
    """Check the numbers of ops in a package against those traced from its module.

    Raises:
        ExportError: they differ for a kind of `CHECKED_OPS`.
    """
    stored, traced = op_kinds(read_spec(path, function)), Counter(op.kind for op in ops)
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
