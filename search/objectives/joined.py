"""Milliseconds on several targets as one number to be minimised: the load, a share of budgets.

A target's load is its time over its budget, so that milliseconds of a slow phone and a fast one, or
of two runtimes, are never added. `worst` takes the largest load, `weighted` the mean by weights,
`best` that of the compute unit a network had best run on. Under `worst` and `weighted` every budget
must hold at the confidence, under `best` the one of the unit that was chosen: among those that the
network may run on and whose budget holds, the unit of the smallest load.

A confidence of several budgets is of each by itself (marginal), or of all together by Bonferroni's
inequality: with each at 1 - (1 - c) / n all n hold with c, whatever their errors have in common.
Errors of predictors fitted to the same networks are alike, so that is more than is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency import CompiledLatency
from palmette.search.exportable import REFUSED
from palmette.search.objectives.goal import Goal, Join
from palmette.space.compiled import SpaceTable
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Joined:
    """Loads of n networks on t targets, and what they come to."""

    loads: Floats
    """Predicted time over budget, (n, t)."""
    upper_loads: Floats
    """The same of the time at the confidence, (n, t)."""
    load: Floats
    """What is minimised, (n,)."""
    lower: Floats
    upper: Floats
    """At most 1 where the budgets hold, (n,)."""
    barred: Floats
    """Reasons why a network can't run where it must, (n,); 0 for most."""
    chosen: Ints
    """Index of the target that decides: the fullest budget, under `best` the chosen unit, (n,)."""


def join_loads(
    join: Join,
    weights: Floats,
    loads: tuple[Floats, Floats, Floats],
    barred: Floats,
) -> Joined:
    """Loads on several targets as one.

    Args:
        join: see the module.
        weights: of the targets, (t,); used under `weighted`, where only their ratios count.
        loads: predicted, lower and upper ones, each (n, t).
        barred: reasons against each target, (n, t).
    """
    load, lower, upper = loads
    rows = np.arange(len(load))
    if join == "best":
        chosen = _best(load, upper, barred)
        one, low, high, bar = (a[rows, chosen] for a in (load, lower, upper, barred))
        return Joined(load, upper, one, low, high, bar, chosen)
    chosen = upper.argmax(axis=1)
    highest, most = upper[rows, chosen], barred.max(axis=1)
    if join == "worst":
        return Joined(load, upper, load.max(axis=1), lower.max(axis=1), highest, most, chosen)
    shares = weights / weights.sum()
    return Joined(load, upper, load @ shares, lower @ shares, highest, most, chosen)


def _best(load: Floats, upper: Floats, barred: Floats) -> Ints:
    """Index of the least barred, then of those the least over budget, then of the least load."""
    left = barred == barred.min(axis=1, keepdims=True)
    over = np.where(left, np.maximum(upper - 1, 0.0), np.inf)
    left &= over == over.min(axis=1, keepdims=True)
    best: Ints = np.where(left, load, np.inf).argmin(axis=1)
    return best


@dataclass(frozen=True, slots=True)
class TargetTime:
    """A target's predictor over a space, and what networks may take there."""

    goal: Goal
    latency: CompiledLatency
    levels: SpaceTable
    """Ops at each level of the rules of the target's unit."""
    identified: tuple[Mask, ...] = ()
    """Choices of each gene of the full space that its timings identify; empty: all."""

    def unidentified(self, codes: Codes) -> Ints:
        """How many choices of codes (n, genes) its timings can't identify, (n,)."""
        count = np.zeros(len(codes), dtype=np.int64)
        for column, known in enumerate(self.identified):
            count += ~known[codes[:, column]]
        return count


@dataclass(frozen=True, slots=True)
class JoinedTimes:
    """Predictors of several targets over one space; codes are those of the full space."""

    times: tuple[TargetTime, ...]
    join: Join
    joint: bool = False
    """Whether a confidence is of all budgets together."""
    exportable: bool = False
    """Whether a unit that refuses an op of a network is barred to it."""

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The targets with their budgets."""
        return tuple(time.goal for time in self.times)

    @property
    def latencies(self) -> tuple[CompiledLatency, ...]:
        """The compiled predictors."""
        return tuple(time.latency for time in self.times)

    @property
    def budgets_ms(self) -> Floats:
        """Shape (t,)."""
        return np.array([goal.budget_ms for goal in self.goals])

    @property
    def weights(self) -> Floats:
        """Shape (t,)."""
        return np.array([goal.weight for goal in self.goals])

    def each_at(self, confidence: float) -> float:
        """Confidence at which every single budget is held."""
        return 1 - (1 - confidence) / len(self.times) if self.joint else confidence

    def evaluate(self, codes: Codes, confidence: float) -> Joined:
        """Loads of codes (n, genes), one-sided at a confidence."""
        each = self.each_at(confidence)
        found = [t.latency.interval(codes, each, two_sided=False) for t in self.times]
        loads = tuple(
            np.stack([getattr(one, name) for one in found], axis=1) / self.budgets_ms
            for name in ("ms", "lower_ms", "upper_ms")
        )
        barred = np.stack([self._barred(time, codes) for time in self.times], axis=1)
        return join_loads(self.join, self.weights, (loads[0], loads[1], loads[2]), barred)

    def outside(self, codes: Codes, joined: Joined) -> Mask:
        """Whether the work of codes lies outside that of the timed networks, where they run."""
        found = np.stack([time.latency.outside(codes) for time in self.times], axis=1)
        return self._where_run(found, joined)

    def levels(self, codes: Codes, joined: Joined) -> Ints:
        """Ops at each level of the units' rules (n, levels), the most of the targets."""
        found = np.stack([time.levels.sums(codes) for time in self.times], axis=1)
        return self._where_run(found, joined).astype(np.int64)

    def _where_run(self, found: NDArray[Any], joined: Joined) -> NDArray[Any]:
        """Of what holds by target, (n, t, ...): the chosen unit's, or the most of all targets'."""
        if self.join == "best":
            return found[np.arange(len(found)), joined.chosen]
        most: NDArray[Any] = found.max(axis=1)
        return most

    def _barred(self, time: TargetTime, codes: Codes) -> Floats:
        barred = time.unidentified(codes).astype(np.float64)
        return barred + time.levels.sums(codes)[:, REFUSED] if self.exportable else barred


def columns_of(times: JoinedTimes, joined: Joined, row: int) -> dict[str, float | str]:
    """What a table says of a network's times, one of n: load, and milliseconds by target."""
    budgets = times.budgets_ms
    found: dict[str, float | str] = {
        "load": float(joined.load[row]),
        "load_at_confidence": float(joined.upper[row]),
    }
    if times.join == "best":
        found["unit"] = times.goals[int(joined.chosen[row])].alias
    for index, goal in enumerate(times.goals):
        found[f"ms_{goal.slug}"] = float(joined.loads[row, index] * budgets[index])
        found[f"ms_at_confidence_{goal.slug}"] = float(
            joined.upper_loads[row, index] * budgets[index]
        )
    return found
