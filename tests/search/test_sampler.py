"""The shortlist sampler: Optuna's conformance suite, and what it hands out when."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState

from palmette.search.sampler import ATTEMPTS, ShortlistSampler
from tests.search.studies import study_of

Params = dict[str, Any]

CHOICES = (3, 5, 7)
SPACE: dict[str, BaseDistribution] = {
    "kernel": CategoricalDistribution(CHOICES),
    "depth": CategoricalDistribution((1, 2, 3, 4)),
}
SHORTLIST = [{"kernel": k, "depth": d} for k, d in ((7, 4), (5, 1), (3, 2), (5, 4), (7, 1))]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def by_parameter() -> ShortlistSampler:
    return ShortlistSampler(lambda: SHORTLIST, seed=0)


def relative() -> ShortlistSampler:
    return ShortlistSampler(lambda: SHORTLIST, SPACE, seed=0)


class TestConformance(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(
        params=[ShortlistSampler, lambda: ShortlistSampler(seed=3), by_parameter, relative],
        ids=["random", "seeded", "by_parameter", "relative"],
    )
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        """Makers of samplers that Optuna's suite is to try."""
        maker: Callable[[], BaseSampler] = request.param
        return maker


def ask(study: optuna.Study, state: TrialState | None = TrialState.COMPLETE) -> Params:
    """Parameters of the next trial, which is told to have ended in a state (or not at all)."""
    trial = study.ask(SPACE)
    if state is not None:
        study.tell(trial, (1.0, 2.0) if state == TrialState.COMPLETE else None, state=state)
    return dict(trial.params)


@pytest.fixture(params=[by_parameter, relative])
def sampler(request: pytest.FixtureRequest) -> ShortlistSampler:
    """A sampler with the shortlist; both ways of handing out."""
    maker: Callable[[], ShortlistSampler] = request.param
    return maker()


def test_trial_n_gets_proposal_n_and_then_random_values_follow(sampler: ShortlistSampler) -> None:
    study = study_of(sampler)
    assert [ask(study) for _ in SHORTLIST] == SHORTLIST
    rest = [ask(study) for _ in range(40)]
    assert {row["kernel"] for row in rest} == set(CHOICES)
    assert {row["depth"] for row in rest} == {1, 2, 3, 4}


def test_optimize_gets_the_shortlist(sampler: ShortlistSampler) -> None:
    study = study_of(sampler)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        kernel = trial.suggest_categorical("kernel", CHOICES)
        depth = trial.suggest_categorical("depth", (1, 2, 3, 4))
        return float(kernel), float(depth) + trial.suggest_float("noise", 0, 1)

    study.optimize(objective, n_trials=len(SHORTLIST))
    found = [{key: t.params[key] for key in SPACE} for t in study.trials]
    assert found == SHORTLIST
    assert len({t.params["noise"] for t in study.trials}) == len(SHORTLIST)


def test_threads_get_every_proposal_once(sampler: ShortlistSampler) -> None:
    study = study_of(sampler)
    study.optimize(lambda trial: (_suggest(trial), 0.0), n_trials=len(SHORTLIST), n_jobs=4)
    assert sorted(map(_key, study.trials)) == sorted((r["kernel"], r["depth"]) for r in SHORTLIST)


def _suggest(trial: optuna.Trial) -> float:
    return float(sum(trial.suggest_categorical(n, d.choices) for n, d in SPACE.items()))  # type: ignore[attr-defined]


def _key(trial: optuna.trial.FrozenTrial) -> tuple[int, int]:
    return trial.params["kernel"], trial.params["depth"]


def test_the_shortlist_is_made_once_and_only_when_asked_for() -> None:
    calls: list[str] = []

    def propose() -> list[Params]:
        calls.append("propose")
        return SHORTLIST

    study = study_of(ShortlistSampler(propose, seed=0))
    assert not calls
    for _ in range(8):
        ask(study)
    assert calls == ["propose"]


@pytest.mark.parametrize("before", [0, 1, 3, 5])
def test_a_study_opened_again_goes_on_with_the_next_proposal(before: int, tmp_path: Path) -> None:
    def opened() -> optuna.Study:
        return study_of(by_parameter(), JournalStorage(JournalFileBackend(str(tmp_path / "j"))))

    study = opened()
    first = [ask(study) for _ in range(before)]
    study = opened()
    assert study.sampler.remaining(study) == len(SHORTLIST) - before  # type: ignore[attr-defined]
    assert first + [ask(study) for _ in range(5 - before)] == SHORTLIST


def test_random_values_repeat_after_a_study_was_opened_again(tmp_path: Path) -> None:
    def values(breaks: set[int], name: str) -> list[Params]:
        rows = []
        storage = JournalStorage(JournalFileBackend(str(tmp_path / name)))
        study = study_of(by_parameter(), storage)
        for number in range(30):
            if number in breaks:
                study = study_of(by_parameter(), storage)
            rows.append(ask(study))
        return rows

    assert values(set(), "one") == values({2, 9, 20}, "two")


def test_another_seed_gives_other_random_values() -> None:
    rows = {}
    for seed in (0, 0, 1, None, None):
        study = study_of(ShortlistSampler(seed=seed))
        rows.setdefault(seed, []).append([ask(study) for _ in range(20)])
    assert rows[0][0] == rows[0][1] != rows[1][0]
    assert rows[None][0] != rows[None][1]


def test_a_failed_proposal_comes_again_after_the_others_and_is_given_up_in_the_end(
    sampler: ShortlistSampler,
) -> None:
    study = study_of(sampler)
    assert ask(study, TrialState.FAIL) == SHORTLIST[0]
    assert [ask(study) for _ in range(4)] == SHORTLIST[1:]
    for attempt in range(1, ATTEMPTS):
        assert sampler.remaining(study) == 1, attempt
        assert ask(study, TrialState.FAIL) == SHORTLIST[0]
    assert sampler.remaining(study) == 0


def test_failures_are_counted_across_openings() -> None:
    storage = optuna.storages.InMemoryStorage()
    for _ in range(ATTEMPTS):
        study = study_of(by_parameter(), storage)
        assert ask(study, TrialState.FAIL) == SHORTLIST[0]
    study = study_of(by_parameter(), storage)
    assert [ask(study) for _ in range(4)] == SHORTLIST[1:]


def test_an_orphan_marked_as_failed_is_proposed_again() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = study_of(by_parameter(), storage)
    first = ask(study)
    orphan = study.ask(SPACE)  # its process dies here
    study = study_of(by_parameter(), storage)
    study.tell(orphan.number, state=TrialState.FAIL)
    assert [first, *(ask(study) for _ in range(4))] == SHORTLIST


def test_a_trial_that_died_before_it_had_all_its_parameters_does_not_count() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = study_of(by_parameter(), storage)
    half = study.ask()
    half.suggest_categorical("kernel", CHOICES)
    study.ask()  # and one that had none
    study = study_of(by_parameter(), storage)
    assert [ask(study) for _ in SHORTLIST] == SHORTLIST


def test_running_and_pruned_trials_keep_their_proposals() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = study_of(by_parameter(), storage)
    ask(study, state=None)
    ask(study, TrialState.PRUNED)
    study = study_of(by_parameter(), storage)
    assert [ask(study) for _ in range(3)] == SHORTLIST[2:]


def test_a_waiting_copy_of_a_trial_keeps_its_proposal() -> None:
    storage = optuna.storages.InMemoryStorage()
    study = study_of(by_parameter(), storage)
    lost = study.ask(SPACE)
    study.tell(lost.number, state=TrialState.FAIL)
    study.add_trial(
        optuna.create_trial(state=TrialState.WAITING, params=lost.params, distributions=SPACE)
    )
    study = study_of(by_parameter(), storage)
    assert study.sampler.remaining(study) == 5  # type: ignore[attr-defined]
    assert [ask(study) for _ in range(5)] == SHORTLIST
    assert study.sampler.remaining(study) == 0  # type: ignore[attr-defined]


def test_an_enqueued_trial_takes_no_proposal(sampler: ShortlistSampler) -> None:
    study = study_of(sampler)
    study.enqueue_trial({"kernel": 3, "depth": 3})
    study.enqueue_trial({"kernel": 3})
    assert sampler.remaining(study) == len(SHORTLIST) + 2
    assert ask(study) == {"kernel": 3, "depth": 3}
    assert ask(study)["kernel"] == 3
    assert [ask(study) for _ in SHORTLIST] == SHORTLIST


def test_an_enqueued_proposal_is_not_made_again() -> None:
    storage = optuna.storages.InMemoryStorage()
    study_of(by_parameter(), storage).enqueue_trial(SHORTLIST[2])
    study = study_of(by_parameter(), storage)
    rest = [row for index, row in enumerate(SHORTLIST) if index != 2]
    assert [ask(study) for _ in SHORTLIST] == [SHORTLIST[2], *rest]


def test_equal_proposals_count_once() -> None:
    study = study_of(ShortlistSampler(lambda: [SHORTLIST[0], SHORTLIST[1], SHORTLIST[0]], seed=0))
    assert [ask(study), ask(study)] == SHORTLIST[:2]
    assert study.sampler.remaining(study) == 0  # type: ignore[attr-defined]


def test_a_pickled_sampler_goes_on() -> None:
    study = study_of(ShortlistSampler(_shortlist, SPACE, seed=0))
    first = [ask(study), ask(study)]
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    assert first + [ask(study) for _ in range(3)] == SHORTLIST


def _shortlist() -> list[Params]:
    return SHORTLIST


def test_reseeding_keeps_a_study_repeatable(sampler: ShortlistSampler) -> None:
    study, other = study_of(sampler), study_of(by_parameter())
    study.sampler.reseed_rng()
    assert [ask(study) for _ in range(20)] == [ask(other) for _ in range(20)]


def test_proposals_with_different_parameters_are_refused() -> None:
    study = study_of(ShortlistSampler(lambda: [{"kernel": 3}, {"depth": 1}], seed=0))
    with pytest.raises(ValueError, match="proposal 1 has other parameters than proposal 0"):
        study.ask(SPACE)


@pytest.mark.parametrize(
    "distribution",
    [
        CategoricalDistribution((3, 5)),
        CategoricalDistribution(("a", "b")),
        IntDistribution(1, 5),
        FloatDistribution(0.0, 6.5),
    ],
)
def test_a_value_outside_the_study_is_refused(distribution: BaseDistribution) -> None:
    study = study_of(by_parameter())
    with pytest.raises(ValueError, match="kernel is proposed as 7"):
        study.ask({"kernel": distribution})
