"""Shrinking: from one network, step by step, the most accurate one inside a budget.

After Yang et al., NetAdapt, ECCV 2018: in each step every knob of the network (`changes`) is turned
down by itself, just as far as takes off the step's share of the time; of these candidates the most
accurate is the next network. The share decays from step to step. Where the paper trains each
candidate for a while and looks times up in a table of layers, here an estimate of accuracy and the
target's predictor judge, so that a walk takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import LatencyPredictor
from palmette.latency.budget import expect_budget
from palmette.latency.effects import Support
from palmette.search.families.changes import Knob, knobs, smallest
from palmette.search.families.estimates import AccuracyFunction, Estimates, Estimator
from palmette.search.families.turning import reaching
from palmette.search.limits import Limits
from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.train import TIE_POINTS

STEP = 0.04
"""Share of the first network's time that the first step takes off."""
DECAY = 0.96
LEAST_STEP = 0.01
"""Share below which steps do not decay: they would never arrive."""
HALVINGS = 8
_EQUAL = 1e-9
Mask = NDArray[np.bool_]
Rule = Callable[[Estimates, Mask, Estimates, float], int]
"""Of some candidates the index of the one that is kept: candidates, which, now, budget in ms."""


def least_rate(every: Estimates, some: Mask, now: Estimates, budget_ms: float) -> int:
    """The candidate that loses least score for each millisecond saved, down to the budget."""
    lost = np.maximum(now.score[0] - every.score, 0.0)
    saved = now.ms_at_confidence[0] - np.maximum(every.ms_at_confidence, budget_ms)
    return int(np.argmin(np.where(some, lost / np.maximum(saved, _EQUAL), np.inf)))


def best_score(every: Estimates, some: Mask, now: Estimates, budget_ms: float) -> int:
    """The candidate with the best score; of those less than half a point apart the fastest."""
    tied = some & (every.score > every.score[some].max() - TIE_POINTS)
    return int(np.argmin(np.where(tied, every.ms_at_confidence, np.inf)))


RATE, SCORE = "rate", "score"
RULES: dict[str, Rule] = {RATE: least_rate, SCORE: best_score}


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A network inside a budget, and how it came about."""

    architecture: Architecture
    path: pd.DataFrame
    """A row for each network, the given one first: step, change (in words), ms, ms_at_confidence,
    top1, score, params_m, macs_m, architecture (its text)."""


def shrink(
    network: Architecture,
    predictor: LatencyPredictor,
    budget_ms: float,
    *,
    confidence: float = 0.8,
    lam: float = 0.5,
    recipe: str | None = None,
    accuracy: AccuracyFunction | None = None,
    extrapolate: bool = False,
    step: float = STEP,
    rule: str = RATE,
) -> Shrunk:
    """Take from a network what costs the least accuracy, until it keeps a budget.

    Args:
        network: any architecture; its classes stay.
        predictor: of the target.
        budget_ms: what the time at the confidence must not be above.
        confidence: one-sided, above 0.5 and below 1.
        lam: standard deviations that the score gives up.
        recipe: of the prior; None for the mean recipe.
        accuracy: architectures to (top-1, sigma), in place of the prior.
        extrapolate: also change windows and image sizes that the target's timings cannot identify.
        step: share of the network's time that the first step takes off.
        rule: which candidate is kept, of `RULES`.

    Raises:
        InputError: the prior cannot judge the network, the budget is infinite, or no smaller
            network keeps it; the message tells the time of the smallest.
    """
    expect(rule in RULES, f"rule: must be one of {', '.join(RULES)}; got '{rule}'")
    expect(0 < step < 1, f"step: must be above 0 and below 1, got {step:g}")
    expect_budget(budget_ms)
    limits = Limits(budget_ms=budget_ms, confidence=confidence, lam=lam)
    estimator = Estimator.of(network, predictor, limits, accuracy, recipe)
    walk = _Walk(estimator, extrapolate, RULES[rule])
    now = estimator.told(network)
    if now.ms_at_confidence[0] > budget_ms:
        walk.expect_possible(network)
    changes, seen, share = [""], [now], step
    whole = float(now.ms_at_confidence[0])
    while now.ms_at_confidence[0] > budget_ms:
        words, now = walk.step(now, share * whole)
        changes.append(words)
        seen.append(now)
        share = max(share * DECAY, min(LEAST_STEP, step))
    path = pd.concat([one.frame() for one in seen], ignore_index=True)
    path.insert(0, "step", range(len(path)))
    path.insert(1, "change", changes)
    return Shrunk(now.architectures[0], path)


@dataclass(frozen=True, slots=True)
class _Walk:
    estimator: Estimator
    extrapolate: bool
    rule: Rule

    def step(self, now: Estimates, less_ms: float) -> tuple[str, Estimates]:
        """What is changed next, and the network with it: at least `less_ms` faster.

        Where no knob takes that much off, half of it is asked for, and so on.
        """
        upper, budget = float(now.ms_at_confidence[0]), self.estimator.limits.budget_ms
        turnable = self._knobs(now)
        for halved in range(HALVINGS):
            goal = max(budget, upper - less_ms / 2**halved)
            found = reaching(turnable, upper, goal, self._times)
            if not found:
                continue
            every = self.estimator.estimate([one.architecture for one in found])
            fit = _lesser(every, now)
            if fit.any():
                row = self.rule(every, fit, now, budget)
                return found[row].words, self.estimator.told(found[row].architecture)
        raise InputError(
            f"budget: shrinking ends at {upper:.4g} ms at the confidence, above {budget:g} ms: no"
            " further change keeps the structures that can be judged; give a larger budget, or"
            " another network"
        )

    def expect_possible(self, network: Architecture) -> None:
        """Raise InputError if even with every knob at its least the budget cannot be kept.

        Less work takes less time, so no network on the way is faster than that one. Its interval
        does not count: far from all that was timed it is wider than those on the way.
        """
        least, budget = smallest(network, self._known), self.estimator.limits.budget_ms
        ms = float(self.estimator.time([least])[0][0])
        expect(
            ms <= budget,
            f"budget: no network made from this one keeps {budget:g} ms; the smallest is predicted"
            f" at {ms:.4g} ms: {least.to_text()}",
        )

    def _knobs(self, now: Estimates) -> list[Knob]:
        return knobs(now.architectures[0], self._known)

    @property
    def _known(self) -> Support | None:
        return None if self.extrapolate else self.estimator.predictor.support_

    def _times(self, architectures: Sequence[Architecture]) -> list[float]:
        times: list[float] = self.estimator.time(architectures)[1].tolist()
        return times


def _lesser(every: Estimates, now: Estimates) -> Mask:
    """Which members are faster, with and without the confidence, and no further from the rules."""
    fit: Mask = (
        (every.ms < now.ms[0])
        & (every.ms_at_confidence < now.ms_at_confidence[0])
        & (every.broken <= now.broken[0] + _EQUAL)
    )
    return fit
