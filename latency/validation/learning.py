"""Learning curves: the error on networks never seen, against how many designs were timed.

From the designs of a family of targets a few are drawn, the family is fitted to those alone, on all
its targets, and the headline networks that were not drawn are predicted; the last point leaves out
one design at a time. A few draws tell how many more timings are worth making, not the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from palmette.latency.uncertainty import design
from palmette.latency.validation.baselines import BASELINES
from palmette.latency.validation.held_out import Row, Timed, headline
from palmette.latency.whole.model import Measured, fit_family

COUNTS = (4, 6, 8, 10, 12)
DRAWS = 8
TRIES = 50
"""Draws that leave a target with too little to be fitted are drawn again, this often at most."""


@dataclass(frozen=True, slots=True)
class Point:
    """Error on a target after fitting to some designs; errors are in percent, one per draw."""

    target: str
    designs: int
    """Designs that the whole family was fitted to."""
    mapes: tuple[float, ...]
    mapes_flops: tuple[float, ...]
    """Of MACs with an offset, fitted to the same designs."""

    @property
    def mape(self) -> float:
        """Mean over draws."""
        return float(np.mean(self.mapes))

    @property
    def mape_flops(self) -> float:
        """Mean over draws."""
        return float(np.mean(self.mapes_flops))


def learning_curves(
    families: Sequence[Timed], rows: Sequence[Row], draws: int = DRAWS, seed: int = 0
) -> list[Point]:
    """Points of all targets, from few designs to all but the one held out.

    Args:
        families: timings, as `timed_families` gives them.
        rows: held-out rows of the same timings, for the last point.
        draws: of designs, for each number of them.
        seed: of the draws.
    """
    points = []
    for index, timed in enumerate(families):
        rng = np.random.default_rng((seed, index))
        designs = sorted({design(name) for name in timed.measured.ops})
        for count in (count for count in COUNTS if count < len(designs) - 1):
            found = [_errors(timed, inside, rows) for inside in _drawn(timed, count, draws, rng)]
            points += _points(timed.targets, count, found)
        points += _points(timed.targets, len(designs) - 1, [_last(timed, rows)])
    return points


_Errors = dict[str, tuple[float, float]]
"""Target -> error of the fit and of MACs with an offset, percent."""


def _drawn(timed: Timed, count: int, draws: int, rng: np.random.Generator) -> Iterator[Measured]:
    designs = np.array(sorted({design(name) for name in timed.measured.ops}))
    found = 0
    for _ in range(TRIES * draws):
        chosen = set(rng.choice(designs, size=count, replace=False).tolist())
        left = timed.without(frozenset(n for n in timed.measured.ops if design(n) not in chosen))
        if left is not None and found < draws:
            found += 1
            yield left


def _errors(timed: Timed, inside: Measured, rows: Sequence[Row]) -> _Errors:
    found = {}
    flops = BASELINES["flops_offset"]
    for target, model in fit_family(timed.family, inside).items():
        tested = [
            row.subject
            for row in headline(list(rows), target)
            if row.subject not in inside.latency_ms[target]
        ]
        ms = np.array([timed.measured.latency_ms[target][name] for name in tested])
        own = np.array([inside.predict(name, model) for name in tested])
        simple = np.array([flops(inside, target, name) for name in tested])
        if tested:
            found[target] = _percent(own / ms), _percent(simple / ms)
    return found


def _last(timed: Timed, rows: Sequence[Row]) -> _Errors:
    found = {}
    for target in timed.targets:
        own = headline(list(rows), target)
        ours = np.array([row.predicted_ms / row.measured_ms for row in own])
        simple = np.array([row.baselines_ms["flops_offset"] / row.measured_ms for row in own])
        if own:
            found[target] = _percent(ours), _percent(simple)
    return found


def _percent(ratios: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return 100 * float(np.abs(ratios - 1).mean())


def _points(targets: Sequence[str], count: int, found: Sequence[_Errors]) -> list[Point]:
    points = []
    for target in targets:
        own = [errors[target] for errors in found if target in errors]
        if own:
            mapes, simple = zip(*own, strict=True)
            points.append(Point(target, count, mapes, simple))
    return points
