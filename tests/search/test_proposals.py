"""What the trials of a run begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.latency import find_target, load_predictor
from palmette.search.config import SearchConfig
from palmette.search.expensive.chooser import shortlist
from palmette.search.expensive.known import Known, key_of
from palmette.search.limits import Limits
from palmette.search.posing import problem_of
from palmette.search.problem import SearchProblem, pose
from palmette.search.proposals import Proposals
from palmette.search.run_folder import RunFolder
from palmette.space import SearchSpace

TARGET = "iphone-11/ane"


@pytest.fixture(scope="module")
def measured(
    small_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[SearchConfig, SearchProblem]]:
    """Config and problem of a run that measures."""
    folder = tmp_path_factory.mktemp("function")
    (folder / "mine.py").write_text("def f(architecture): return 60.0\n")

    def make(**options: Any) -> tuple[SearchConfig, SearchProblem]:
        config = SearchConfig(
            str(find_target(TARGET)),
            6.0,
            **{"space": str(small_file), "evaluations": 1000, "shortlist": 6, **options},
            accuracy=f"function:{folder / 'mine.py'}:f",
        )
        return config, problem_of(config, RunFolder(folder / "run"))

    return make


def keys(codes: Any) -> list[bytes]:
    return [key_of(code) for code in codes]


def test_a_run_that_measures_begins_with_the_most_gain_under_the_priors_doubt(
    measured: Callable[..., tuple[SearchConfig, SearchProblem]],
) -> None:
    config, problem = measured()
    made = Proposals(config, problem, None).shortlist()
    assert keys(made) == keys(shortlist(Known.of(problem), 6, 500, config.seed))
    assert (problem.costs(made)[1] <= 0).all()
    apart = (made[:, None] != made[None]).sum(axis=2)[np.triu_indices(6, 1)]
    assert apart.min() >= 2


def test_it_begins_with_the_same_whatever_was_learnt(
    measured: Callable[..., tuple[SearchConfig, SearchProblem]],
) -> None:
    config, problem = measured()
    before = Proposals(config, problem, None).shortlist()
    codes = problem.space.sample(40, np.random.default_rng(0))
    problem.learn(codes, np.linspace(10, 90, 40), np.full(40, 0.1))
    assert keys(Proposals(config, problem, None).shortlist()) == keys(before)


def test_of_a_reward_the_network_of_the_most_expected_is_among_them(
    measured: Callable[..., tuple[SearchConfig, SearchProblem]],
) -> None:
    config, problem = measured(reward="mnasnet", shortlist=3)
    made = Proposals(config, problem, None).shortlist()
    found = Known.of(problem)
    assert found.prior is not None
    rewards = problem.rewards(found.costs(made)[0], found.prior(made).top1)
    whole = problem.space.sample(2000, np.random.default_rng(0))
    other = problem.rewards(found.costs(whole)[0], found.prior(whole).top1)
    assert rewards is not None and other is not None and rewards.max() > 0.99 * other.max()


def test_it_tells_how_far_it_is(
    measured: Callable[..., tuple[SearchConfig, SearchProblem]],
) -> None:
    config, problem = measured()
    told: list[Any] = []
    Proposals(config, problem, told.append).shortlist()
    done = [snapshot.done for snapshot in told]
    assert done == sorted(done) and done[-1] == told[-1].planned == 1000


def test_without_a_prior_it_is_random_and_not_the_first_in_order(small_space: SearchSpace) -> None:
    predictor = load_predictor(str(find_target(TARGET)))
    known = replace(Known.of(pose(small_space, predictor, Limits(6.0))), prior=None)
    codes = shortlist(known, 20, 1000, 0)
    assert len(set(keys(codes))) == 20
    assert len(set(codes[:, 0])) == known.space.cardinalities[0]
