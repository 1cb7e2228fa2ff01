"""What a network that was picked for one target is worth on another.

Rows of the matrix are what is carried: the pick of a run, or its whole front. Columns are the
targets that it is carried to. A network is timed there by that target's own predictor, has to keep
that run's own limits, and is held against that run's own pick. Points compare within one source of
accuracies alone, so all runs must share it, and their space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency import parse_target
from palmette.search.accuracy import source_of
from palmette.search.objectives.goal import joined_name
from palmette.search.posing import full_space
from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from palmette.search.run import Run

Floats = NDArray[np.float64]
Carried = Literal["pick", "front"]

OWN, KEPT = "own pick", "keeps all limits"
OVER, LIMIT, BARRED = "over budget", "over another limit", "has barred choices"
VERDICTS = (OWN, KEPT, OVER, LIMIT, BARRED)
"""What is said of a network on a target; the first that is true counts, but `OWN` is of the
diagonal. `BARRED`: the target's timings can't identify one of its choices, or its unit refuses it,
so that the search for the target left it out and its milliseconds there are worth little."""


def transfer_matrix(runs: Iterable[Run], carried: Carried = "pick") -> pd.DataFrame:
    """What the network of each run is worth on the target of each.

    Args:
        runs: finished ones over one space with one source of accuracies, one for each target. Runs
            of several targets joined are carried to the others; nothing is carried to them.
        carried: `pick`, or `front`: of the whole front the network that the target would take
            itself, the fastest of those that keep its limits and tie with the best; where none
            does, the one that is the least over budget.

    Returns:
        A row for each pair, runs in their order:

        - `picked_for`, `run_on`: targets by their short names;
        - `network` (its id), `ms`, `lower_ms`, `upper_ms`: predicted by the target's predictor;
          each bound holds alone with `confidence`, that of the target's run;
        - `budget_ms`, `in_budget`: whether `upper_ms` keeps it;
        - `top1`, `own_top1` (%): of the network and of the target's own pick;
        - `lost_points`: the second less the first. A negative one is a tie that the own pick won by
          its time. NaN unless the network keeps all limits: a better one over budget is no gain;
        - `verdict`: one of `VERDICTS`;
        - `runs_on`: `native`, or the unit that takes the network over;
        - `architecture`: its text.

    Raises:
        InputError: no run of one target, two of one target, runs of two spaces or two sources of
            accuracies, one that picks by a reward, which holds no budget, or fronts that were
            found by another lambda each, whose scores do not compare.
    """
    runs = listed(runs, "transfer")
    expect(
        carried in get_args(Carried),
        f"carried: must be {' or '.join(get_args(Carried))}, got '{carried}'",
    )
    _check(runs, carried)
    names, space = names_of(runs), full_space(runs[0].config, runs[0].folder)
    rows = []
    for name, run in zip(names, runs, strict=True):
        front = run.front if carried == "front" else run.front[run.front["pick"]]
        networks = [Architecture.from_text(str(text)) for text in front["architecture"]]
        codes = space.encode_batch(networks)
        for at, place in zip(names, runs, strict=True):
            if place.config.goals:
                continue
            found = _Carried.to(place, codes, front)
            chosen = _own(front) if place is run else found.pick
            row = found.row(chosen, networks[chosen], place)
            if place is run:
                row |= {"lost_points": 0.0, "verdict": OWN}
            rows.append({"picked_for": name, "run_on": at, **row})
    return pd.DataFrame(rows)


def names_of(runs: Sequence[Run]) -> list[str]:
    """Short names of what runs searched for; full ones where two would be the same.

    Where these are the same too, the folders are added, and in the end a number.
    """
    found = [_short_name(run) for run in runs]
    for longer in _LONGER:
        names = enumerate(zip(found, runs, strict=True), 1)
        found = [
            name if found.count(name) == 1 else longer(run, number) for number, (name, run) in names
        ]
    return found


def listed(runs: Iterable[Run], where: str) -> list[Run]:
    """Runs as a list; raises InputError for one run that stands alone, and for anything else."""
    from palmette.search.run import Run

    found = list(runs) if isinstance(runs, Iterable) else [runs]
    expect(
        isinstance(runs, Iterable) and all(isinstance(run, Run) for run in found),
        f"{where}: give a list of finished runs, as `run` and `resume` return them, got"
        f" {type(found[0] if found else runs).__name__}",
    )
    return found


def _short_name(run: Run) -> str:
    goals = run.config.goals
    return f"{run.config.join} of {len(goals)}" if goals else parse_target(run.config.target).alias


def _full_name(run: Run, number: int = 0) -> str:
    goals = run.config.goals
    return f"{run.config.join} of {joined_name(goals)}" if goals else run.config.target


_LONGER: tuple[Callable[[Run, int], str], ...] = (
    _full_name,
    lambda run, number: f"{_full_name(run)}, {run.folder.path.name}",
    lambda run, number: f"{_full_name(run)}, {run.folder.path.name} ({number})",
)
"""Names of a run by it and its number, each tried where two have the same by the one before."""


@dataclass(frozen=True, slots=True)
class _Carried:
    """Networks of a front on another target; arrays of shape (networks,)."""

    ms: Floats
    lower_ms: Floats
    upper_ms: Floats
    searched: NDArray[np.bool_]
    """Whether a network is one that the target's search could have found."""
    keeps: NDArray[np.bool_]
    top1: Floats
    score: Floats
    tie_points: float

    @classmethod
    def to(cls, place: Run, full: Codes, front: pd.DataFrame) -> _Carried:
        """Codes of the full space, and the front that they are of, on the target of a run."""
        problem = place.problem
        time = problem.latency.interval(full, place.config.confidence, two_sided=False)
        codes, searched = problem.compiled_codes.restricted(full)
        keeps = searched & (problem.costs(codes)[1] <= 0)
        top1, score = (front[name].to_numpy(np.float64) for name in ("top1", "score"))
        tie = problem.accuracy.tie_points
        return cls(time.ms, time.lower_ms, time.upper_ms, searched, keeps, top1, score, tie)

    @property
    def pick(self) -> int:
        """Index of the network that the target would take."""
        if not self.keeps.any():
            left = np.where(self.searched, self.upper_ms, np.inf)
            return int((left if self.searched.any() else self.upper_ms).argmin())
        best = self.score[self.keeps].max()
        ties = self.keeps & (self.score >= best - self.tie_points)
        return int(np.where(ties, self.ms, np.inf).argmin())

    def row(self, index: int, network: Architecture, place: Run) -> dict[str, Any]:
        """What the matrix says of a network."""
        own = place.front.loc[place.front["pick"]].iloc[0]
        upper, budget = float(self.upper_ms[index]), place.config.budget_ms
        inside, keeps = upper <= budget, bool(self.keeps[index])
        top1 = float(self.top1[index])
        verdicts = ((keeps, KEPT), (not inside, OVER), (bool(self.searched[index]), LIMIT))
        return {
            "network": network.id,
            "ms": float(self.ms[index]),
            "lower_ms": float(self.lower_ms[index]),
            "upper_ms": upper,
            "confidence": place.config.confidence,
            "budget_ms": budget,
            "in_budget": inside,
            "top1": top1,
            "own_top1": float(own["top1"]),
            "lost_points": float(own["top1"]) - top1 if keeps else np.nan,
            "verdict": next((words for true, words in verdicts if true), BARRED),
            "runs_on": place.problem.latency.predictor.state_of(network),
            "architecture": network.to_text(),
        }


def _own(front: pd.DataFrame) -> int:
    return int(np.flatnonzero(front["pick"])[0])


def _check(runs: Sequence[Run], carried: Carried) -> None:
    places = [run for run in runs if not run.config.goals]
    expect(bool(places), "transfer: give finished runs, one at least of one target")
    targets = [place.config.target for place in places]
    for run, target in zip(places, targets, strict=True):
        expect(
            targets.count(target) == 1,
            f"{run.folder.path}: another run is for {target} too; give one of them",
        )
    first = runs[0]
    its_space, its_source = _space_and_source(first)
    for run in runs:
        where = run.folder.path
        space, source = _space_and_source(run)
        expect(
            space == its_space and source == its_source,
            f"{where}: its space and accuracies ({space}; {source}) are not those of"
            f" {first.folder.path} ({its_space}; {its_source}); points compare within one source"
            " alone: search again with the same",
        )
        expect(
            carried == "pick" or run.config.lam == first.config.lam,
            f"{where}: its lambda ({run.config.lam:g}) is not that of {first.folder.path}"
            f" ({first.config.lam:g}), and the scores of their fronts do not compare; search again"
            " with the same, or carry the picks alone",
        )
        expect(
            run.config.reward is None,
            f"{where}: picks by a reward, which holds no budget; search without --reward",
        )


def _space_and_source(run: Run) -> tuple[str, str]:
    return full_space(run.config, run.folder).id, source_of(run.problem.accuracy)
