"""Of what a change between two tables is made: one factor, the floor, kinds of ops or blocks.

Milliseconds b of the second table follow from those of the first as

    b = factor * (1 + change of the thing's kind) * a + floor

The floor, what a call costs whatever it runs, counts only for things that were called by
themselves. b / a is linear in all of it: least squares on relative errors, with Huber's weights, as
single things may have moved by themselves. Beside the factor that cause enters first which is
surest, then the next, as long as its p-value times the number of causes left stays below `ALPHA`
(Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from palmette.latency.drift.noise import LEAST_SPREAD, RUN_SPREAD
from palmette.latency.drift.pairs import Pair

Floats = NDArray[np.float64]

ALPHA = 0.025
"""Chance of a false finding among causes; as much again is left to single things."""
LEAST_PAIRS = 4
LEAST_OF_A_KIND = 3
LEAST_CHANGE = 0.02
"""Change of a kind against the others that is worth a word."""
FLOOR = "floor"
HUBER = 1.5
ROUNDS, SETTLED = 30, 1e-3
"""Most rounds of weighing things anew, and the change of a weight below which they end."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Effect:
    """A number with its interval at `CONFIDENCE`, and the p-value of there being nothing."""

    value: float
    lower: float
    upper: float
    p: float


@dataclass(frozen=True, slots=True)
class Causes:
    """What the pairs of a device and unit have in common.

    `factor` is that of all things; `floor_ms` is added to each call, `kinds` are factors of a kind
    against the others: both only where found.
    """

    factor: Effect
    floor_ms: Effect | None
    kinds: dict[str, Effect]
    scatter: float
    """Spread of the ratios about what is explained, relative."""
    alpha: float
    """P-value from which on the factor is sure."""

    @property
    def factor_moved(self) -> bool:
        """Whether the factor is sure, and more than one run differs from the next."""
        return self.factor_known and abs(math.log(self.factor.value)) > math.log1p(RUN_SPREAD)

    @property
    def factor_known(self) -> bool:
        """Whether the factor is sure, however small."""
        return self.factor.p <= self.alpha

    def ratio(self, sort: str, a_ms: float, alone: bool) -> float:
        """Ratio that a thing should have by its kind and time, called by itself or not."""
        kind = self.kinds[sort].value if sort in self.kinds else 1.0
        floor = self.floor_ms.value if self.floor_ms and alone else 0.0
        return max(self.factor.value * kind + floor / a_ms, 1e-6)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Coefficients of columns, their standard errors, and the relative scatter."""

    beta: Floats
    error: Floats
    scatter: float
    dof: int

    @property
    def order(self) -> tuple[float, float]:
        """Sorts by how sure the last column is; of equals, what leaves the factor nearer to 1."""
        t = abs(float(self.beta[-1])) / max(float(self.error[-1]), 1e-12)
        return -float(f"{t:.6g}"), abs(math.log(max(float(self.beta[0]), 1e-6)))

    def p(self, at: int, null: float = 0.0) -> float:
        """Two-sided p-value of a coefficient being `null`."""
        t = abs(self.beta[at] - null) / max(float(self.error[at]), 1e-12)
        return float(2 * stdtr(self.dof, -t))

    def effect(self, at: int, scale: float = 1.0, shift: float = 0.0, null: float = 0.0) -> Effect:
        """A coefficient times `scale` plus `shift`, with its interval."""
        half = float(stdtrit(self.dof, (1 + CONFIDENCE) / 2)) * float(self.error[at])
        middle, half = scale * float(self.beta[at]) + shift, scale * half
        return Effect(middle, middle - half, middle + half, self.p(at, null))


def causes_of(pairs: Sequence[Pair], alpha: float = ALPHA) -> Causes | None:
    """What explains the ratios of pairs; things that changed their unit are no part of it.

    Args:
        pairs: of one device and unit.
        alpha: chance of a false finding.

    None if fewer than `LEAST_PAIRS` are left.
    """
    pairs = [pair for pair in pairs if not pair.moved_unit]
    if len(pairs) < LEAST_PAIRS:
        return None
    ratio = np.array([pair.ratio for pair in pairs])
    candidates = _candidates(pairs)
    entered: list[str] = []
    fit = _fit(ratio, [])
    while candidates and len(pairs) - len(entered) > LEAST_PAIRS:
        columns = [candidates[name] for name in entered]
        open_ones = [name for name in candidates if name not in entered]
        fits = {name: _fit(ratio, [*columns, candidates[name]]) for name in open_ones}
        sure = [
            name
            for name, one in fits.items()
            if one.p(-1) * len(fits) <= alpha and _matters(name, one, pairs)
        ]
        if not sure:
            break
        best = min(sure, key=lambda name: fits[name].order)
        entered.append(best)
        fit = fits[best]
    factor = fit.effect(0, null=1.0)
    found = {name: at for at, name in enumerate(entered, start=1)}
    kinds = {
        name: fit.effect(at, 1 / factor.value, 1.0) for name, at in found.items() if name != FLOOR
    }
    floor = fit.effect(found[FLOOR]) if FLOOR in found else None
    return Causes(factor, floor, kinds, fit.scatter, alpha)


def _candidates(pairs: Sequence[Pair]) -> dict[str, Floats]:
    """Column of each cause beside the factor; of a kind that all or few things are of, none."""
    sorts = np.array([pair.sort for pair in pairs])
    alone = np.array([pair.key[2] == "" for pair in pairs])
    floor = np.where(alone, 1 / np.array([pair.a.ms for pair in pairs]), 0.0)
    kinds = {str(sort): (sorts == sort).astype(float) for sort in sorted(set(sorts.tolist()))}
    shown = {
        name: column
        for name, column in kinds.items()
        if LEAST_OF_A_KIND <= column.sum() <= len(pairs) - LEAST_OF_A_KIND
    }
    if alone.sum() >= LEAST_PAIRS and np.ptp(floor) > 0:
        shown[FLOOR] = floor
    return shown


def _matters(name: str, fit: _Fit, pairs: Sequence[Pair]) -> bool:
    """Whether a cause is large enough to be told from what runs always differ by."""
    size = abs(float(fit.beta[-1])) / float(fit.beta[0])
    if name != FLOOR:
        return size > LEAST_CHANGE
    cheap = float(np.quantile([pair.a.ms for pair in pairs if pair.key[2] == ""], 0.1))
    return size / cheap > RUN_SPREAD


def _fit(ratio: Floats, columns: Sequence[Floats]) -> _Fit:
    """Weighted least squares of ratios on a constant and columns, relative errors, robust."""
    design = np.stack([np.ones_like(ratio), *columns], axis=1)
    dof = len(ratio) - design.shape[1]
    fitted, weights = np.full_like(ratio, float(np.median(ratio))), np.ones_like(ratio)
    for _ in range(ROUNDS):
        scaled = design * (np.sqrt(weights) / fitted)[:, None]
        beta = np.linalg.lstsq(scaled, ratio * np.sqrt(weights) / fitted, rcond=None)[0]
        fitted = np.maximum(design @ beta, 0.05 * ratio)
        off = np.abs(ratio / fitted - 1)
        middle = max(float(np.median(off)) / 0.6745, 1e-6)
        before, weights = weights, np.minimum(1.0, HUBER * middle / np.maximum(off, 1e-12))
        if np.abs(weights - before).max() < SETTLED:
            break
    # Huber (1973): the spread of what counts, over the share of things that count in full
    scatter = math.sqrt(float(((weights * off) ** 2).sum()) / dof) / float((weights == 1).mean())
    scatter = max(scatter, LEAST_SPREAD)
    relative = design / fitted[:, None]
    spread = np.linalg.pinv(relative.T @ relative).diagonal()
    return _Fit(beta.astype(float), scatter * np.sqrt(spread), scatter, dof)
