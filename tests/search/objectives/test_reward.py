"""MnasNet's reward: its values, and that its maximum lies on the front of time and score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palmette.latency import load_predictor
from palmette.search.evolution import evolve
from palmette.search.front import non_dominated
from palmette.search.limits import Limits
from palmette.search.objectives.reward import REWARDS, Reward, reward_of
from palmette.search.problem import describe, pose
from palmette.space import InputError, SearchSpace


def test_rewards_worked_by_hand() -> None:
    ms, score = np.array([40.0, 80.0, 160.0]), np.array([70.0, 70.0, 70.0])
    hard = REWARDS["mnasnet-hard"](ms, score, 80.0)
    assert hard.tolist() == [70.0, 70.0, 35.0]
    soft = REWARDS["mnasnet"](ms, score, 80.0)
    # 2 ** 0.07 = 1.04972: twice the time is worth 5 % of the accuracy
    np.testing.assert_allclose(soft, [73.4803, 70.0, 66.6845], rtol=1e-5)


def test_a_negative_score_is_worth_nothing_rather_than_more_when_slow() -> None:
    reward = REWARDS["mnasnet"](np.array([1.0, 9.0]), np.array([-5.0, -5.0]), 2.0)
    assert reward.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("exponents", [(0.1, -1.0), (0.0, 0.1), (-11.0, 0.0), (float("nan"), 0.0)])
def test_an_exponent_that_prefers_slow_networks_is_refused(exponents: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="must be from -10 to 0"):
        Reward(*exponents)


def test_an_unknown_reward_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="must be mnasnet or mnasnet-hard, got 'nasnet'"):
        reward_of("nasnet")


@given(
    arrays(np.float64, 40, elements=st.floats(0.1, 100.0)),
    arrays(np.float64, 40, elements=st.floats(0.0, 100.0)),
    st.floats(0.1, 100.0),
    st.sampled_from([*REWARDS.values(), Reward(-0.5, -0.2), Reward(0.0, 0.0)]),
)
def test_no_network_has_more_reward_than_the_best_of_the_front(
    ms: Any, score: Any, target_ms: float, reward: Reward
) -> None:
    values = reward(ms, score, target_ms)
    front = non_dominated(np.stack([ms, -score], axis=1))
    assert values[front].max() == values.max()


@pytest.mark.parametrize("name", REWARDS)
def test_the_front_of_a_whole_space_holds_its_largest_reward(
    small_space: SearchSpace, name: str
) -> None:
    problem = pose(small_space, load_predictor("iphone-11/ane"), Limits())
    counts = problem.space.cardinalities.tolist()
    codes = np.stack(np.unravel_index(np.arange(np.prod(counts)), counts), axis=1)
    every = problem.evaluate(codes)
    allowed = every.violation == 0
    rewards = reward_of(name)(every.objectives[:, 0], -every.objectives[:, 1], 4.0)
    front = evolve(problem, evaluations=len(codes), seed=0)
    found = reward_of(name)(front.objectives[:, 0], -front.objectives[:, 1], 4.0)
    assert found.max() == rewards[allowed].max()
    assert "reward" not in describe(problem, codes[:1])[0]
