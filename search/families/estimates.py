"""What is known of the members of a family: predicted milliseconds, estimated accuracy, work.

An accuracy is the published prior, or any function of a list of architectures. What such a function
returns is checked, for it may be anybody's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import LatencyPredictor
from palmette.search.families.part_times import PartTimes
from palmette.search.limits import Limits
from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.train import AccuracyPrior, violations

Floats = NDArray[np.float64]
_NEARLY = 1e-6
_EQUAL = 1e-9
AccuracyFunction = Callable[[Sequence[Architecture]], tuple[Any, Any]]
"""Architectures to their top-1 and its standard deviation, both in %, of shape (n,)."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Everything that a choice among members needs; arrays of shape (n,)."""

    architectures: tuple[Architecture, ...]
    ms: Floats
    ms_at_confidence: Floats
    """The true time stays below this with the confidence."""
    top1: Floats
    score: Floats
    """top1 less lambda standard deviations."""
    broken: Floats
    """How far a network breaks the structures that the prior may judge; 0 if not at all."""

    def only(self, row: int) -> Estimates:
        """One member."""
        arrays = (getattr(self, item.name)[row : row + 1] for item in fields(self))
        return Estimates(*arrays)

    def frame(self) -> pd.DataFrame:
        """The members as a table.

        Columns: ms, ms_at_confidence, top1, score, params_m, macs_m, architecture (its text).
        """
        return pd.DataFrame(
            {
                "ms": self.ms,
                "ms_at_confidence": self.ms_at_confidence,
                "top1": self.top1,
                "score": self.score,
                "params_m": [one.params() / 1e6 for one in self.architectures],
                "macs_m": [one.macs() / 1e6 for one in self.architectures],
                "architecture": [one.to_text() for one in self.architectures],
            }
        )


@dataclass(frozen=True, slots=True)
class Estimator:
    """Predictor and accuracy of one family: networks of the same kinds of blocks.

    `limits` give the budget, its confidence and lambda; its other limits are not looked at.
    """

    predictor: LatencyPredictor
    limits: Limits
    accuracy: AccuracyFunction | None
    """None for the prior."""
    recipe: str | None
    parts: PartTimes | None
    """None where a network's time is not that of its parts."""

    @classmethod
    def of(
        cls,
        base: Architecture,
        predictor: LatencyPredictor,
        limits: Limits,
        accuracy: AccuracyFunction | None = None,
        recipe: str | None = None,
    ) -> Estimator:
        """Estimator of the networks made from `base`.

        Raises:
            InputError: the prior cannot judge the base, an unknown recipe, or one for a function.
        """
        expect(
            recipe is None or accuracy is None,
            "recipe: is one of the prior; leave it out where an accuracy function is given",
        )
        parts = PartTimes.of(base, predictor)
        made = cls(predictor, limits, accuracy, recipe, parts)
        if accuracy is None:
            try:
                AccuracyPrior.load().evaluate([base], recipe)
            except InputError as error:
                raise InputError(
                    f"{error}; from Python an `accuracy` function of your own can be given"
                ) from None
        return made

    def time(self, networks: Sequence[Architecture]) -> tuple[Floats, Floats]:
        """Milliseconds and those at the confidence (one-sided), each of shape (n,)."""
        confidence = self.limits.confidence
        if self.parts is not None and networks:
            interval = self.parts.interval(networks, confidence)
        else:
            interval = self.predictor.predict_interval(networks, confidence, two_sided=False)
        return interval.ms, interval.upper_ms

    def keeps(self, network: Architecture) -> bool:
        """Whether a network keeps the budget at the confidence."""
        upper = float(self.time([network])[1][0])
        if abs(upper / self.limits.budget_ms - 1) < _NEARLY:  # sums over parts differ in rounding
            upper = float(self.told(network).ms_at_confidence[0])
        return upper <= self.limits.budget_ms

    def judges(self, network: Architecture, base: Architecture) -> bool:
        """Whether a network is no further from the structures that can be judged than a base."""
        return self._broken(network) <= self._broken(base) + _EQUAL

    def _broken(self, network: Architecture) -> float:
        """As `Estimates.broken`, without the estimate."""
        if self.accuracy is not None:
            return 0.0
        return float(sum(violation.amount for violation in violations(network)))

    def told(self, network: Architecture) -> Estimates:
        """Estimates of one network, its time predicted as `palmette predict` does."""
        confidence = self.limits.confidence
        interval = self.predictor.predict_interval([network], confidence, two_sided=False)
        found = self.estimate([network])
        return replace(found, ms=interval.ms, ms_at_confidence=interval.upper_ms)

    def estimate(self, architectures: Sequence[Architecture]) -> Estimates:
        """All estimates of architectures.

        Raises:
            InputError: the prior cannot judge one, or the accuracy function returned no numbers.
        """
        ms, upper = self.time(architectures)
        if self.accuracy is None:
            batch = AccuracyPrior.load().evaluate(architectures, self.recipe)
            top1, sigma, broken = batch.top1, batch.sigma, batch.violation
        else:
            top1, sigma = _checked(self.accuracy(architectures), len(architectures))
            broken = np.zeros(len(architectures))
        score = top1 - self.limits.lam * sigma
        return Estimates(tuple(architectures), ms, upper, top1, score, broken)


def _checked(answer: Any, count: int) -> tuple[Floats, Floats]:
    """Top-1 and sigma that an accuracy function returned."""
    rule = "accuracy function: must return (top1, sigma), each a finite number per architecture"
    try:
        top1, sigma = (np.asarray(values, dtype=np.float64) for values in answer)
    except (TypeError, ValueError) as error:
        raise InputError(f"{rule}; got {type(answer).__name__} ({error})") from None
    expect(
        top1.shape == sigma.shape == (count,),
        f"{rule}; for {count} it returned the shapes {top1.shape} and {sigma.shape}",
    )
    expect(bool(np.isfinite(top1).all() and np.isfinite(sigma).all()), f"{rule}; got NaN or inf")
    expect(bool((sigma >= 0).all()), f"{rule}, sigma not negative; got {sigma.min():g}")
    return top1, sigma
