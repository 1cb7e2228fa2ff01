"""Quantities of a network that a search can limit, beside milliseconds.

Each is counted in whole numbers (parameters, bytes), so that what a compiled space says of a code
is, to the digit, what the traced network says: a sum over the parts of a network, or the largest of
them. Where several precisions of weights are allowed, a network has the most precise one with which
its package keeps its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.search.objectives.package_size import PACKAGE, package_bytes
from palmette.search.objectives.precision import HALF
from palmette.space import Architecture, CompiledSpace, OpTable
from palmette.space.compiled import SpaceTable
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A row of the table: its name is that of the limit and of the column in `front.csv`."""

    name: str
    unit: str
    what: str
    adds_up: bool
    """Whether a network's figure is the sum over its parts; otherwise the largest of them."""


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("params_m", "M", "parameters, BatchNorm's included", True),
    Quantity("macs_m", "M", "multiply-accumulates of convolutions and linear layers", True),
    Quantity("package_mb", "MB", "bytes of the Core ML package, without labels", True),
    Quantity("peak_memory_mb", "MB", "most bytes of activations alive at once, one image", False),
)
NAMES = tuple(quantity.name for quantity in QUANTITIES)
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Quantified:
    """Quantities of n networks."""

    values: dict[str, Floats]
    """By name, in their units, shape (n,)."""
    precision: NDArray[np.int64]
    """Which of the precisions each has, shape (n,)."""


@dataclass(frozen=True, slots=True)
class CompiledQuantities:
    """The quantities of the codes of one space."""

    sums: SpaceTable
    """Channels: parameters, MACs, and bytes of the package at each precision."""
    peaks: SpaceTable
    """One channel: elements of activations."""
    precisions: tuple[str, ...]
    """That a network may have, the most precise first."""
    value_bytes: int
    """Of an activation."""

    @classmethod
    def of(
        cls, compiled: CompiledSpace, precisions: Sequence[str] = (HALF,), value_bytes: int = 2
    ) -> CompiledQuantities:
        """Tables of a compiled space; see `objectives.precision` for the other two."""
        ops = compiled.ops
        columns = [ops.macs, *(package_bytes(ops, name) for name in precisions)]
        blocks = compiled.block_sums(np.stack(columns, axis=1))
        counts = np.concatenate([compiled.block_params[:, None], blocks], axis=1)
        sums = compiled.table(lambda slot: compiled.slot_sums(slot, counts))
        return cls(sums, compiled.table(compiled.slot_peaks), tuple(precisions), value_bytes)

    def evaluate(self, codes: Codes, package_mb: float = math.inf) -> Quantified:
        """Quantities of codes (n, genes); the limit of the package decides on the precision."""
        return _quantified(
            self.sums.sums(codes),
            self.peaks.largest(codes)[:, 0] * self.value_bytes,
            package_mb,
        )


def quantities_of(
    architecture: Architecture,
    precisions: Sequence[str] = (HALF,),
    value_bytes: int = 2,
    package_mb: float = math.inf,
) -> dict[str, float]:
    """Each quantity of one network in its unit: the figures of `CompiledQuantities`."""
    ops = OpTable.of(architecture.ops())
    stored = [float(package_bytes(ops, name).sum()) for name in precisions]
    counted = np.array([[architecture.params(), architecture.macs(), *stored]], dtype=np.float64)
    peak = np.array([float(architecture.peak_elements() * value_bytes)])
    found = _quantified(counted, peak, package_mb)
    return {name: float(value[0]) for name, value in found.values.items()}


def _quantified(counted: Floats, peak_bytes: Floats, package_mb: float) -> Quantified:
    """From counts (n, 2 + precisions) and bytes (n,)."""
    params, macs, *stored = counted.T
    size = (stored[0] + PACKAGE) / _MILLION
    chosen = np.zeros(len(size), dtype=np.int64)
    for at, smaller in enumerate(stored[1:], 1):
        over = size > package_mb  # the last, and smallest, stays where none keeps the limit
        size = np.where(over, (smaller + PACKAGE) / _MILLION, size)
        chosen = np.where(over, at, chosen)
    values = (params / _MILLION, macs / _MILLION, size, peak_bytes / _MILLION)
    return Quantified(dict(zip(NAMES, values, strict=True)), chosen)
