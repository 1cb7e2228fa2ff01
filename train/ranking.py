"""How well one list of numbers ranks another: Kendall's tau, its bootstrap, and paired differences.

A pair of networks agrees if both lists order it alike. Tau is tau-b: agreeing less disagreeing
pairs, over the geometric mean of the pairs that each list orders at all. A resample draws as many
networks with replacement; one that is drawn twice is no pair with itself, so tau of a resample is a
quotient of quadratic forms in how often each was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect
from palmette.train.features import Floats

if TYPE_CHECKING:
    import pandas as pd

Pairs = NDArray[np.bool_]
RESAMPLES = 4000
COUNTS = (1, 2, 5, 10, 20, 50)
"""Of networks, the best of which is looked at."""


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


def within(groups: Sequence[str]) -> Pairs:
    """Pairs (n, n) of one group, such as a training recipe; a blank is of no group."""
    named = np.asarray(groups, dtype=object)
    found: Pairs = (named[:, None] == named[None, :]) & (named != "")[:, None]
    return found


def order_by_distance(
    estimate: Floats,
    truth: Floats,
    edges: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0),
    pairs: Pairs | None = None,
) -> pd.DataFrame:
    """How often the estimate orders a pair as the truth does, by how far apart its estimates are.

    Columns: `from` and `to` of the distance of the two estimates, to not included; `pairs`;
    `right`, the share of them that the truth orders alike, one half for tossing a coin. Pairs that
    are equal in the estimate or in the truth count one half.

    Args:
        estimate: (n,), of networks.
        truth: (n,).
        edges: of the distances, rising from 0; the last class has no end.
        pairs: symmetric (n, n), the pairs that count; default all.

    Raises:
        InputError: lists of two lengths, or edges that don't rise from 0, so that pairs were lost.
    """
    import pandas as pd

    _check_lists(estimate, truth)
    expect(
        len(edges) > 0 and edges[0] == 0 and bool(np.all(np.diff(edges) > 0)),
        f"edges: must rise from 0, got {', '.join(f'{edge:g}' for edge in edges) or 'none'}",
    )
    every = np.ones((len(truth), len(truth)), dtype=np.bool_)
    first, second = np.nonzero(np.triu(every if pairs is None else pairs, 1))
    by_estimate = estimate[first] - estimate[second]
    agrees = (1 + np.sign(by_estimate) * np.sign(truth[first] - truth[second])) / 2
    place = np.searchsorted(np.asarray(edges), np.abs(by_estimate), side="right") - 1
    rows = []
    for at, (low, high) in enumerate(zip(edges, [*edges[1:], np.inf], strict=True)):
        inside = agrees[place == at]
        rows.append((low, high, len(inside), inside.mean() if len(inside) else np.nan))
    return pd.DataFrame(rows, columns=["from", "to", "pairs", "right"])


def best_of(
    estimate: Floats,
    truth: Floats,
    counts: Sequence[int] | None = None,
    *,
    trained: int = 1,
    draws: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """What becomes of the best of n networks by their estimates, n of them drawn at a time.

    Columns: `of`, n; `estimated` and `true`, means of the two values of the one taken; `optimism`,
    the first less the second; `lost`, truth of the truly best of the n less that of the one taken.

    Args:
        estimate: (networks,).
        truth: (networks,), in the same unit.
        counts: n, each at most as many as there are networks; default those of `COUNTS` that are.
        trained: so many with the highest estimates have their truth found out, and the truly best
            of these is taken.
        draws: of n networks without replacement.
        seed: of the draws.

    Raises:
        InputError: lists of two lengths, fewer than one draw or one trained, or a count of which
            there are not so many networks.
    """
    import pandas as pd

    _check_lists(estimate, truth)
    if counts is None:
        counts = [count for count in COUNTS if count <= len(truth)]
    for count in counts:
        expect(
            1 <= count <= len(truth),
            f"counts: must be from 1 to {len(truth)}, as many as there are networks, got {count}",
        )
    for name, number in {"trained": trained, "draws": draws}.items():
        expect(number >= 1, f"{name}: must be 1 or more, got {number}")
    rng = np.random.default_rng(seed)
    every = np.tile(np.arange(len(truth)), (draws, 1))
    rows = []
    for count in counts:
        drawn = rng.permuted(every, axis=1)[:, :count]
        order = np.argsort(-estimate[drawn], axis=1, kind="stable")[:, :trained]
        listed = np.take_along_axis(drawn, order, axis=1)
        taken = listed[np.arange(draws), truth[listed].argmax(axis=1)]
        estimated, true = float(estimate[taken].mean()), float(truth[taken].mean())
        lost = float(truth[drawn].max(axis=1).mean()) - true
        rows.append((count, estimated, true, estimated - true, lost))
    return pd.DataFrame(rows, columns=["of", "estimated", "true", "optimism", "lost"])


def _check_lists(estimate: Floats, truth: Floats) -> None:
    expect(
        len(estimate) == len(truth) > 0,
        f"estimate and truth: must be as many and one at least, got {len(estimate)} and"
        f" {len(truth)}",
    )


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
