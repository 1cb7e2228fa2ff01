"""Quantities of a network that a search can limit, beside milliseconds.

Each is counted in whole numbers (parameters, bytes), so that what a compiled space says of a code
is, to the digit, what the traced network says: a sum over the parts of a network, or the largest of
them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space import Architecture, CompiledSpace
from palmette.space.compiled import SpaceTable
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A row of the table: its name is that of the limit and of the column in `front.csv`."""

    name: str
    unit: str
    what: str
    scale: float
    """What is counted, over the unit."""
    adds_up: bool
    """Whether a network's figure is the sum over its parts; otherwise the largest of them."""


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("params_m", "M", "parameters, BatchNorm's included", 1e6, True),
    Quantity("macs_m", "M", "MACs of convolutions and linear layers", 1e6, True),
)
"""Sums first."""
NAMES = tuple(quantity.name for quantity in QUANTITIES)


@dataclass(frozen=True, slots=True)
class CompiledQuantities:
    """The quantities of the codes of one space."""

    table: SpaceTable
    """Channels as `QUANTITIES`, counted."""

    @classmethod
    def of(cls, compiled: CompiledSpace) -> CompiledQuantities:
        """Tables of a compiled space."""
        macs = compiled.block_sums(compiled.ops.macs[:, None])
        counts = np.concatenate([compiled.block_params[:, None], macs], axis=1)
        return cls(compiled.table(lambda slot: compiled.slot_sums(slot, counts)))

    def evaluate(self, codes: Codes) -> dict[str, Floats]:
        """Each quantity of codes (n, genes) in its unit, shape (n,)."""
        counted = self.table.sums(codes)
        return {q.name: counted[:, at] / q.scale for at, q in enumerate(QUANTITIES)}


def quantities_of(architecture: Architecture) -> dict[str, float]:
    """Each quantity of one network in its unit: the figures of `CompiledQuantities`."""
    counted = (architecture.params(), architecture.macs())
    return {q.name: count / q.scale for q, count in zip(QUANTITIES, counted, strict=True)}
