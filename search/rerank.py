"""A front ranked anew: networks that were timed by their times, others by corrected predictions."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from palmette.latency import Interval
from palmette.latency.drift.noise import Noise
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE
from palmette.search.correction import Correction, sigma_of
from palmette.search.front import non_dominated
from palmette.search.problem import describe
from palmette.search.proposals import evenly_spaced
from palmette.search.retime_plan import unbudgeted
from palmette.search.run import Run
from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STAYS, LEAVES, ENTERS, OUT = "stays", "leaves", "enters", "out"
"""What becomes of a network: on the front before and after, only before, only after, never."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What timings say of codes (n,): milliseconds, NaN where not timed, and their noise."""

    ms: Floats
    spread: Floats
    """Of the log of each timing, were it taken again, (n,)."""
    noise: Noise

    def upper_ms(self, confidence: float) -> Floats:
        """Milliseconds that hold at a confidence, as `palmette latency compare` says it, (n,)."""
        return np.asarray(self.ms * np.exp(stdtrit(self.noise.dof, confidence) * self.spread))


def ranked(run: Run, codes: Codes, measured: Measured, before: Mask) -> pd.DataFrame:
    """Networks of the old front and the new, and those that were timed, with what is thought now.

    Args:
        run: that is ranked anew.
        codes: of all candidates, (n, genes).
        measured: what was timed of them.
        before: whether each is on the old front, (n,).
    """
    problem, known = run.problem, np.isfinite(measured.ms)
    old, ms, upper = _corrected(run, codes, measured)
    found = unbudgeted(problem, codes)
    score = found.top1 - problem.limits.lam * found.sigma
    points, allowed = np.stack([ms, -score], axis=1), found.violation == 0
    best = _best(run, points, upper, allowed, known | before)
    ties = best[score[best] >= score[best].max() - problem.accuracy.tie_points]
    every = np.arange(len(codes))
    now = np.isin(every, best)
    rows = every[known | before | now]
    described = pd.DataFrame(describe(problem, codes[rows]))
    columns = {
        "fate": np.select([before & now, before, now], [STAYS, LEAVES, ENTERS], OUT),
        "pick": every == picked(ties, known),
        "predicted_ms": old.ms,
        "predicted_low": old.lower_ms,
        "predicted_high": old.upper_ms,
        "measured_ms": measured.ms,
        "ms": ms,
        "ms_at_confidence": upper,
    }
    table = pd.DataFrame({name: values[rows] for name, values in columns.items()})
    table.insert(0, "id", described["id"])
    table.insert(3, "pick_before", described["id"] == run.pick.id)
    more = ["top1", "score", "params_m", "macs_m", "architecture"]
    return pd.concat([table, described[more]], axis=1)


def picked(ties: Ints, known: Mask) -> int:
    """Of places that are as good, fastest first: the fastest that was timed, if one was."""
    timed = ties[known[ties]]
    return int(timed[0] if len(timed) else ties[0])


def _corrected(run: Run, codes: Codes, measured: Measured) -> tuple[Interval, Floats, Floats]:
    """The prediction of each code, its milliseconds now, and those that hold at the confidence."""
    problem, known = run.problem, np.isfinite(measured.ms)
    old = problem.latency.interval(problem.compiled_codes.full(codes), DEFAULT_CONFIDENCE)
    factor = problem.latency.predictor.usual_factor(DEFAULT_CONFIDENCE)
    errors = np.log(measured.ms[known] / old.ms[known])
    sigma = sigma_of(factor, DEFAULT_CONFIDENCE)
    correction = Correction.of(codes[known], errors, sigma, measured.noise.spread)
    mean, spread = correction.at(codes)
    ms = np.where(known, measured.ms, old.ms * np.exp(mean))
    confidence = problem.limits.confidence
    upper = ms * np.exp(NormalDist().inv_cdf(confidence) * spread)
    return old, ms, np.where(known, measured.upper_ms(confidence), upper)


def _best(run: Run, points: Floats, upper_ms: Floats, allowed: Mask, kept: Mask) -> Ints:
    """Places of the new front, fastest first; of newcomers that were not timed evenly spaced ones.

    Args:
        run: that is ranked anew.
        points: milliseconds and minus the score, (n, 2).
        upper_ms: milliseconds that hold at the confidence, (n,).
        allowed: what keeps the other limits, (n,).
        kept: what stands on the front wherever it belongs there, (n,).

    Raises:
        InputError: nothing keeps the budget.
    """
    limits = run.problem.limits
    own = np.flatnonzero(allowed & (upper_ms <= limits.budget_ms))
    expect(
        len(own) > 0,
        f"{run.folder.path}: no network keeps {limits.budget_ms:g} ms at confidence"
        f" {limits.confidence:g} by these timings; the fastest takes {upper_ms.min():.4g} ms there;"
        " search again with a predictor that is fitted to them",
    )
    best = own[non_dominated(points[own])]
    spaced = best[evenly_spaced(points[best], run.config.first)]
    return np.asarray(best[kept[best] | np.isin(best, spaced)])
