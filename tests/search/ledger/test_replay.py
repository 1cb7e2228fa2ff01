"""A study with its order on record gives the same networks when it is asked again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from palmette.search.ledger.replay import replay
from palmette.search.ledger.storage import open_study
from palmette.search.ledger.watched import watched
from palmette.space import InputError

GENES = {name: CategoricalDistribution(tuple(range(5))) for name in "abc"}
NAMES = list(GENES)


class Learner(BaseSampler):
    """Moves from the best that was told; a function of trials and seed alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> Any:
        return GENES

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        rng = random.Random(f"{self.seed} {trial.number}")
        known = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        # what runs or has failed matters too
        rng.random()
        shift = len(study.get_trials(deepcopy=False, states=(TrialState.FAIL, TrialState.RUNNING)))
        best = max(known, key=lambda t: t.user_attrs["top1"], default=None)
        start = dict.fromkeys(GENES, 0) if best is None else best.params
        return {k: (v + rng.randrange(3) + shift) % 5 for k, v in start.items()}

    def sample_independent(
        self, study: Any, trial: Any, param_name: str, param_distribution: Any
    ) -> Any:
        return RandomSampler(self.seed).sample_independent(
            study, trial, param_name, param_distribution
        )


class Driver:
    """Keeps some trials in flight and tells them in a random order, as the search does."""

    def __init__(self, study: optuna.Study, chance: random.Random) -> None:
        self.study, self.chance = study, chance
        orders = [t.user_attrs["order"] for t in study.trials if "order" in t.user_attrs]
        self.told = len(orders)
        self.flying: list[tuple[optuna.Trial, int]] = []

    def work(self, steps: int, workers: int = 3) -> None:
        for _ in range(steps):
            while len(self.flying) < workers:
                told = self.told
                trial = self.study.ask(GENES)
                self.flying.append((trial, told))
            self.tell(*self.flying.pop(self.chance.randrange(len(self.flying))))

    def tell(self, trial: optuna.Trial, told_before: int) -> None:
        trial.set_user_attr("told_before", told_before)
        trial.set_user_attr("order", self.told)
        self.told += 1
        if self.chance.random() < 0.2:
            trial.set_user_attr("reason", "it raised")
            self.study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_constraint("limits", -1.0)
        trial.set_user_attr("top1", float(sum(trial.params.values())))
        self.study.tell(trial, [1.0, self.chance.random()])


def opened(path: Path, seed: int = 0) -> Any:
    about = {"space_id": "abc"}
    return open_study(path, sampler=Learner(seed), name="run", about=about, genes=NAMES)


def sessions(path: Path, ends: Sequence[BaseException | None], seed: int = 0) -> None:
    """Drive a study; each driver ends as told."""
    for index, end in enumerate(ends):
        try:
            with opened(path) as (study, _):
                Driver(study, random.Random(seed + index)).work(9)
                if index == 1:
                    study.ask({"a": GENES["a"]})  # cut off in the ask
                if end is not None:
                    raise end
        except (KeyboardInterrupt, ZeroDivisionError):
            pass


@pytest.mark.parametrize(
    "ends",
    [
        [None],
        [KeyboardInterrupt(), None],
        [KeyboardInterrupt(), ZeroDivisionError(), KeyboardInterrupt(), None],
    ],
)
def test_a_run_in_any_number_of_sessions_is_replayed(
    tmp_path: Path, ends: list[BaseException | None]
) -> None:
    journal = tmp_path / "study.journal"
    sessions(journal, ends)
    with watched(journal) as storage:
        recorded = optuna.load_study(study_name="run", storage=storage)
        found = replay(recorded, lambda: Learner(0))
        asked = [t for t in recorded.trials if "told_before" in t.user_attrs]
    assert found.same, found.words
    assert found.asks >= len(asked) >= 9 * len(ends)
    assert found.words.startswith(f"replay: all {found.asks} asks give the recorded network (")


def test_another_sampler_differs_and_where_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    sessions(journal, [None])
    with watched(journal) as storage:
        recorded = optuna.load_study(study_name="run", storage=storage)
        found = replay(recorded, lambda: Learner(1))
    assert not found.same
    assert found.words.startswith("replay: differs after 0 asks that agree: trial 0 has a ")


def test_results_in_another_order_are_noticed(tmp_path: Path) -> None:
    """The order is what makes it a replay: two orders exchanged give other networks."""
    journal = tmp_path / "study.journal"
    sessions(journal, [None])
    study = optuna.create_study(study_name="run", directions=["minimize", "maximize"])
    with watched(journal) as storage:
        trials = optuna.load_study(study_name="run", storage=storage).trials
    for trial in trials:
        if "order" in trial.user_attrs:
            trial.user_attrs["order"] = -trial.user_attrs["order"]
        study.add_trial(trial)
    assert not replay(study, lambda: Learner(0)).same


def test_a_trial_that_was_imported_is_taken_as_it_is(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    with opened(journal) as (study, _):
        study.add_trial(
            optuna.create_trial(
                params={"a": 1, "b": 1, "c": 4},
                distributions=GENES,
                values=[1.0, 2.0],
                user_attrs={"top1": 6.0},
            )
        )
        Driver(study, random.Random(0)).work(5)
        found = replay(study, lambda: Learner(0))
    assert found.same and (found.asks, found.cut_off) == (5, 2)


def test_a_study_without_its_order_is_taken_as_measured_one_by_one(tmp_path: Path) -> None:
    with opened(tmp_path / "study.journal") as (study, _):
        for index in range(4):
            trial = study.ask(GENES)
            trial.set_user_attr("top1", float(index))
            study.tell(trial, [1.0, float(index)])
        found = replay(study, lambda: Learner(0))
        assert (found.same, found.asks) == (True, 4)
        assert not replay(study, lambda: Learner(5)).same


def test_a_study_without_anything_to_ask_is_told() -> None:
    study = optuna.create_study()
    study.ask()
    with pytest.raises(InputError, match="holds no finished trial"):
        replay(study, lambda: RandomSampler(seed=0))
