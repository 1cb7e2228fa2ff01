"""Times of networks from sums over their parts, each part costed once.

Hundreds of networks that differ in one block share all the others. What is summed is what a
compiled space sums (`CompiledLatency`), so the times are those of the whole networks to 1e-9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from palmette.latency import Interval, LatencyPredictor
from palmette.latency.uncertainty import hull_channels
from palmette.space import Architecture, OpTable, Part
from palmette.space.part_ops import adds_up, part_ops

Floats = NDArray[np.float64]
_CLOSE = 1e-9
_Place = tuple[object, int, int, int]


@dataclass(frozen=True, slots=True)
class PartTimes:
    """A predictor over networks whose costs are the sums of their parts'."""

    predictor: LatencyPredictor
    _rows: dict[_Place, Floats] = field(default_factory=dict, repr=False)
    """By block and the shape of its input: the model's channels, then the hull's."""

    @classmethod
    def of(cls, base: Architecture, predictor: LatencyPredictor) -> PartTimes | None:
        """Times of networks of the same kinds of blocks as `base`.

        None where they are not sums over parts: ops are fused or read across them.
        """
        if not adds_up(base):
            return None
        made = cls(predictor)
        ms, whole = made.interval([base], 0.8).ms[0], predictor.predict([base])[0]
        return made if abs(ms / whole - 1) < _CLOSE else None

    def interval(self, networks: Sequence[Architecture], confidence: float) -> Interval:
        """As `LatencyPredictor.predict_interval`, one-sided, of at least one network."""
        sums = np.stack([self._sums(network) for network in networks])
        model, uncertainty = self.predictor.model_, self.predictor.uncertainty_
        width = sums.shape[1] - hull_channels(OpTable.of(())).shape[1]
        ms = model.combine(sums[:, :width])
        factor = uncertainty.factor(sums[:, width:], confidence, two_sided=False)
        return Interval(ms, ms / factor, ms * factor)

    def _sums(self, network: Architecture) -> Floats:
        rows = [self._row(part) for part in network.parts()]
        total: Floats = np.sum(rows, axis=0)
        return total

    def _row(self, part: Part) -> Floats:
        place = (part.block, part.in_channels, part.height, part.width)
        if place not in self._rows:
            ops = OpTable.of(part_ops(part)[0])
            values = (self.predictor.model_.channels(ops), hull_channels(ops))
            self._rows[place] = np.concatenate(values, axis=1).sum(axis=0)
        return self._rows[place]
