"""Does a network that was chosen by a first table keep its budget by a second one?

The surest answer that the tables allow is taken: the network itself, if the second table timed
it; else a predictor fitted to that table; else what was predicted, times the ratio of its ops.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from palmette.latency.budget import expect_budget, expect_confidence
from palmette.latency.drift.causes import CONFIDENCE
from palmette.latency.drift.compare import UnitComparison
from palmette.latency.drift.pairs import Key, Pair, network_id, sort_of
from palmette.latency.predictor import LatencyPredictor, fit, ops_of
from palmette.space import InputError

TIMED, FITTED, BY_OPS, UNKNOWN = "timed", "fitted", "ops", "unknown"
"""How an answer was found."""
WORDS = {
    TIMED: "timed itself",
    FITTED: "by a predictor fitted to the second table",
    BY_OPS: "by the ratio of its ops",
    UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A network that was chosen; milliseconds as they were predicted then, NaN if nobody did."""

    name: str
    subject: str
    """As a timing table names it: zoo name or architecture text."""
    ms: float = math.nan
    ms_at_confidence: float = math.nan


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a network keeps its budget; None where nothing says."""

    name: str
    how: str
    before_ms: float
    before_at_confidence: float
    after_ms: float
    after_at_confidence: float
    kept_before: bool | None
    kept: bool | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None for what is not known."""
        cells = asdict(self)
        return {k: None if v != v else v for k, v in cells.items()}  # NaN differs from itself


@dataclass(frozen=True, slots=True)
class _After:
    """Milliseconds by the second table, and the factor up to which they hold at the confidence."""

    how: str
    ms: float
    at_confidence: float
    note: str = ""


def kept_budgets(
    unit: UnitComparison,
    rows_b: pd.DataFrame,
    networks: Sequence[Chosen],
    budget_ms: float,
    confidence: float,
    predictor: LatencyPredictor | None = None,
) -> list[Kept]:
    """Whether networks keep a budget by the second table, at a one-sided confidence.

    Args:
        unit: the comparison on their device and unit.
        rows_b: the second table; its `latency_ms` are those that the budget is of.
        networks: what was chosen.
        budget_ms: milliseconds of one image.
        confidence: above 0.5 and below 1.
        predictor: that they were chosen by, if there is one: it shares time among ops.

    Raises:
        InputError: a budget or a confidence out of range, or a subject that is no network.
    """
    expect_budget(budget_ms)
    expect_confidence(confidence)
    first, second = unit.found.a.networks, unit.found.b.networks
    found, refit = [], _Refit(rows_b, unit.found.b.target)
    for chosen in networks:
        name = network_id(chosen.subject)
        before = _before(unit, chosen, first.get(name), confidence)
        after = (
            _timed(unit, second.get(name), confidence)
            or refit.predict(chosen, confidence)
            or _by_ops(unit, chosen, before, confidence, predictor, refit.reason)
        )
        found.append(_kept(chosen, before, after, budget_ms))
    return found


def _before(unit: UnitComparison, chosen: Chosen, key: Key | None, confidence: float) -> Chosen:
    """As it was predicted; else as the first table timed it."""
    if key is None or chosen.ms == chosen.ms:
        return chosen
    timed = unit.found.a.timed[key]
    factor = math.exp(_quantile(unit.found.a.noise.dof, confidence) * timed.spread)
    return Chosen(chosen.name, chosen.subject, timed.ms, timed.ms * factor)


def _timed(unit: UnitComparison, key: Key | None, confidence: float) -> _After | None:
    if key is None:
        return None
    timed, noise = unit.found.b.timed[key], unit.found.b.noise
    factor = math.exp(_quantile(noise.dof, confidence) * timed.spread)
    return _After(TIMED, timed.ms, timed.ms * factor)


class _Refit:
    """A predictor of the second table, fitted when it is first asked for."""

    def __init__(self, rows: pd.DataFrame, target: str) -> None:
        self.rows, self.target = rows, target
        self.reason = ""
        self._fitted: LatencyPredictor | None = None

    def predict(self, chosen: Chosen, confidence: float) -> _After | None:
        if self._fitted is None and not self.reason:
            try:
                self._fitted = fit(self.rows, self.target)[self.target]
            except InputError as error:
                self.reason = str(error)
        if self._fitted is None:
            return None
        time = self._fitted.predict_interval([chosen.subject], confidence, two_sided=False)
        return _After(FITTED, float(time.ms[0]), float(time.upper_ms[0]))


def _by_ops(
    unit: UnitComparison,
    chosen: Chosen,
    before: Chosen,
    confidence: float,
    predictor: LatencyPredictor | None,
    reason: str,
) -> _After:
    causes = unit.causes
    if causes is None or before.ms != before.ms:
        lacks = "too few pairs" if causes is None else "no prediction by the first table"
        return _After(UNKNOWN, math.nan, math.nan, f"{lacks}; no predictor either: {reason}")
    if predictor is None:
        ms, shown = before.ms * causes.factor.value, 0.0
    else:
        ms, shown = _moved_ops(unit, chosen, before.ms, predictor)
    ms += causes.floor_ms.value if causes.floor_ms else 0.0
    dof = max(len(unit.rows) - 2, 1)
    wide = (causes.factor.upper - causes.factor.lower) / causes.factor.value
    error = wide / (2 * _quantile(dof, (1 + CONFIDENCE) / 2))
    width = math.log(before.ms_at_confidence / before.ms)
    width = math.hypot(width, _quantile(dof, confidence) * error)
    return _After(
        BY_OPS, ms, ms * math.exp(width), f"{shown:.0%} of its time is in ops timed twice"
    )


def _moved_ops(
    unit: UnitComparison, chosen: Chosen, before_ms: float, predictor: LatencyPredictor
) -> tuple[float, float]:
    """Milliseconds of a network whose ops moved as timed, or as their kind; the share of timed."""
    assert unit.causes is not None
    twice = _op_ratios([row.pair for row in unit.rows])
    parts = predictor.breakdown(ops_of(chosen.subject))
    shares = before_ms * np.asarray(parts["share"], dtype=float)
    after, shown = 0.0, 0.0
    for text, ms in zip(parts["op"], shares.tolist(), strict=True):
        if text in twice:
            shown += ms
            after += ms * twice[text]
        else:
            after += ms * unit.causes.ratio(sort_of("op", text), 1.0, alone=False)
    rest = before_ms - float(shares.sum())
    return after + rest * unit.causes.factor.value, shown / before_ms


def _op_ratios(pairs: Sequence[Pair]) -> dict[str, float]:
    """Ratio of each op; of one that was timed inside several networks the geometric mean."""
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.key[0] == "op":
            ratios[pair.key[1]].append(pair.ratio)
    return {text: statistics.geometric_mean(own) for text, own in ratios.items()}


def _quantile(dof: float, confidence: float) -> float:
    return float(stdtrit(dof, confidence))


def _kept(chosen: Chosen, before: Chosen, after: _After, budget_ms: float) -> Kept:
    def keeps(ms: float) -> bool | None:
        return None if ms != ms else bool(ms <= budget_ms)

    return Kept(
        chosen.name,
        after.how,
        before.ms,
        before.ms_at_confidence,
        after.ms,
        after.at_confidence,
        keeps(before.ms_at_confidence),
        keeps(after.at_confidence),
        after.note,
    )
