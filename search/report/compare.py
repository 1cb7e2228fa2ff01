"""Two finished runs side by side: settings that differ, fronts in one box, picks, shared networks.

Milliseconds of two targets, or points of two sources of accuracy, share no scale: such fronts are
not measured against each other, and the reason is told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from palmette.latency.tables import read_csv
from palmette.search.config import SearchConfig
from palmette.search.expensive.fresh import COLUMNS
from palmette.search.front import Floats, covered, hypervolume, non_dominated
from palmette.search.run_folder import RunFolder
from palmette.space.errors import expect

_SOURCE = ("accuracy", "data", "recipe")
_PICK = ("id", "top1", "params_m", "macs_m", "resolution", "architecture")


@dataclass(frozen=True)
class Side:
    """One of the two runs, as its folder tells it."""

    folder: RunFolder
    config: SearchConfig
    about: dict[str, Any]
    front: pd.DataFrame

    @property
    def times(self) -> tuple[str, str]:
        """Columns of the time, and of the time at the confidence."""
        return ("load", "load_at_confidence") if self.config.goals else ("ms", "ms_at_confidence")

    @property
    def objectives(self) -> Floats:
        """Time and minus top-1 of the front, (n, 2)."""
        time, top1 = self.front[self.times[0]], self.front["top1"]
        return np.stack([time.to_numpy(np.float64), -top1.to_numpy(np.float64)], axis=1)

    @property
    def pick(self) -> dict[str, Any]:
        """The pick's row: times, `_PICK`, and what fresh seeds say of it, if they do."""
        row = self.front.loc[self.front["pick"]].iloc[0]
        fresh = [name for name in COLUMNS if name in row and row[name] > 0]
        return {name: row[name] for name in (*self.times, *_PICK, *fresh)}


@dataclass(frozen=True, slots=True)
class Volumes:
    """Fronts of two runs in the box that holds both."""

    shares: tuple[float, float]
    """Of the box that each front dominates."""
    covered: tuple[float, float]
    """Of its networks, how many the other run matches or beats in time and top-1; a share."""


@dataclass(frozen=True)
class Compared:
    """Two runs side by side."""

    sides: tuple[Side, Side]
    differing: dict[str, tuple[Any, Any]]
    """Settings and hashes that are not the same."""
    volumes: Volumes | None
    reason: str
    """Why the fronts can't be measured against each other; blank where they are."""
    shared: tuple[str, ...]
    """Ids of networks that are on both fronts."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for programs."""
        volumes = self.volumes
        return {
            "runs": [
                {
                    "folder": str(side.folder.path),
                    "target": side.config.words,
                    "networks": len(side.front),
                    "pick": _plain(side.pick),
                    "hypervolume_share": volumes.shares[index] if volumes else None,
                    "covered_by_other": volumes.covered[index] if volumes else None,
                }
                for index, side in enumerate(self.sides)
            ],
            "differing": {
                name: [_finite(v) for v in pair] for name, pair in self.differing.items()
            },
            "comparable": volumes is not None,
            "reason": self.reason or None,
            "shared_networks": list(self.shared),
        }


def compare(first: Path, second: Path) -> Compared:
    """Two finished runs side by side; they are only read.

    Raises:
        InputError: no run, an unfinished one, or one that is corrupt.
    """
    one, other = _side(first), _side(second)
    reason = _incomparable(one, other)
    volumes = None if reason else _volumes(one.objectives, other.objectives)
    if not reason and volumes is None:
        reason = "both fronts are one point, or lie on a line: there is no box around them"
    known = set(other.front["id"])
    shared = tuple(name for name in one.front["id"] if name in known)
    return Compared((one, other), _differing(one, other), volumes, reason, shared)


def _side(path: Path) -> Side:
    folder = RunFolder(path)
    search, about = folder.read_config()
    config = SearchConfig.from_dict(search, str(folder.config))
    expect(
        folder.front.is_file(),
        f"{path}: its search is not finished; go on with palmette search --resume {path}",
    )
    side = Side(folder, config, about, read_csv(folder.front))
    return Side(folder, config, about, _checked(side))


def _checked(side: Side) -> pd.DataFrame:
    """The front with numbers for text; raises InputError for what no search writes."""
    front, where = side.front.copy(), side.folder.front
    for column in (*side.times, *_PICK, "pick"):
        expect(column in front, f"{where}: column '{column}' is missing; search again")
    expect(
        list(front["pick"]).count("True") == 1,
        f"{where}: one row must have the pick marked as True; search again",
    )
    front["pick"] = front["pick"] == "True"
    for column in (name for name in COLUMNS if name in front):
        front[column] = pd.to_numeric(front[column], errors="coerce").astype(float)
    for column in (*side.times, "top1", "params_m", "macs_m"):
        values = pd.to_numeric(front[column], errors="coerce").astype(float)
        for row, good, text in zip(front.index, np.isfinite(values), front[column], strict=True):
            expect(bool(good), f"{where} row {row}: {column} must be a number, got '{text}'")
        front[column] = values
    return front


def _incomparable(one: Side, other: Side) -> str:
    """Why the fronts share no scale; blank where they do."""
    a, b = one.config, other.config
    if (a.target, a.budget) != (b.target, b.budget):
        return f"milliseconds of {a.target} ({a.budget}) and {b.target} ({b.budget}) share no scale"
    if (a.goals, a.join) != (b.goals, b.join):
        return "loads are shares of budgets, and the runs' budgets or ways to join them differ"
    if one.about.get("predictor_id") != other.about.get("predictor_id"):
        return "their milliseconds come from two predictors"
    sources = [
        (*(getattr(s.config, name) for name in _SOURCE), s.about.get("accuracy_id"))
        for s in (one, other)
    ]
    return "" if sources[0] == sources[1] else "their accuracies come from two sources"


def _volumes(one: Floats, other: Floats) -> Volumes | None:
    both = np.concatenate([one, other])
    ideal, nadir = both.min(axis=0), both.max(axis=0)
    area = float(np.prod(nadir - ideal))
    if area <= 0:
        return None
    fronts = [points[non_dominated(points)] for points in (one, other)]
    return Volumes(
        (hypervolume(one, nadir) / area, hypervolume(other, nadir) / area),
        (float(covered(fronts[1], one).mean()), float(covered(fronts[0], other).mean())),
    )


def _differing(one: Side, other: Side) -> dict[str, tuple[Any, Any]]:
    tables = [{**side.config.to_dict(), **side.about} for side in (one, other)]
    names = dict.fromkeys([*tables[0], *tables[1]])
    pairs = {name: (tables[0].get(name), tables[1].get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _finite(value: Any) -> Any:
    """None for what is not limited, which JSON has no number for."""
    return None if isinstance(value, float) and math.isinf(value) else value


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: v.item() if isinstance(v, np.generic) else v for name, v in row.items()}
