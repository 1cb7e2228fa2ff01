"""How far a timing would be off, were it taken again with nothing changed.

A table that timed things again and again, such as anchors, tells it: the spread of their
logarithms, pooled. Otherwise it is `RUN_SPREAD`, what is known of one phone from one run to the
next. Never less than what the calls behind a median leave open, by `p10_ms`, `p90_ms`, `repeats`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

RUN_SPREAD = 0.08
"""Relative spread of one phone's timings from run to run: published ones are 5 to 8 %."""
LEAST_SPREAD = 0.005
"""Times are printed to a few digits: equal repeats don't make a table free of noise."""
LEAST_DOF = 5
"""Degrees of freedom from which on a table's own repeats are believed."""
_DECILES = 2.5631031310892007
"""Standard deviations between the first and the last decile of a normal distribution."""
_MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Spread of the log of a timing of a table."""

    spread: float
    dof: float
    """Degrees of freedom behind it; infinite where it is `RUN_SPREAD`."""

    @property
    def measured(self) -> bool:
        """Whether the table itself tells it."""
        return math.isfinite(self.dof)

    def of(self, times: int, calls: float) -> float:
        """Spread of the mean log of so many timings, whose calls leave `calls` open."""
        return max(self.spread / math.sqrt(times if self.measured else 1), calls)


def noise_of(repeated: Iterable[Sequence[float]]) -> Noise:
    """Noise of a table from the milliseconds of each thing that it timed more than once."""
    logs = [np.log(ms) for ms in repeated if len(ms) > 1]
    dof = sum(len(some) - 1 for some in logs)
    if dof < LEAST_DOF:
        return Noise(RUN_SPREAD, math.inf)
    squares = sum(float(((some - some.mean()) ** 2).sum()) for some in logs)
    return Noise(max(math.sqrt(squares / dof), LEAST_SPREAD), float(dof))


def calls_open(p10_ms: float, p90_ms: float, repeats: str) -> float:
    """Standard error of the log of a median of calls; zero where the table doesn't say."""
    if not (0 < p10_ms <= p90_ms):  # nor are blanks, which are NaN
        return 0.0
    calls = int(repeats) if repeats else 1
    return _MEDIAN * math.log(p90_ms / p10_ms) / _DECILES / math.sqrt(max(calls, 1))
