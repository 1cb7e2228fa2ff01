"""How a search stands, from what its driver knows: counts, hypervolume, best score, time to go.

A tracker counts every trial in once, so a snapshot costs the same after 50,000 trials as after ten.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from palmette.search.trials.task import WorkerHealth

RECENT = 50
"""Trials that trend and time to go look back on."""
SEARCHING, MEASURING = "searching", "measuring"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How a search stands. Numbers that are not known yet are NaN."""

    stage: str
    """In one word: `searching` with the predictors, `measuring` accuracies."""
    done: int
    """Evaluations of the predictors, or finished trials; failed ones not among them."""
    planned: int
    failed: int = 0
    running: int = 0
    hypervolume: float = math.nan
    """ms x points, up to the budget and a score of nothing."""
    trend: float = math.nan
    """Share of the hypervolume that the last trials (`RECENT`) added."""
    best: float = math.nan
    """Best score among those that keep all limits."""
    eta_s: float = math.nan
    workers: tuple[WorkerHealth, ...] = ()


def searching(done: int, planned: int, hypervolume: float, elapsed_s: float) -> Snapshot:
    """How the predictor stage stands, after so many evaluations and seconds."""
    eta = elapsed_s * (planned - done) / done if done > 0 else math.nan
    return Snapshot(SEARCHING, done, planned, hypervolume=hypervolume, eta_s=max(eta, 0.0))


class Tracker:
    """Counts trials in as they end.

    Args:
        planned: trials in all.
        budget_ms: where the hypervolume ends; the other end is a score of 0.
        stage: see `Snapshot`.
    """

    def __init__(self, planned: int, budget_ms: float, stage: str = MEASURING) -> None:
        self.planned, self.budget_ms, self.stage = planned, budget_ms, stage
        self.done, self.failed, self.best = 0, 0, math.nan
        self._ms: list[float] = []
        self._score: list[float] = []  # of the front, rising with its milliseconds
        self._volume = 0.0
        self._volumes = deque([0.0], maxlen=RECENT + 1)
        self._seconds: deque[float] = deque(maxlen=RECENT)

    def finished(
        self, ms: float, score: float, *, feasible: bool = True, seconds: float = math.nan
    ) -> None:
        """A trial has its values; `seconds` is how long its measurement took."""
        self.done += 1
        if feasible:
            self.best = score if math.isnan(self.best) else max(self.best, score)
            self._add(ms, score)
        self._volumes.append(self._volume)
        if math.isfinite(seconds):
            self._seconds.append(seconds)

    def stopped(self) -> None:
        """A trial was ended before its whole training."""
        self.done += 1
        self._volumes.append(self._volume)

    def gave_up(self) -> None:
        """A trial failed for good."""
        self.failed += 1

    def snapshot(
        self, running: int = 0, workers: int = 1, health: Sequence[WorkerHealth] = ()
    ) -> Snapshot:
        """How it stands now.

        Args:
            running: trials under way.
            workers: that measure at once, for the time to go.
            health: a row for each.
        """
        added = self._volume - self._volumes[0]
        return Snapshot(
            self.stage,
            self.done,
            self.planned,
            self.failed,
            running,
            self._volume,
            added / self._volume if self._volume > 0 else math.nan,
            self.best,
            self._eta(workers),
            tuple(health),
        )

    def _eta(self, workers: int) -> float:
        """Seconds to go, by the median of recent measurements."""
        left = max(self.planned - self.done - self.failed, 0)
        if not self._seconds:
            return math.nan
        return statistics.median(self._seconds) * left / max(workers, 1)

    def _add(self, ms: float, score: float) -> None:
        """Put a point into the front, if nothing there is as fast and as good."""
        if not (ms < self.budget_ms and score > 0):
            return
        at = bisect.bisect_right(self._ms, ms)
        below = self._score[at - 1] if at else 0.0
        if below >= score:
            return
        first = at - 1 if at and self._ms[at - 1] == ms else at
        end = first
        while end < len(self._ms) and self._score[end] <= score:
            end += 1
        self._volume += self._gain(ms, score, first, end)
        self._ms[first:end] = [ms]
        self._score[first:end] = [score]

    def _gain(self, ms: float, score: float, first: int, end: int) -> float:
        """Area that a point adds which takes the place of front points `first` to `end`."""
        edges = [ms, *(max(x, ms) for x in self._ms[first:end])]
        edges.append(self._ms[end] if end < len(self._ms) else self.budget_ms)
        heights = [self._score[first - 1] if first else 0.0, *self._score[first:end]]
        widths = (right - left for left, right in zip(edges, edges[1:], strict=False))
        return sum(width * (score - height) for width, height in zip(widths, heights, strict=True))
