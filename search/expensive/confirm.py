"""Winners measured anew: what was selected for being high is partly luck, and a fresh seed tells.

The best of many noisy values is biased upwards (the winner's curse; Smith & Winkler 2006). So the
pick of a front and its neighbours are trained again with seeds that no selection has seen. Their
means are unbiased for these seeds, and the pick is chosen by them alone. Choosing the best of a few
means is a selection again, but from far less noise.

The seeds share the validation images: the standard error is that of training, not of the images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.search.expensive.fresh import COLUMNS, SEEDS, lower
from palmette.search.front import Floats, Ints
from palmette.search.trials.task import Executor, Outcome, Task
from palmette.search.trials.work import run_work
from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.train import TIE_POINTS

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Rewards = Callable[[Floats, Floats], Floats | None]
"""Times and top-1 (%) to what is to be largest, each of shape (n,); None without a reward."""
WINNERS, TRAININGS = 5, 3
KEY = "confirms"
Fresh = Mapping[str, Mapping[int, dict[str, Any]]]
"""What a study keeps of fresh trainings, by network and seed."""


@dataclass(frozen=True, slots=True)
class Winner:
    """A network as the search measured it."""

    architecture: str
    ms: float
    """Of several targets joined a load."""
    top1: float

    @property
    def id(self) -> str:
        """Hash of the network."""
        return Architecture.from_text(self.architecture).id


class Confirmation:
    """Fresh trainings of winners; the state is a function of the outcomes that were told.

    Args:
        winners: different networks.
        seeds: fresh ones for each.
        seed: of the search's own trainings; the fresh ones are those after it.
        tie_points: accuracies this close tie.
        rewards: of a search that picks by a reward in place of a hard budget.

    Raises:
        InputError: no winners, one that occurs twice, or no seeds.
    """

    def __init__(
        self,
        winners: Sequence[Winner],
        *,
        seeds: int = TRAININGS,
        seed: int = 0,
        tie_points: float = TIE_POINTS,
        rewards: Rewards | None = None,
    ) -> None:
        expect(seeds >= 1, f"confirm: needs at least one fresh seed, got {seeds}")
        self.winners, self.tie_points, self.rewards = tuple(winners), tie_points, rewards
        self.seeds = tuple(range(seed + 1, seed + 1 + seeds))
        self.ids = [winner.id for winner in self.winners]
        expect(bool(self.ids), "confirm: needs at least one network")
        expect(len(set(self.ids)) == len(self.ids), "confirm: a network occurs twice")
        self._given: set[tuple[int, int]] = set()
        self._told: dict[tuple[int, int], Outcome] = {}

    def next_tasks(self, count: int) -> list[Task]:
        """At most so many tasks to begin now: every winner's first seed, then their second."""
        every = ((at, seed) for seed in self.seeds for at in range(len(self.winners)))
        chosen = [key for key in every if key not in self._given][: max(count, 0)]
        self._given.update(chosen)
        return [Task(at, self.winners[at].architecture, seed) for at, seed in chosen]

    def tell(self, outcome: Outcome) -> None:
        """Take the end of a task; its trial is the winner's place."""
        key = outcome.task.trial, outcome.task.seed
        self._given.add(key)
        self._told[key] = outcome

    def values(self, at: int) -> Floats:
        """Fresh top-1 of the winner at a place, by seed; failed trainings have none."""
        return np.array([outcome.top1 for outcome in self._done(at)])

    def _done(self, at: int) -> list[Outcome]:
        """What was told of a winner, seeds that this call does not ask for among it."""
        outcomes = (self._told[key] for key in sorted(self._told) if key[0] == at)
        return [outcome for outcome in outcomes if outcome.fate == "done"]

    def confirmed(self) -> Confirmed:
        """What came of it so far."""
        fresh = [self.values(at) for at in range(len(self.winners))]
        count = np.array([len(values) for values in fresh])
        mean = np.array([values.mean() if len(values) else math.nan for values in fresh])
        selected = np.array([winner.top1 for winner in self.winners])
        ms = np.array([winner.ms for winner in self.winners])
        return Confirmed(
            tuple(self.ids),
            ms,
            selected,
            mean,
            self._errors(fresh),
            count,
            self.tie_points,
            self.rewards,
        )

    def _errors(self, fresh: Sequence[Floats]) -> Floats:
        """Standard errors of the means, by the scatter of all winners together.

        Three seeds of one network hardly tell its scatter. Where each has one seed, that of its
        validation images stands in.
        """
        freedom = sum(max(len(values) - 1, 0) for values in fresh)
        if freedom:
            squares = sum(float(((v - v.mean()) ** 2).sum()) for v in fresh if len(v))
            deviation = np.full(len(fresh), math.sqrt(squares / freedom))
        else:
            sigmas = [self._sigma(at) for at in range(len(fresh))]
            deviation = np.array(sigmas)
        counts = np.array([len(values) for values in fresh], dtype=np.float64)
        found: Floats = deviation / np.sqrt(np.where(counts > 0, counts, math.nan))
        return found

    def _sigma(self, at: int) -> float:
        return next((outcome.sigma for outcome in self._done(at)), math.nan)


@dataclass(frozen=True)
class Confirmed:
    """Winners with the means of their fresh trainings; arrays of shape (n,)."""

    ids: tuple[str, ...]
    ms: Floats
    selected: Floats
    """Top-1 in % that they were selected by."""
    top1: Floats
    """Mean of the fresh ones; not a number where all trainings failed."""
    se: Floats
    """Standard error of the mean, points."""
    seeds: Ints
    """Fresh trainings that succeeded."""
    tie_points: float
    rewards: Rewards | None = None
    failed: tuple[str, ...] = ()
    """Reasons of the trainings that failed this time."""

    @property
    def known(self) -> bool:
        """Whether any training succeeded."""
        return bool((self.seeds > 0).any())

    @property
    def shrinkage(self) -> float:
        """Points by which the selected values are above the fresh means, on average."""
        found = (self.selected - self.top1)[self.seeds > 0]
        return float(found.mean()) if self.known else math.nan

    @property
    def pick(self) -> int | None:
        """Place of the fastest of those that tie with the best fresh mean; None without any.

        Under a reward, which holds no budget, of the largest by the fresh means.
        """
        known = np.flatnonzero(self.seeds > 0)
        if not len(known):
            return None
        rewards = self.rewards and self.rewards(self.ms[known], self.top1[known])
        if rewards is not None:
            return int(known[rewards.argmax()])
        ties = np.flatnonzero(self.ties)
        return int(ties[np.lexsort((-self.top1[ties], self.ms[ties]))[0]])

    @property
    def ties(self) -> NDArray[np.bool_]:
        """Mask of those whose fresh mean ties with the best; (n,)."""
        known = self.seeds > 0
        best = self.top1[known].max() if self.known else math.nan
        found: NDArray[np.bool_] = known & (self.top1 >= best - self.tie_points)
        return found

    def beside(self, front: pd.DataFrame) -> pd.DataFrame:
        """A front with the fresh values of its winners, and with pick and ties by these.

        A pick that is none of the winners stays.

        Args:
            front: as a run has it, with columns `id`, `pick` and `tie`.
        """
        table, at = front.copy(), {name: at for at, name in enumerate(self.ids)}
        places = [at.get(str(name)) for name in table["id"]]
        for column, values in zip(COLUMNS, (self.top1, self.se, self.seeds), strict=True):
            none = 0 if column == SEEDS else math.nan
            table[column] = [none if at is None else values[at] for at in places]
        before = places[int(np.flatnonzero(table["pick"])[0])]
        if self.pick is not None and before is not None:
            table["pick"] = [at == self.pick for at in places]
            table["tie"] = [at is not None and bool(self.ties[at]) for at in places]
        return table

    def words(self) -> list[str]:
        """What the fresh trainings say, in lines."""
        known, failed = int((self.seeds > 0).sum()), len(self.failed)
        last = f", the last because: {self.failed[-1]}" if failed else ""
        if not known:
            return [f"no winner could be trained anew{last}; top-1 of the pick is what it won by"]
        scatter = math.sqrt(float(np.nansum(self.se[self.seeds > 0] ** 2))) / known
        seeds = int(self.seeds.max())
        lines = [
            f"{known} winner{'' if known == 1 else 's'} trained anew with {seeds} fresh"
            f" seed{'' if seeds == 1 else 's'}: top-1 {lower(self.shrinkage)} than the values that"
            f" won (standard error {scatter:.2f}); quote the fresh means",
        ]
        if failed:
            plural = "training" if failed == 1 else "trainings"
            lines.append(f"{failed} {plural} failed{last}; the same command tries again")
        return lines


def neighbours(
    front: pd.DataFrame, count: int = WINNERS, fresh: Mapping[str, int] | None = None
) -> pd.DataFrame:
    """Rows of a front to be trained anew, in its order.

    Those that were trained anew most often come first, so that a call that is repeated chooses the
    same ones; then the pick and what is nearest to it, more accurate ones first.

    Args:
        front: of a run, see `run.Run`.
        count: rows at most.
        fresh: trainings that there are already, by id.
    """
    pick, there = int(np.flatnonzero(front["pick"])[0]), fresh or {}
    counts = [there.get(str(name), 0) for name in front["id"]]
    near = sorted(range(len(front)), key=lambda row: (-counts[row], abs(row - pick), -row))
    return front.iloc[sorted(near[:count])]


def confirm(
    study: optuna.Study,
    front: pd.DataFrame,
    executor: Executor,
    *,
    winners: int = WINNERS,
    seeds: int = TRAININGS,
    seed: int = 0,
    tie_points: float = TIE_POINTS,
    rewards: Rewards | None = None,
    told: Callable[[Outcome], None] | None = None,
) -> Confirmed:
    """Train winners of a front anew; what an earlier call finished is not trained again.

    The answer is of all networks of the front that have fresh trainings, those of earlier calls
    too. The study keeps each outcome among its own attributes (`confirms/ID/SEED`). A trial it must
    not be: samplers would take it for one more network.

    Args:
        study: of the run; its driver calls.
        front: of the run, see `run.Run`.
        executor: of an evaluator to which a seed makes a difference.
        winners: rows of the front, see `neighbours`.
        seeds: fresh ones for each.
        seed: of the search's own trainings.
        tie_points: accuracies this close tie.
        rewards: see `Confirmation`.
        told: called after each outcome.
    """
    asked, kept = range(seed + 1, seed + 1 + seeds), _fresh(study)
    counts = {name: len(found.keys() & set(asked)) for name, found in kept.items()}
    chosen = neighbours(front, winners, counts)
    rows = [_winner(row) for row in chosen.to_dict("records")]
    work = Confirmation(rows, seeds=seeds, seed=seed, tie_points=tie_points, rewards=rewards)
    for outcome in _outcomes(kept, work):
        work.tell(outcome)
    failed: list[str] = []

    def keep(outcome: Outcome) -> None:
        if outcome.fate == "done":
            key = _key(work.ids[outcome.task.trial], outcome.task.seed)
            study.set_user_attr(key, _plain(outcome))
        else:  # the next call tries again
            failed.append(outcome.reason or outcome.fate)
        if told is not None:
            told(outcome)

    run_work(work, executor, keep)
    found = _confirmed(front, {*kept, *work.ids}, _fresh(study), tie_points, rewards)
    return replace(found, failed=tuple(failed))


def recorded(
    study: optuna.Study,
    front: pd.DataFrame,
    tie_points: float,
    rewards: Rewards | None = None,
) -> pd.DataFrame:
    """A front with what fresh trainings the study keeps of its networks; as it is without any.

    The pick moves only if it is among those that were trained anew: one that the search has found
    since has yet to be.
    """
    kept = _fresh(study)
    if not front["id"].isin(list(kept)).any():
        return front
    return _confirmed(front, kept, kept, tie_points, rewards).beside(front)


def _confirmed(
    front: pd.DataFrame,
    names: Collection[str],
    kept: Fresh,
    tie_points: float,
    rewards: Rewards | None,
) -> Confirmed:
    """What fresh trainings say of the rows of a front that have one of these ids."""
    rows = [_winner(row) for row in front.to_dict("records") if row["id"] in names]
    work = Confirmation(rows, tie_points=tie_points, rewards=rewards)
    for outcome in _outcomes(kept, work):
        work.tell(outcome)
    return work.confirmed()


def _fresh(study: optuna.Study) -> Fresh:
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for key, value in study.user_attrs.items():
        kind, _, rest = key.partition("/")
        if kind == KEY:
            name, _, seed = rest.partition("/")
            found.setdefault(name, {})[int(seed)] = value
    return found


def _winner(row: dict[Any, Any]) -> Winner:
    time = row["ms"] if "ms" in row else row["load"]
    return Winner(str(row["architecture"]), float(time), float(row["top1"]))


def _key(name: str, seed: int) -> str:
    return f"{KEY}/{name}/{seed}"


def _plain(outcome: Outcome) -> dict[str, Any]:
    names = ("top1", "sigma", "seconds", "worker")
    return {name: getattr(outcome, name) for name in names}


def _outcomes(kept: Fresh, work: Confirmation) -> list[Outcome]:
    """What there is of the winners of a confirmation."""
    return [
        Outcome(Task(at, work.winners[at].architecture, seed), "done", **found)
        for at, name in enumerate(work.ids)
        for seed, found in sorted(kept.get(name, {}).items())
    ]
