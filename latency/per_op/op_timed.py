"""`OpTimedModel`: milliseconds of one target from timings of its ops, calibrated on networks.

    network ms = scale * sum(kernel ms) + constant + slow * (kernels with a slow activation)

It offers what `TargetModel` does: values per op that are summed over a network, and what the sums
come to. The ops are first joined to the kernels that the target's runtime starts (`fusion`); a
kernel's milliseconds stand at its main op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.fusion import fusion_of
from palmette.latency.per_op.kernels import SORTS, KernelTable
from palmette.latency.per_op.op_cost import (
    STRICT_MODELS,
    NearestOps,
    OpModel,
    ParametricOps,
    PowerOps,
    TreeOps,
)
from palmette.latency.stored import listed, number, text, whole
from palmette.latency.targets import Target, parse_target
from palmette.latency.whole.forms import floor_ms
from palmette.space import OpTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HULL_COLUMNS = ("macs", "moved", "weights")
HULL_REACH = 1.25
"""Factor beyond the timed kernels of a sort up to which a kernel still counts as inside."""
MOST_OUTSIDE = 0.1
"""Share of the time of a network that may be of kernels outside the timed shapes."""
KIND = "ops"
READERS: Mapping[str, Callable[[Mapping[str, Any]], OpModel]] = {
    "parametric": ParametricOps.from_dict,
    "power": PowerOps.from_dict,
    "trees": TreeOps.from_dict,
    "nearest": NearestOps.from_dict,
}
"""Name of an op model, of `OP_MODELS` -> how it is read from plain values."""


@dataclass(frozen=True, slots=True)
class OpHull:
    """Least and most `HULL_COLUMNS` of the timed kernels of each sort: sort -> (columns, 2)."""

    ranges: Mapping[str, tuple[tuple[float, float], ...]]

    @classmethod
    def of(cls, kernels: KernelTable) -> OpHull:
        """Hull of timed kernels."""
        ranges = {}
        for sort in SORTS:
            rows = kernels.is_sort(sort)
            if rows.any():
                columns = [kernels.column(name)[rows] for name in HULL_COLUMNS]
                ranges[sort] = tuple((float(c.min()), float(c.max())) for c in columns)
        return cls(ranges)

    def outside(self, kernels: KernelTable) -> NDArray[np.bool_]:
        """Whether kernels have less or more work than all timed ones of their sort, (kernels,)."""
        outside = np.ones(len(kernels), dtype=np.bool_)
        for sort, ranges in self.ranges.items():
            rows = kernels.is_sort(sort)
            beyond = np.zeros(len(kernels), dtype=np.bool_)
            for name, (low, high) in zip(HULL_COLUMNS, ranges, strict=True):
                column = kernels.column(name)
                beyond |= (column * HULL_REACH < low) | (column > high * HULL_REACH)
            outside[rows] = beyond[rows]
        return outside


@dataclass(frozen=True, slots=True)
class OpTimedModel:
    """Milliseconds of a target from an op model; see the module's formula.

    `name` is the op model's, of `READERS`; `networks` is the number of networks that calibrated it.
    """

    target: Target
    name: str
    ops: OpModel
    scale: float
    constant_ms: float
    slow_ms: float
    hull: OpHull
    networks: int

    @property
    def strict(self) -> bool:
        """Whether more work is never cheaper; a search needs that."""
        return self.name in STRICT_MODELS

    def channels(self, ops: OpTable, first: Ints | None = None) -> Floats:
        """Milliseconds of each op and those of them outside the timed shapes, (ops, 2).

        `first` are the ops that begin a network or block; by default the first one.
        """
        values = np.zeros((len(ops), 2))
        if not len(ops):
            return values
        first = np.zeros(1, dtype=np.int64) if first is None else first
        kernels, main = fusion_of(self.target.runtime).kernels(ops, first)
        distinct, back = kernels.distinct()
        ms = self.scale * self.ops.op_ms(distinct) + self.slow_ms * (distinct.slow > 0)
        # what is started with another op costs something too, so that no op is free
        rest = np.ones(len(ops), dtype=np.bool_)
        rest[main] = False
        values[rest, 0] = floor_ms(ops, self.target)[rest]
        values[main, 0] = ms[back]
        values[main, 1] = (ms * self.hull.outside(distinct))[back]
        return values

    def strays(self, sums: Floats) -> NDArray[np.bool_]:
        """Whether more than `MOST_OUTSIDE` of a network's time is of shapes that were not timed."""
        mask: NDArray[np.bool_] = sums[..., 1] > MOST_OUTSIDE * self.combine(sums)
        return mask

    def combine(self, sums: Floats) -> Floats:
        """Milliseconds from channel sums, shape (..., 2) to (...)."""
        ms: Floats = sums[..., 0] + self.constant_ms
        return ms

    def placement_of(self, ops: OpTable) -> str:
        """What a network is assumed to run on: `native`, the unit that was timed."""
        return "native"

    def split(self, ops: OpTable) -> tuple[Floats, float]:
        """Milliseconds of each op, (ops,), a kernel's at its main op; and of the network."""
        values = self.channels(ops)
        return values[:, 0], float(self.combine(values.sum(axis=0)))

    def predict(self, networks: Sequence[OpTable]) -> Floats:
        """Milliseconds of networks, shape (networks,)."""
        return np.array([float(self.combine(self.channels(ops).sum(axis=0))) for ops in networks])

    def to_dict(self) -> dict[str, Any]:
        """Plain values; see `from_dict`."""
        return {
            "kind": KIND,
            "target": str(self.target),
            "name": self.name,
            "ops": self.ops.to_dict(),
            "scale": self.scale,
            "constant_ms": self.constant_ms,
            "slow_ms": self.slow_ms,
            "hull": {
                sort: [list(pair) for pair in pairs] for sort, pairs in self.hull.ranges.items()
            },
            "networks": self.networks,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OpTimedModel:
        """Model from plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        ranges = {}
        for sort, pairs in data["hull"].items():
            if sort not in SORTS or len(listed(pairs)) != len(HULL_COLUMNS):
                raise ValueError(f"malformed hull of {sort!r}")
            ranges[sort] = tuple((number(low), number(high, low)) for low, high in pairs)
        name = text(data["name"])
        return cls(
            parse_target(text(data["target"])),
            name,
            READERS[name](data["ops"]),
            number(data["scale"], 1e-6),
            number(data["constant_ms"], 0.0),
            number(data["slow_ms"], 0.0),
            OpHull(ranges),
            whole(data["networks"], 1),
        )
