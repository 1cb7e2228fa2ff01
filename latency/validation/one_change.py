"""Published one-change timings beside what a predictor says of the same change.

A predictor can get totals right and slopes wrong, and a search lives on slopes. Ablation tables
print what one change did to a network on one phone by one protocol; `data/one_change.csv` holds the
pairs found for the phones, units and systems of our targets, as figures with source. Left out are
widths of networks with shuffles, and of those that plainly left the Neural Engine (StarNet paper).
Prediction is by a fit without the families of both networks. Its interval spans that fit, those
without one design more, and each blended form alone, as with `palmette.latency.effects`; the
measured effect has a range too, as milliseconds are printed to one or two decimals.

Rows whose `runtime` is not the target's are for orientation and count in no metric. Rows without
networks are changes that no form can express or whose networks are not published; `remark` says so.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from palmette.latency.effects import single_forms
from palmette.latency.kin import kin_of
from palmette.latency.tables import read_csv
from palmette.latency.targets import TARGETS
from palmette.latency.uncertainty import held_out_fits
from palmette.latency.validation.held_out import Timed
from palmette.latency.validation.mixers import varied_ops
from palmette.latency.whole.model import Measured, fit_family
from palmette.space import OpTable


@dataclass(frozen=True, slots=True)
class OneChange:
    """Two timings that differ by one thing; milliseconds as printed."""

    change: str
    target: str
    runtime: str
    before: str
    after: str
    before_ms: str
    after_ms: str
    source: str
    remark: str

    @property
    def expressible(self) -> bool:
        """Whether the networks can be written as ops that have prices."""
        return bool(self.before)

    @property
    def counts(self) -> bool:
        """Whether the pair was timed on the target's own runtime."""
        return TARGETS[self.target].runtime == self.runtime

    @property
    def families(self) -> frozenset[str]:
        """Families that a fit must not have seen."""
        return frozenset(kin_of(name.partition("/")[0]) for name in (self.before, self.after))

    def measured(self) -> tuple[float, float, float]:
        """Relative change, and the least and most that rounding leaves possible."""
        (low, ms, high), (low_after, ms_after, high_after) = map(
            _rounded, (self.before_ms, self.after_ms)
        )
        return ms_after / ms - 1, low_after / high - 1, high_after / low - 1


@dataclass(frozen=True, slots=True)
class Compared:
    """A published change with its predicted relative effect and the interval of that."""

    published: OneChange
    predicted: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether measured range and predicted interval meet."""
        _, low, high = self.published.measured()
        return low <= self.high and self.low <= high

    @property
    def points(self) -> float:
        """Absolute difference of predicted and measured effect, in percentage points."""
        return 100 * abs(self.predicted - self.published.measured()[0])


@functools.cache
def one_changes() -> tuple[OneChange, ...]:
    """All rows of the shipped table."""
    table = read_csv(Path(str(files("palmette.latency") / "data" / "one_change.csv")))
    columns = [table[field.name].tolist() for field in fields(OneChange)]
    return tuple(OneChange(*row) for row in zip(*columns, strict=True))


def compare(families: Sequence[Timed]) -> list[Compared]:
    """Every expressible published change on a target that there are timings of.

    Args:
        families: timings, as `timed_families` gives them.
    """
    of_target = {target: timed for timed in families for target in timed.targets}
    found = []
    for row in one_changes():
        timed = of_target.get(row.target)
        if timed is None or not row.expressible:
            continue
        held = frozenset(n for n in timed.measured.ops if timed.kin[n] in row.families)
        inside = timed.without(held)
        if inside is not None:
            found.append(_compared(row, timed.family, inside))
    return found


def summary(found: list[Compared]) -> dict[str, float | None]:
    """Metrics over the rows that count: shares as fractions, errors in percent and points.

    `one_change_mape` is of the ratio of milliseconds after and before, `one_change_median_points`
    of the effect.
    """
    own = [row for row in found if row.published.counts]
    count: dict[str, float | None] = {"one_change_rows": len(own)}
    if not own:
        return count | dict.fromkeys(
            ("one_change_within_interval", "one_change_mape", "one_change_median_points")
        )
    ratios = [(1 + row.predicted) / (1 + row.published.measured()[0]) for row in own]
    return count | {
        "one_change_within_interval": float(np.mean([row.inside for row in own])),
        "one_change_mape": 100 * float(np.mean(np.abs(np.array(ratios) - 1))),
        "one_change_median_points": float(np.median([row.points for row in own])),
    }


def _compared(row: OneChange, family: str, inside: Measured) -> Compared:
    models = fit_family(family, inside)
    model = models[row.target]
    others = [f[row.target] for f in held_out_fits(family, inside).values() if row.target in f]
    ops = {name: OpTable.of(varied_ops(name)) for name in (row.before, row.after)}
    known: Any = Measured({}, ops)  # shares features over models
    every = [model, *others, *single_forms(model)]
    ratios = np.array(
        [known.predict(row.after, one) / known.predict(row.before, one) - 1 for one in every]
    )
    return Compared(row, float(ratios[0]), float(ratios.min()), float(ratios.max()))


def _rounded(text: str) -> tuple[float, float, float]:
    """Lowest, printed and highest value of a printed number."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    return float(text) - half, float(text), float(text) + half
