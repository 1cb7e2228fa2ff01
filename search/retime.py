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
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency.drift.noise import Noise
from palmette.latency.drift.pairs import Timed, side_of
from palmette.latency.quantity import timings_of
from palmette.latency.quarantine import BadRow
from palmette.latency.timings import read_timing_tables
from palmette.latency.uncertainty import DEFAULT_CONFIDENCE
from palmette.search.rerank import ENTERS, LEAVES, STAYS, Measured, ranked
from palmette.search.retime_plan import finished_run
from palmette.search.run import Run
from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Retimed:
    """A front that was timed and ranked anew.

    `table` has a row for each network of the old front and the new one, and each that was timed,
    fastest first: what was predicted with its 80 % interval, what was measured (NaN: not timed),
    what is thought now with the time that holds at the run's confidence, and what becomes of it.
    """

    run: Run
    table: pd.DataFrame
    noise: Noise
    """Of a timing of the tables."""
    left_out: tuple[str, ...]
    """Timed networks that are none of the run's space."""
    quarantined: tuple[BadRow, ...]
    """Rows of the tables that cannot be believed."""

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
            "noise": self.noise.spread,
            "noise_measured": self.noise.measured,
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
            "pick_before": _only(self.table, "pick_before"),
            "pick": _only(self.table, "pick"),
            "enter": self.named(ENTERS),
            "leave": self.named(LEAVES),
            "left_out": list(self.left_out),
            "quarantined": list(map(str, self.quarantined)),
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
            f"noise of a timing: {self.noise.spread:.1%}"
            f" (by {'their repeats' if self.noise.measured else 'what is known of phones'})",
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
        now = self.table[self.table["pick"]].iloc[0]
        untimed = ", not timed: time it" if math.isnan(now["measured_ms"]) else ""
        lines.append(f"the pick {'stays' if stays else 'is now ' + now['id']}{untimed}")
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
    found = _timed(run, timings)
    networks = list(found.networks)
    front = [Architecture.from_text(str(text)) for text in run.front["architecture"]]
    codes, places = _candidates(run, networks, front)
    ms, spread = np.full((2, len(codes)), math.nan)
    ms[places[: len(networks)]] = [one.ms for one in found.networks.values()]
    spread[places[: len(networks)]] = [one.spread for one in found.networks.values()]
    before = np.isin(np.arange(len(codes)), places[len(networks) :])
    table = ranked(run, codes, Measured(ms, spread, found.noise), before)
    table = table.sort_values(["ms", "id"], ignore_index=True)
    write_text(run.folder.retimed, table.to_csv(index=False, lineterminator="\n"))
    return Retimed(run, table, found.noise, found.left_out, found.quarantined)


def _candidates(
    run: Run, networks: Sequence[Architecture], front: Sequence[Architecture]
) -> tuple[Codes, Ints]:
    """Codes of networks and a front with all their neighbours, and where the former two are."""
    space = run.problem.space
    own = space.encode_batch([*networks, *front])
    around = [space.neighbours(code) for code in own]
    codes, places = np.unique(np.concatenate([own, *around]), axis=0, return_inverse=True)
    return codes, places.ravel()[: len(own)]


@dataclass(frozen=True, slots=True)
class _Timings:
    networks: dict[Architecture, Timed]
    noise: Noise
    left_out: tuple[str, ...]
    quarantined: tuple[BadRow, ...]


def _timed(run: Run, paths: Sequence[Path]) -> _Timings:
    """Networks of the run's space that were timed on its target, and what the tables have else."""
    table = read_timing_tables(paths)
    rows = timings_of(table.rows, run.config.budget)
    rows = rows[rows["target"] == run.config.target]
    whole = rows["subject_kind"] == "network"
    named = {text: _in_space(run, text) for text in dict.fromkeys(rows.loc[whole, "subject"])}
    own = {text: network for text, network in named.items() if network is not None}
    names = ", ".join(map(str, paths))
    expect(
        len(own) > 0,
        f"{names}: no timing on {run.config.target} of a network of this run's space; time what"
        f" palmette latency plan --run {run.folder.path} names",
    )
    # one network may go by its name and by its text
    texts = {text: network.to_text() for text, network in own.items()}
    side = side_of(run.config.target, rows.assign(subject=rows["subject"].replace(texts)))
    found = {key[1]: timed for key, timed in side.timed.items() if key[0] == "network"}
    networks = {network: found[network.to_text()] for network in own.values()}
    left_out = tuple(text for text in named if text not in own)
    return _Timings(networks, side.noise, left_out, table.quarantined)


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


def _only(table: pd.DataFrame, column: str) -> str:
    return str(table.loc[table[column], "id"].iloc[0])


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
