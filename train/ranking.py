"""How well one list of numbers ranks another: Kendall's tau, its bootstrap, and paired differences.

A pair of networks agrees if both lists order it alike. Tau is tau-b: agreeing less disagreeing
pairs, over the geometric mean of the pairs that each list orders at all. A resample draws as many
networks with replacement; one that is drawn twice is no pair with itself, so tau of a resample is a
quotient of quadratic forms in how often each was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.train.features import Floats

Pairs = NDArray[np.bool_]
RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def resamples(count: int, seed: int, draws: int = RESAMPLES) -> Floats:
    """How often each of n networks is drawn, (draws, n); the same for everything that is compared.

    Args:
        count: networks.
        seed: of the draws.
        draws: resamples.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def kendall(estimate: Floats, truth: Floats, pairs: Pairs | None = None) -> float:
    """Kendall's tau-b of n numbers, over all pairs or some; not a number where none is ordered.

    Args:
        estimate: (n,).
        truth: (n,).
        pairs: symmetric (n, n), the pairs that count.
    """
    return float(_taus(estimate, truth, pairs, np.ones((1, len(truth))))[0])


def bootstrap(estimate: Floats, truth: Floats, drawn: Floats, pairs: Pairs | None = None) -> Floats:
    """Tau of every resample (draws,); arguments as of `kendall`, and `resamples`."""
    return _taus(estimate, truth, pairs, drawn)


def with_interval(value: float, drawn: Floats, confidence: float = 0.95) -> Interval:
    """A number with the percentiles of its resamples; those without any pair are left out."""
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def near(work: Floats, share: float = 0.1) -> Pairs:
    """Pairs (n, n) of which the larger has at most so much more work than the smaller."""
    ratio = work[:, None] / work[None, :]
    found: Pairs = np.maximum(ratio, 1 / ratio) <= 1 + share
    return found


def best(truth: Floats, share: float = 0.2) -> Pairs:
    """Pairs (n, n) among the networks with the highest truth, at least two."""
    count = max(2, round(share * len(truth)))
    inside = np.zeros(len(truth), dtype=np.bool_)
    inside[np.argsort(-truth, kind="stable")[:count]] = True
    return inside[:, None] & inside[None, :]


def _taus(estimate: Floats, truth: Floats, pairs: Pairs | None, drawn: Floats) -> Floats:
    signs = [np.sign(np.subtract.outer(values, values)) for values in (estimate, truth)]
    if pairs is not None:
        signs = [sign * pairs for sign in signs]
    agree, ordered, true = (
        np.einsum("bi,ij,bj->b", drawn, form, drawn, optimize=True)
        for form in (signs[0] * signs[1], np.abs(signs[0]), np.abs(signs[1]))
    )
    with np.errstate(invalid="ignore"):
        found: Floats = agree / np.sqrt(ordered * true)
    return found
