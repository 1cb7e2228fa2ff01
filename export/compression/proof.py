"""Proof of a compression: the package on disk, decompressed, beside the one it was made from.

coremltools decompresses the file that was written, and our own reader of constants must give the
same weights bit for bit. The program must then be the source's, op for op
and constant for constant; biases, slopes, gains and weights that are not compressed must be equal
bit for bit; compressed weights must keep what each step promises
(`palmette.export.compression.promises`). How far they are from the source's is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.compression.promises import check_promise
from palmette.export.compression.schemes import Step
from palmette.export.errors import ExportError
from palmette.export.interpreter.program import read_program
from palmette.export.interpreter.run import expanded_constants
from palmette.export.package import read_spec
from palmette.export.weights import StoredLayer, program_operations

COMPRESSED = "constexpr_"
"""Ops begin with it whose result is a weight, computed when the package is loaded."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far a layer's weights are from those before compression."""

    name: str
    values: int
    compressed: bool
    largest: float
    """Largest change of a weight."""
    relative: float
    """Root of the mean square of the changes, over that of the weights."""


def weights_read(spec: Any) -> dict[str, str]:
    """Name of the weight that each layer of a program reads, by the name of its output."""
    return {
        op.outputs[0].name: op.inputs["weight"].arguments[0].name
        for op in program_operations(spec)
        if "weight" in op.inputs
    }


def compressed_layers(spec: Any) -> frozenset[str]:
    """Names of the outputs of a program's layers whose weights are compressed."""
    operations = program_operations(spec)
    made = {op.outputs[0].name for op in operations if op.type.startswith(COMPRESSED)}
    return frozenset(layer for layer, weight in weights_read(spec).items() if weight in made)


def compare_programs(source: Any, dense: Any) -> None:
    """Check that a program decompressed is its source but for weights.

    Raises:
        ExportError: an op, what it reads or gives, or a constant differs; the message names it.
    """
    before, after = _parts(source), _parts(dense)
    for was, found in zip(before.ops, after.ops, strict=False):
        if was != found:
            raise ExportError(f"op '{found[1]}' ({found[0]}) is not that of the source, '{was[1]}'")
    if len(before.ops) != len(after.ops):
        raise ExportError(f"{len(after.ops)} ops are left of the {len(before.ops)} of the source")
    for name, value in before.constants.items():
        if after.constants.get(name) != value:
            raise ExportError(f"constant '{name}' is not that of the source")


@dataclass(frozen=True, slots=True)
class _Program:
    ops: list[tuple[Any, ...]]
    constants: dict[str, bytes]


def _parts(spec: Any) -> _Program:
    """Ops in order, and constants that stand in the program; weights have names of their own."""
    ops: list[tuple[Any, ...]] = []
    constants = {}
    for op in program_operations(spec):
        given = [output.SerializeToString(deterministic=True) for output in op.outputs]
        if op.type == "const":
            if op.attributes["val"].WhichOneof("value") == "immediateValue":
                value = op.attributes["val"].SerializeToString(deterministic=True)
                constants[op.outputs[0].name] = value
            continue
        read = {
            key: op.inputs[key].SerializeToString(deterministic=True)
            for key in op.inputs
            if key != "weight"
        }
        ops.append((op.type, op.outputs[0].name, given, read))
    return _Program(ops, constants)


def compare_layers(
    before: Sequence[StoredLayer],
    after: Sequence[StoredLayer],
    compressed: frozenset[str],
    step: Step,
    *,
    joint: bool = False,
) -> None:
    """Check layers after a step against those before it.

    Args:
        before: in program order.
        after: decompressed, in program order.
        compressed: see `compressed_layers`.
        step: that lies between.
        joint: a pruning lies before.

    Raises:
        ExportError: a layer's promise is broken, or a value outside of it differs in any bit.
    """
    if [layer.name for layer in before] != [layer.name for layer in after]:
        raise ExportError("the layers with values are not those of the source")
    for old, new in zip(before, after, strict=True):
        if not _equal(old.bias, new.bias):
            raise ExportError(f"the bias of '{old.name}' is not that of the source")
        if old.weight.shape != new.weight.shape:
            raise ExportError(f"the weight of '{old.name}' has another shape, {new.weight.shape}")
        if old.name in compressed:
            check_promise(step, old.weight, new.weight, f"layer '{old.name}'", joint=joint)
        elif not _equal(old.weight, new.weight):
            raise ExportError(f"the weight of '{old.name}' is not compressed, but it changed")


def compare_expanded(
    network: Path, dense: Sequence[StoredLayer], compressed: frozenset[str]
) -> None:
    """Check that our own reader expands compressed weights as coremltools decompressed them.

    Raises:
        ExportError: a weight differs in any bit.
    """
    names = weights_read(read_spec(network))
    expanded = expanded_constants(read_program(network))
    for layer in dense:
        if layer.name in compressed and not _equal(expanded[names[layer.name]], layer.weight):
            raise ExportError(
                f"the weight of '{layer.name}' is read as others than coremltools decompresses"
            )


def _equal(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Whether two arrays are equal bit for bit; a bias of zeros may be left out."""
    if one is None or other is None:
        return not np.any(one if other is None else other)
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def layer_errors(
    source: Any,
    before: Sequence[StoredLayer],
    after: Sequence[StoredLayer],
    compressed: frozenset[str],
) -> tuple[LayerError, ...]:
    """Changes of the weights of all convolutions and linear layers, in program order.

    Args:
        source: the program before compression, whose weights are named after the module's layers.
        before: its layers.
        after: the layers of the compressed package, decompressed.
        compressed: see `compressed_layers`.
    """
    weights = weights_read(source)
    return tuple(
        _error(weights[old.name].partition("_weight")[0], old, new, old.name in compressed)
        for old, new in zip(before, after, strict=True)
        if old.weight.ndim > 1
    )


def _error(name: str, before: StoredLayer, after: StoredLayer, compressed: bool) -> LayerError:
    weights = before.weight.astype(np.float64)
    change = after.weight.astype(np.float64) - weights
    size = float(np.sqrt(np.mean(weights**2)))
    relative = float(np.sqrt(np.mean(change**2))) / size if size else 0.0
    return LayerError(name, weights.size, compressed, float(np.abs(change).max()), relative)
