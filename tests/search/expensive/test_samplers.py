"""Samplers by name: Optuna's conformance suite, and what every one of them promises."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import TrialState

from palmette.search.config import PALMETTE, SAMPLERS
from palmette.search.expensive.chooser import shortlist
from palmette.search.expensive.known import Known, key_of
from palmette.search.expensive.peers import PEERS, POPULATION
from palmette.search.expensive.samplers import NetworkSampler, sampler_of
from palmette.search.trials.task import UsedUp
from palmette.space import InputError, SearchSpace
from palmette.space.search_space import Codes
from tests.search.expensive.conftest import Made
from tests.search.studies import study_of

QUICK = [name for name in SAMPLERS if name != "gp"]
TWO = SearchSpace.from_toml(
    """
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = [8, 12]
[[stages]]
stride = 2
channels = 8
kernel = [3, 5, 7]
expansion = 2
depth = 1
se = 0
[head]
channels = 16
""",
    "two",
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _free(codes: Codes) -> tuple[Any, Any]:
    return codes.sum(axis=1).astype(float), np.zeros(len(codes))


def _ours() -> BaseSampler:
    return sampler_of(PALMETTE, Known(TWO, _free), seed=0)


class TestConformance(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=[_ours])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        """Makers of samplers that Optuna's suite is to try."""
        maker: Callable[[], BaseSampler] = request.param
        return maker


def ask(study: optuna.Study, made: Made, tell: bool = True) -> tuple[optuna.Trial, Codes]:
    sampler = study.sampler
    assert isinstance(sampler, NetworkSampler)
    trial = study.ask(sampler.distributions)
    code = sampler.known.code(trial.params)
    assert code is not None
    if tell:
        finish(study, made, trial, code)
    return trial, code


def finish(study: optuna.Study, made: Made, trial: optuna.Trial, code: Codes) -> None:
    ms, violation = made.costs(code[None])
    top1 = float(made.truth(code[None])[0])
    top1 += float(np.random.default_rng([5, trial.number]).normal(0, 0.2))
    trial.set_constraint("limits", float(violation[0]))
    trial.set_user_attr("top1", top1)
    trial.set_user_attr("sigma", 0.2)
    study.tell(trial, [float(ms[0]), top1])


def keys(codes: list[Codes]) -> list[bytes]:
    return [key_of(code) for code in codes]


@pytest.mark.parametrize("name", [*QUICK, "gp"])
def test_what_the_predictors_rule_out_is_not_proposed_and_nothing_twice(
    made: Made, name: str
) -> None:
    count = 12 if name == "gp" else 30
    known = made.known()
    share = known.feasible(made.space.sample(1000, np.random.default_rng(0))).mean()
    assert 0.1 < share < 0.9
    study = study_of(sampler_of(name, known, seed=1))
    codes = [ask(study, made)[1] for _ in range(count)]
    assert known.feasible(np.array(codes)).all()
    assert len(set(keys(codes))) == count


@pytest.mark.parametrize("name", QUICK)
def test_a_study_that_is_opened_again_asks_the_same(made: Made, name: str) -> None:
    def codes(breaks: set[int]) -> list[bytes]:
        storage, found = optuna.storages.InMemoryStorage(), []
        for number in range(20):
            if number == 0 or number in breaks:
                study = study_of(sampler_of(name, made.known(), seed=3), storage)
            found.append(ask(study, made)[1])
        return keys(found)

    assert codes(set()) == codes({1, 7, 14, 19})


@pytest.mark.parametrize("name", QUICK)
def test_another_seed_asks_something_else(made: Made, name: str) -> None:
    found = []
    for seed in (0, 1):
        study = study_of(sampler_of(name, made.known(prior=False), seed=seed))
        found.append(keys([ask(study, made)[1] for _ in range(12)]))
    assert found[0] != found[1]


@pytest.mark.parametrize("name", QUICK)
def test_a_warm_start_comes_first_in_its_order(made: Made, name: str) -> None:
    first = shortlist(made.known(), 6, 500, 0)
    study = study_of(sampler_of(name, made.known(), seed=0, warm_start=lambda: first))
    found = [ask(study, made)[1] for _ in range(8)]
    assert keys(found[:6]) == keys(list(first))
    assert len(set(keys(found))) == 8


@pytest.mark.parametrize(("name", "kind"), [("nsga2", "NSGAII"), ("nsga3", "NSGAIII")])
def test_a_warm_start_is_the_first_generation_and_its_networks_are_parents(
    made: Made, name: str, kind: str
) -> None:
    first = shortlist(made.known(), POPULATION, 500, 0)
    study = study_of(sampler_of(name, made.known(), seed=0, warm_start=lambda: first[1:]))
    study.enqueue_trial(made.known().params(first[0]))
    for _ in range(2 * POPULATION):
        ask(study, made)
    trials = study.get_trials(deepcopy=False)
    of = [trial.system_attrs.get(f"{kind}Sampler:generation") for trial in trials]
    assert of == [0] * POPULATION + [1] * POPULATION
    parents = study._storage.get_study_system_attrs(study._study_id)[f"{kind}Sampler:parent:1"]
    assert set(parents) == set(range(POPULATION))


def test_a_failed_and_a_waiting_network_is_not_proposed_again(made: Made) -> None:
    first = shortlist(made.known(), 4, 500, 0)
    storage = optuna.storages.InMemoryStorage()
    study = study_of(sampler_of(PALMETTE, made.known(), seed=0, warm_start=lambda: first), storage)
    failed, code = ask(study, made, tell=False)
    study.tell(failed, state=TrialState.FAIL)
    study.enqueue_trial(made.known().params(first[1]))
    opened = study_of(sampler_of(PALMETTE, made.known(), seed=0, warm_start=lambda: first), storage)
    found = [ask(opened, made)[1] for _ in range(5)]
    assert keys(found[:3]) == keys(list(first[1:4]))
    assert key_of(code) not in keys(found)


def test_running_trials_count_as_what_is_believed_of_them(made: Made) -> None:
    study = study_of(sampler_of(PALMETTE, made.known(), seed=0))
    for _ in range(12):
        ask(study, made)
    running = [ask(study, made, tell=False) for _ in range(4)]
    codes = np.array([code for _, code in running])
    apart = (codes[:, None] != codes[None]).sum(axis=2)[np.triu_indices(4, 1)]
    assert apart.min() >= 1
    for trial, code in reversed(running):  # they end in another order than they began
        finish(study, made, trial, code)
    assert len({key_of(code) for _, code in running} | {key_of(ask(study, made)[1])}) == 5


def test_results_count_in_the_order_in_which_they_were_told(made: Made) -> None:
    def study_told(order: list[int]) -> optuna.Study:
        study = study_of(sampler_of(PALMETTE, made.known(), seed=0))
        open_trials = [ask(study, made, tell=False) for _ in range(4)]
        for place, number in enumerate(order):
            trial, code = open_trials[number]
            trial.set_user_attr("order", place)
            finish(study, made, trial, code)
        return study

    def orders(study: optuna.Study) -> Any:
        sampler = study.sampler
        assert isinstance(sampler, NetworkSampler)
        ask(study, made, tell=False)
        trial = study.get_trials(deepcopy=False)[-1]
        return sampler._seen.read(study, trial).results.codes

    assert np.array_equal(
        orders(study_told([2, 0, 3, 1])), orders(study_told([0, 1, 2, 3]))[[2, 0, 3, 1]]
    )


def test_a_pickled_sampler_goes_on(made: Made) -> None:
    study = study_of(sampler_of(PALMETTE, Known(TWO, _free), seed=0))
    sampler = study.sampler
    assert isinstance(sampler, NetworkSampler)
    study.ask(sampler.distributions)
    again = pickle.loads(pickle.dumps(sampler))
    trial = study.ask(sampler.distributions)
    own = study.get_trials(deepcopy=False)[-1]
    assert again.sample_relative(study, _bare(own), again.distributions) == trial.params


def _bare(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    bare = optuna.create_trial(state=TrialState.RUNNING)
    bare.number, bare._trial_id = trial.number, trial._trial_id
    return bare


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_space_that_is_used_up_says_so(name: str) -> None:
    study = study_of(sampler_of(name, Known(TWO, _free), seed=0))
    sampler = study.sampler
    assert isinstance(sampler, NetworkSampler)
    for _ in range(6):
        study.tell(study.ask(sampler.distributions), [1.0, 2.0])
    with pytest.raises(UsedUp, match="all 6 networks that keep the limits are measured"):
        study.ask(sampler.distributions)
    assert len({tuple(t.params.values()) for t in study.trials if t.params}) == TWO.size == 6


@pytest.mark.parametrize("name", QUICK)
def test_each_network_that_keeps_a_tight_budget_is_found_and_no_other(
    made: Made, name: str
) -> None:
    tight = Made(made.space, made.ms_of, made.points_of, 1.5)  # five of 27,648 networks keep it
    study = study_of(sampler_of(name, tight.known(), seed=0))
    found = [ask(study, tight)[1] for _ in range(5)]
    assert tight.known().feasible(np.array(found)).all() and len(set(keys(found))) == 5
    with pytest.raises(UsedUp, match="all 5 networks that keep the limits"):
        study.ask(study.sampler.distributions)  # type: ignore[attr-defined]


def test_a_space_too_large_to_look_through_is_searched_around_what_keeps_the_limits(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palmette.search.expensive.known.ENUMERATED", 0)
    tight = Made(made.space, made.ms_of, made.points_of, 1.5).known()
    taken: set[bytes] = set()
    far = made.space.sample(1, np.random.default_rng(0))[0]
    for _ in range(5):
        code = tight.nearest(far, taken)
        assert tight.feasible(code[None])[0] and key_of(code) not in taken
        taken.add(key_of(code))
    with pytest.raises(UsedUp, match="a search found no more networks that keep the limits"):
        tight.nearest(far, taken)


@pytest.mark.parametrize("prior", [True, False])
def test_a_tight_budget_is_kept_all_the_same(made: Made, prior: bool) -> None:
    tight = Made(made.space, made.ms_of, made.points_of, 1.5)  # five of 27,648 networks keep it
    study = study_of(sampler_of(PALMETTE, tight.known(prior), seed=0))
    found = np.array([ask(study, tight)[1] for _ in range(4)])
    assert tight.known().feasible(found).all()
    assert tight.known().feasible(shortlist(tight.known(prior), 1, 500, 0)).all()


def test_each_name_of_a_config_has_a_sampler() -> None:
    assert set(SAMPLERS) == {PALMETTE, *PEERS}


def test_another_name_is_refused(made: Made) -> None:
    with pytest.raises(InputError, match="sampler: must be one of palmette, tpe, .*, got 'tpo'"):
        sampler_of("tpo", made.known(), seed=0)


def test_ours_finds_more_in_thirty_trials_than_its_peers(made: Made) -> None:
    from palmette.search.front import hypervolume

    def found(name: str, prior: bool) -> float:
        study = study_of(sampler_of(name, made.known(prior), seed=2))
        codes = np.array([ask(study, made)[1] for _ in range(30)])
        points = np.stack([made.costs(codes)[0], -made.truth(codes)], axis=1)
        return hypervolume(points, np.array([made.budget_ms, -40.0]))

    best = max(found(name, False) for name in ("tpe", "nsga2", "random"))
    blind, ours = found(PALMETTE, False), found(PALMETTE, True)
    assert ours > best and blind > best
