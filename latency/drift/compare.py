"""Two tables of one device, compared: what moved, and whether it is more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from palmette.latency.drift.causes import ALPHA, CONFIDENCE, Causes, causes_of
from palmette.latency.drift.noise import RUN_SPREAD
from palmette.latency.drift.pairs import Pair, Paired, paired, passports
from palmette.latency.quantity import LATENCY, timings_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moved:
    """A pair's ratio with its interval at `CONFIDENCE` by noise, and whether it moved.

    `q` is the p-value after Benjamini and Hochberg (1995): of all things with a `q` up to some
    share, at most that share is expected to be noise.
    """

    pair: Pair
    lower: float
    upper: float
    p: float
    q: float

    @property
    def moved(self) -> bool:
        """Whether it is more than noise, and more than one run differs from the next."""
        return self.q <= ALPHA and abs(math.log(self.pair.ratio)) > math.log1p(RUN_SPREAD)


@dataclass(frozen=True, slots=True)
class UnitComparison:
    """Two tables on one device and unit."""

    found: Paired
    rows: tuple[Moved, ...]
    """Every pair, the most moved first."""
    causes: Causes | None
    """None with too few pairs to tell."""

    @property
    def verdict(self) -> str:
        """What moved, in words."""
        if self.causes is None:
            return self._of_rows() or "too few pairs to tell more than single things apart"
        parts = [f"{name} against the rest" for name in self.causes.kinds]
        parts += ["the floor of a call"] if self.causes.floor_ms else []
        parts += ["everything by one factor"] if self.causes.factor_moved else []
        if parts:
            return "moved: " + ", ".join(parts)
        if self._of_rows():
            return self._of_rows()
        if self.causes.factor_known:
            return (
                f"a factor of {self.causes.factor.value:.3f} in everything, within the"
                f" {RUN_SPREAD:.0%} that one phone's runs differ by: no sign of a change"
            )
        return "nothing moved beyond noise"

    @property
    def moved(self) -> bool:
        """Whether anything did."""
        causes = self.causes
        by_cause = causes is not None and bool(
            causes.kinds or causes.floor_ms or causes.factor_moved
        )
        return by_cause or any(row.moved for row in self.rows)

    def _of_rows(self) -> str:
        count = sum(row.moved for row in self.rows)
        return f"moved: {count} of {len(self.rows)} things, each by itself" if count else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        a, b = self.found.a, self.found.b
        causes = self.causes
        return {
            "name": self.found.name,
            "targets": [a.target, b.target],
            "pairs": len(self.rows),
            "only_in_first": self.found.alone[0],
            "only_in_second": self.found.alone[1],
            "left_out": list(self.found.left_out),
            "noise": [
                {"spread": side.noise.spread, "from_repeats": side.noise.measured}
                for side in (a, b)
            ],
            "moved": self.moved,
            "verdict": self.verdict,
            "factor": None
            if causes is None
            else {
                **asdict(causes.factor),
                "moved": causes.factor_moved,
                "within_runs": causes.factor_known and not causes.factor_moved,
            },
            "floor_ms": asdict(causes.floor_ms) if causes and causes.floor_ms else None,
            "kinds": [
                {
                    "kind": kind,
                    "things": sum(row.pair.sort == kind for row in self.rows),
                    "median_ratio": _median(self.rows, kind),
                    "against_the_rest": asdict(causes.kinds[kind])
                    if causes and kind in causes.kinds
                    else None,
                }
                for kind in sorted({row.pair.sort for row in self.rows})
            ],
            "scatter": causes.scatter if causes else None,
            "placement_changed": [
                {
                    "subject": row.pair.key[1],
                    "first": row.pair.a.placement,
                    "second": row.pair.b.placement,
                    "ratio": row.pair.ratio,
                }
                for row in self.rows
                if row.pair.moved_unit
            ],
            "rows": [_row(row) for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two tables, by device and unit; `passports` are columns that differ, with what each says."""

    units: tuple[UnitComparison, ...]
    passports: tuple[tuple[str, list[str], list[str]], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "passports": [
                {"column": column, "first": a, "second": b} for column, a, b in self.passports
            ],
            "units": [unit.to_dict() for unit in self.units],
        }


def compare(rows_a: pd.DataFrame, rows_b: pd.DataFrame, quantity: str = LATENCY) -> Comparison:
    """Compare two tables of one device.

    Args:
        rows_a: the first, as `read_timings` gives it.
        rows_b: the second; ratios are its milliseconds over those of the first.
        quantity: which milliseconds, `latency` or `sustained`.

    Raises:
        InputError: no device, unit and subject in both, several runtimes of one unit in one of
            them, or none of the quantity.
    """
    rows_a, rows_b = timings_of(rows_a, quantity), timings_of(rows_b, quantity)
    every = paired(rows_a, rows_b)
    p = [_p_values(found) for found in every]
    # all units are one comparison: what is found by chance is counted over them together
    q = np.split(adjusted(np.concatenate(p)), np.cumsum([len(one) for one in p])[:-1])
    units = [
        UnitComparison(found, _moved(found, *tests), causes_of(found.pairs, ALPHA / len(every)))
        for found, *tests in zip(every, p, q, strict=True)
    ]
    return Comparison(tuple(units), tuple(passports(rows_a, rows_b)))


def _p_values(found: Paired) -> Floats:
    """Of each pair, two-sided, that noise alone makes its ratio, shape (pairs,)."""
    z = np.array([abs(math.log(pair.ratio)) / pair.spread for pair in found.pairs])
    return np.asarray(2 * stdtr(found.dof, -z), dtype=np.float64)


def _moved(found: Paired, p: Floats, q: Floats) -> tuple[Moved, ...]:
    width = float(stdtrit(found.dof, (1 + CONFIDENCE) / 2))
    rows = []
    for pair, *tests in zip(found.pairs, p.tolist(), q.tolist(), strict=True):
        factor = math.exp(width * pair.spread)
        rows.append(Moved(pair, pair.ratio / factor, pair.ratio * factor, *tests))
    return tuple(sorted(rows, key=lambda row: -abs(math.log(row.pair.ratio))))


def adjusted(p: Floats) -> Floats:
    """P-values after Benjamini and Hochberg (1995), in their order."""
    order = np.argsort(p)
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    found = np.empty_like(ranked)
    found[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return found


def _median(rows: Sequence[Moved], sort: str) -> float:
    return float(np.median([row.pair.ratio for row in rows if row.pair.sort == sort]))


def _row(row: Moved) -> dict[str, Any]:
    kind, subject, part_of = row.pair.key
    return {
        "subject_kind": kind,
        "subject": subject,
        "part_of": part_of,
        "kind": row.pair.sort,
        "first_ms": row.pair.a.ms,
        "second_ms": row.pair.b.ms,
        "ratio": row.pair.ratio,
        "lower": row.lower,
        "upper": row.upper,
        "p": row.p,
        "q": row.q,
        "moved": row.moved,
    }
