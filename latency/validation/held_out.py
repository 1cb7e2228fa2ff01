"""Every timed network predicted by fits that never saw it, and the scores of that.

Held out is a *design* (a network in all its widths and resolutions) or a whole *family* of designs
(`palmette.latency.kin`), on all targets. Intervals are themselves calibrated inside the fold, on
fits that leave out one design more. Baselines answer the same folds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from palmette.latency.fit_targets import timed_per_op
from palmette.latency.kin import kin
from palmette.latency.targets import parse_target
from palmette.latency.uncertainty import (
    design,
    estimate,
    held_out_errors,
    held_out_fits,
    hull_sums,
)
from palmette.latency.validation.baselines import BASELINES
from palmette.latency.whole.fitted import MIN_DESIGNS, measured_networks
from palmette.latency.whole.forms import FAMILIES, family_of
from palmette.latency.whole.model import Fits, Measured, fit_family
from palmette.space import MOBILENET_LIKE

CONFIDENCES = (0.5, 0.7, 0.8, 0.9)
CONFIDENCE = 0.8
OLD_RUNTIMES = ("coreml-ios12", "coreml-ios13")
MODERN_TARGET = "iphone-13/ane@coreml-ios16"

SPLITS = ("network", "family")
"""What is held out together: a design, or a whole family of designs."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Whole-network timings of targets that are fitted together, and who is kin to whom."""

    family: str
    """Of targets, of `FAMILIES`."""
    measured: Measured
    kin: Mapping[str, str]

    def groups(self, split: str) -> dict[str, str]:
        """What each network is held out with."""
        return {n: self.kin[n] if split == "family" else design(n) for n in self.measured.ops}

    @property
    def targets(self) -> list[str]:
        """Targets of the family itself, not those that it falls back to."""
        return [t for t in self.measured.latency_ms if family_of(parse_target(t)) == self.family]

    def without(self, networks: frozenset[str]) -> Measured | None:
        """The timings without some networks; None if a target can't be fitted from what is left."""
        left = self.measured.without(networks)
        return left if _is_enough(left) else None


def timed_families(timings: pd.DataFrame, fits: Fits | None = None) -> list[Timed]:
    """All whole-network timings of a table, by what is fitted together.

    Targets with timings per op are left out: they are not fitted from whole networks. So are those
    with anchors alone: what is left without one of them says nothing of the others.

    Args:
        timings: as `read_timings` gives them.
        fits: models of the same table that were fitted before.
    """
    names = sorted(set(timings["target"]))
    apart = [n for n in names if timed_per_op(timings, n) or parse_target(n).like in names]
    rows = timings[~timings["target"].isin(apart)]
    own_kin = kin(rows)
    found = [Timed(family, measured_networks(rows, family, fits), own_kin) for family in FAMILIES]
    for target in map(parse_target, names):
        if not target.family and str(target) not in apart:
            family = family_of(target)
            measured = measured_networks(rows, family, alone=target)
            found.append(Timed(family, measured, own_kin))
    return [timed for timed in found if timed.targets]


@dataclass(frozen=True, slots=True)
class Row:
    """One subject on one target, held out: milliseconds measured and predicted."""

    target: str
    subject: str
    measured_ms: float
    predicted_ms: float
    factors: Mapping[float, float]
    """Confidence -> factor of the two-sided interval, calibrated inside the fold."""
    baselines_ms: Mapping[str, float]
    split: str = "network"

    @property
    def mobilenet_like(self) -> bool:
        """One of the eight names of the zoo."""
        return self.subject in MOBILENET_LIKE

    @property
    def whole(self) -> bool:
        """A network with its head, not a backbone at a resolution of its own."""
        return "_backbone_" not in self.subject

    def covered(self, confidence: float = CONFIDENCE) -> bool:
        """Whether the measurement lies inside the interval of a confidence."""
        error = abs(math.log(self.measured_ms / self.predicted_ms))
        return error <= math.log(self.factors[confidence])


def held_out_rows(timed: Timed, split: str = "network") -> list[Row]:
    """Every timed network of a family of targets, predicted without its group.

    A group without which a target is left with fewer than `MIN_DESIGNS` - 1 designs to learn from
    has no rows.

    Args:
        timed: timings of the family.
        split: of `SPLITS`.
    """
    groups = timed.groups(split)
    rows: list[Row] = []
    for held in sorted(set(groups.values())):
        names = frozenset(name for name, group in groups.items() if group == held)
        inside = timed.without(names)
        if inside is not None:
            rows += _fold_rows(timed, inside, names, split)
    return rows


def _is_enough(measured: Measured) -> bool:
    """Whether every target can be fitted without one design more."""
    return all(
        len({design(n) for n in rows if measured.trains(n, family_of(parse_target(target)))})
        >= MIN_DESIGNS - 1
        for target, rows in measured.latency_ms.items()
    )


def _fold_rows(timed: Timed, inside: Measured, held: frozenset[str], split: str) -> list[Row]:
    models = fit_family(timed.family, inside)
    errors = held_out_errors(list(models), inside, held_out_fits(timed.family, inside))
    rows = []
    for target, model in models.items():
        spread = estimate(inside, errors[target])
        for name, ms in timed.measured.latency_ms[target].items():
            if name not in held:
                continue
            sums = hull_sums(inside, name)
            # one-sided, as it also takes a confidence of 0.5 in two sides
            factors = {c: float(spread.factor(sums, (1 + c) / 2, False)) for c in CONFIDENCES}
            simple = {key: predict(inside, target, name) for key, predict in BASELINES.items()}
            predicted_ms = inside.predict(name, model)
            rows.append(Row(target, name, ms, predicted_ms, factors, simple, split))
    return rows


def scores(rows: list[Row]) -> dict[str, float]:
    """Errors over rows of one target, in percent, and rank, coverage and width of intervals."""
    ratio = np.array([row.predicted_ms / row.measured_ms for row in rows])
    both = np.array([(row.predicted_ms, row.measured_ms) for row in rows])
    result = {
        "networks": len(rows),
        "mape": 100 * float(np.abs(ratio - 1).mean()),
        "bias": 100 * float(np.expm1(np.log(ratio).mean())),
        "worst": 100 * float(np.abs(ratio - 1).max()),
        "tau": float(kendalltau(both[:, 0], both[:, 1]).statistic) if len(rows) > 1 else math.nan,
        "coverage_80": coverage(rows, CONFIDENCE),
        "factor_80": median_factor(rows, CONFIDENCE),
    }
    for name in BASELINES:
        errors = [abs(row.baselines_ms[name] / row.measured_ms - 1) for row in rows]
        result[f"mape_{name}"] = 100 * float(np.mean(errors))
    return result


def coverage(rows: list[Row], confidence: float) -> float:
    """Share of rows whose measurement lies inside the interval of a confidence."""
    return float(np.mean([row.covered(confidence) for row in rows]))


def median_factor(rows: list[Row], confidence: float) -> float:
    """Median factor of the intervals of a confidence."""
    return float(np.median([row.factors[confidence] for row in rows]))


def headline(rows: list[Row], target: str) -> list[Row]:
    """The networks that a target's headline error is taken over.

    MobileNet-like ones under the 2020 runtimes; later, all whole networks.
    """
    own = [row for row in rows if row.target == target]
    if parse_target(target).runtime in OLD_RUNTIMES:
        return [row for row in own if row.mobilenet_like]
    return [row for row in own if row.whole]
