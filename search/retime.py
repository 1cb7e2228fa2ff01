"""After a search: its front put right by timings of its picks, and ranked anew.

What the timed networks were off by corrects the predictions of the others (`search.correction`); a
network that was timed takes the time that was measured. The front, what was timed, and all that is
one gene away from either are ranked again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import Interval
from palmette.latency.quantity import timings_of
from palmette.latency.timings import read_timing_tables
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE
from palmette.search.correction import NOISE, Correction, sigma_of
from palmette.search.front import non_dominated
from palmette.search.problem import describe
from palmette.search.retime_plan import finished_run, unbudgeted
from palmette.search.run import Run, thinned
from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

STAYS, LEAVES, ENTERS, OUT = "stays", "leaves", "enters", "out"
"""What becomes of a network: on the front before and after, only before, only after, never."""


@dataclass(frozen=True)
class Retimed:
    """A front that was timed and ranked anew.

    `table` has a row for each network of the old front and the new one, and each that was timed,
    fastest first: what was predicted with its 80 % interval, what was measured (NaN: not timed),
    what is thought now with the time that holds at the run's confidence, and what becomes of it.
    """

    run: Run
    table: pd.DataFrame
    left_out: tuple[str, ...]
    """Timed networks that are none of the run's space."""

    @property
    def timed(self) -> pd.DataFrame:
        """Rows that were timed."""
        return self.table[self.table["measured_ms"].notna()]

    @property
    def optimism(self) -> float:
        """By how much the front's timed networks are slower than predicted: mean log, as share."""
        rows = self.timed[self.timed["fate"].isin([STAYS, LEAVES])]
        logs = np.log(rows["measured_ms"] / rows["predicted_ms"])
        return math.expm1(float(logs.mean())) if len(rows) else math.nan

    def named(self, fate: str) -> list[str]:
        """Ids of the networks of a fate, fastest first."""
        return [str(name) for name in self.table.loc[self.table["fate"] == fate, "id"]]

    def summary(self) -> dict[str, Any]:
        """Plain values, for programs; what is not a number is None."""
        timed = self.timed
        inside = timed["measured_ms"].between(timed["predicted_low"], timed["predicted_high"])
        numbers = {
            "optimism": self.optimism,
            "mape": 100 * float((timed["predicted_ms"] / timed["measured_ms"] - 1).abs().mean()),
            "rank_correlation": float(timed["predicted_ms"].corr(timed["measured_ms"], "spearman")),
            "inside_interval": float(inside.mean()),
        }
        return {
            "folder": str(self.run.folder.path),
            "timed": len(timed),
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
            "pick_before": _only(self.table, "pick_before"),
            "pick": _only(self.table, "pick"),
            "enter": self.named(ENTERS),
            "leave": self.named(LEAVES),
            "left_out": list(self.left_out),
            "networks": [
                {key: None if _is_nan(value) else value for key, value in row.items()}
                for row in self.table.to_dict("records")
            ],
        }

    def lines(self) -> list[str]:
        """What was found, in sentences."""
        found, budget = self.summary(), self.run.config.budget_ms
        before = self.table[self.table["pick_before"]].iloc[0]
        lines = [
            f"{found['timed']} networks were timed, {found['inside_interval']:.0%} of them inside"
            f" their {DEFAULT_CONFIDENCE:.0%} intervals",
            f"enter the front: {len(found['enter'])}; leave it: {len(found['leave'])}",
        ]
        if not math.isnan(self.optimism):
            lines.insert(
                1,
                f"those of the front took {abs(self.optimism):.1%}"
                f" {'more' if self.optimism > 0 else 'less'} than predicted, in the mean",
            )
        if not math.isnan(before["measured_ms"]):
            kept = "inside" if before["measured_ms"] <= budget else "outside"
            lines.append(
                f"the pick of the search took {before['measured_ms']:.3g} ms, {kept} the budget of"
                f" {budget:g} ms"
            )
        stays = found["pick"] == found["pick_before"]
        lines.append("the pick stays" if stays else f"the pick is now {found['pick']}")
        return lines


def retime(folder: Path, timings: Sequence[Path]) -> Retimed:
    """Rank the front of a run anew by timings of its networks; writes `retimed.csv` in its folder.

    Args:
        folder: of a finished run.
        timings: tables with rows of its target.

    Raises:
        InputError: an unfinished run, an unreadable table, no timing of a network of the run's
            space on its target, or no network that keeps the budget any more.
    """
    run = finished_run(folder)
    networks, ms, left_out = _timed(run, timings)
    front = [Architecture.from_text(str(text)) for text in run.front["architecture"]]
    codes, places = _candidates(run, networks, front)
    measured = np.full(len(codes), math.nan)
    measured[places[: len(networks)]] = ms
    before = np.isin(np.arange(len(codes)), places[len(networks) :])
    table = _ranked(run, codes, measured, before)
    table = table.sort_values(["ms", "id"], ignore_index=True)
    write_text(run.folder.retimed, table.to_csv(index=False, lineterminator="\n"))
    return Retimed(run, table, left_out)


def _candidates(
    run: Run, networks: Sequence[Architecture], front: Sequence[Architecture]
) -> tuple[Codes, NDArray[np.int64]]:
    """Codes of networks and a front with all their neighbours, and where the former two are."""
    space = run.problem.space
    own = space.encode_batch([*networks, *front])
    around = [space.neighbours(code) for code in own]
    codes, places = np.unique(np.concatenate([own, *around]), axis=0, return_inverse=True)
    return codes, places.ravel()[: len(own)]


def _timed(run: Run, paths: Sequence[Path]) -> tuple[list[Architecture], Floats, tuple[str, ...]]:
    """Networks of the run's space that were timed on its target, their ms, and those of none."""
    rows = timings_of(read_timing_tables(paths).rows, run.config.budget)
    rows = rows[(rows["target"] == run.config.target) & (rows["subject_kind"] == "network")]
    logs: dict[Architecture, list[float]] = {}
    left_out: dict[str, None] = {}
    for subject, ms in zip(rows["subject"], rows["latency_ms"], strict=True):
        network = _in_space(run, str(subject))
        if network is None:
            left_out[str(subject)] = None
        else:
            logs.setdefault(network, []).append(math.log(ms))
    names = ", ".join(map(str, paths))
    expect(
        len(logs) > 0,
        f"{names}: no timing on {run.config.target} of a network of this run's space; time what"
        f" palmette latency plan --run {run.folder.path} names",
    )
    return list(logs), np.exp([np.mean(values) for values in logs.values()]), tuple(left_out)


def _in_space(run: Run, subject: str) -> Architecture | None:
    """The network that a timing names, if the run's space has it."""
    try:
        network = (
            Architecture.from_text(subject)
            if "|" in subject
            else load(subject)
            if subject in ZOO
            else None
        )
        if network is not None:
            run.problem.space.encode(network)
    except InputError:
        return None
    return network


def _ranked(run: Run, codes: Codes, measured: Floats, before: Mask) -> pd.DataFrame:
    """Networks of the old front and the new, and those that were timed, with what is thought now.

    Args:
        run: that is ranked anew.
        codes: of all candidates, (n, genes).
        measured: milliseconds, NaN where not timed, (n,).
        before: whether each is on the old front, (n,).
    """
    problem, known = run.problem, np.isfinite(measured)
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
        "pick": every == ties[0],  # they are sorted by ms: the fastest
        "predicted_ms": old.ms,
        "predicted_low": old.lower_ms,
        "predicted_high": old.upper_ms,
        "measured_ms": measured,
        "ms": ms,
        "ms_at_confidence": upper,
    }
    table = pd.DataFrame({name: values[rows] for name, values in columns.items()})
    table.insert(0, "id", described["id"])
    table.insert(3, "pick_before", described["id"] == run.pick.id)
    more = ["top1", "score", "params_m", "macs_m", "architecture"]
    return pd.concat([table, described[more]], axis=1)


def _corrected(run: Run, codes: Codes, measured: Floats) -> tuple[Interval, Floats, Floats]:
    """The prediction of each code, its milliseconds now, and those that hold at the confidence."""
    problem, known = run.problem, np.isfinite(measured)
    old = problem.latency.interval(problem.compiled_codes.full(codes), DEFAULT_CONFIDENCE)
    factor = problem.latency.predictor.usual_factor(DEFAULT_CONFIDENCE)
    errors = np.log(measured[known] / old.ms[known])
    correction = Correction.of(codes[known], errors, sigma_of(factor, DEFAULT_CONFIDENCE))
    mean, spread = correction.at(codes)
    ms = np.where(known, measured, old.ms * np.exp(mean))
    reach = NormalDist().inv_cdf(problem.limits.confidence)
    return old, ms, np.asarray(ms * np.exp(reach * np.where(known, NOISE, spread)))


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
    spaced = best[thinned(points[best], run.config.shortlist)]
    return np.asarray(best[kept[best] | np.isin(best, spaced)])


def _only(table: pd.DataFrame, column: str) -> str:
    return str(table.loc[table[column], "id"].iloc[0])


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
