"""What is known before a measurement, of a real problem."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from palmette.latency import find_target, load_predictor
from palmette.search.config import SAMPLERS
from palmette.search.expensive.known import Known
from palmette.search.expensive.samplers import sampler_of
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, pose
from palmette.space import SearchSpace

QUICK = [name for name in SAMPLERS if name != "gp"]


def problem_of(space: SearchSpace) -> SearchProblem:
    predictor = load_predictor(str(find_target("iphone-11/ane")))
    return pose(space, predictor, Limits(6.0), extrapolate=True)


@pytest.fixture(scope="module")
def narrowing(small_toml: str) -> SearchProblem:
    """Of a space whose widths may fall, which the prior has not seen."""
    text = small_toml.replace("channels = [24, 32]", "channels = [24, 160]")
    return problem_of(SearchSpace.from_toml(text, "narrowing"))


def expect_judged(problem: SearchProblem, name: str, count: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = sampler_of(name, Known.of(problem), seed=0)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    for _ in range(count):
        trial = study.ask(sampler.distributions)
        code = sampler.known.code(trial.params)
        assert code is not None
        found = problem.evaluate(code[None])
        assert found.violation[0] == 0
        study.tell(trial, [found.objectives[0, 0], -found.objectives[0, 1]])


@pytest.mark.parametrize("name", QUICK)
def test_no_trial_is_spent_on_what_the_prior_must_not_judge(
    narrowing: SearchProblem, name: str
) -> None:
    expect_judged(narrowing, name, 20)


@pytest.mark.sweep
def test_nor_in_a_space_where_that_is_common() -> None:
    problem = problem_of(SearchSpace.preset("mobilenet_v2"))
    codes = problem.space.sample(500, np.random.default_rng(0))
    affordable = problem.costs(codes)[1] <= 0
    judged = problem.evaluate(codes).violation <= 0
    assert judged.sum() < 0.5 * affordable.sum()
    for name in QUICK:
        expect_judged(problem, name, 20)


def test_what_the_prior_must_not_judge_is_known_to_be_ruled_out(narrowing: SearchProblem) -> None:
    codes = narrowing.space.sample(500, np.random.default_rng(0))
    judged = narrowing.evaluate(codes).violation <= 0
    assert judged.sum() < (narrowing.costs(codes)[1] <= 0).sum()
    assert np.array_equal(Known.of(narrowing).feasible(codes), judged)
