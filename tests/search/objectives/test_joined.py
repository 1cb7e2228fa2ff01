"""Loads of several targets become one as stated: worked by hand, and as properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palmette.latency import load_predictor
from palmette.search.evolution import evolve
from palmette.search.limits import Limits
from palmette.search.objectives.goal import JOINED_BUDGET, JOINS, Goal, Join
from palmette.search.objectives.joined import Joined, join_loads
from palmette.search.objectives.pose_joined import pose_joined
from palmette.search.problem import SearchProblem, describe, pose
from palmette.search.references import joined_references
from palmette.space import CompiledSpace, InputError, SearchSpace, compile_space

GOALS = (Goal("iphone-11/ane", 6.0), Goal("iphone-11/gpu", 12.0), Goal("iphone-11/cpu", 14.0))
# one network a row: predicted, then at the confidence, over the budgets of two targets
LOAD = np.array([[0.5, 0.9], [0.8, 0.4], [0.6, 0.7]])
UPPER = np.array([[0.6, 1.1], [0.9, 0.5], [1.2, 1.4]])
FREE = np.zeros((3, 2))


def joined(join: Join, weights: tuple[float, float] = (1.0, 1.0), barred: Any = FREE) -> Joined:
    return join_loads(join, np.array(weights), (LOAD, LOAD / 2, UPPER), barred)


def test_the_worst_is_the_largest_share_of_a_budget() -> None:
    found = joined("worst")
    assert found.load.tolist() == [0.9, 0.8, 0.7]
    assert found.upper.tolist() == [1.1, 0.9, 1.4]
    assert found.chosen.tolist() == [1, 0, 1]


def test_weights_count_by_their_ratio_and_every_budget_is_to_be_kept() -> None:
    found = joined("weighted", (30.0, 10.0))
    np.testing.assert_allclose(found.load, [0.6, 0.7, 0.625])
    np.testing.assert_allclose(found.lower, [0.3, 0.35, 0.3125])
    assert found.upper.tolist() == [1.1, 0.9, 1.4]


def test_the_best_unit_is_the_least_loaded_of_those_that_keep_their_budget() -> None:
    found = joined("best")
    assert found.chosen.tolist() == [0, 1, 0]
    assert found.load.tolist() == [0.5, 0.4, 0.6]
    assert found.upper.tolist() == [0.6, 0.5, 1.2]
    # the first unit of the first network over its budget: the other one is slower, and kept
    kept = join_loads(
        "best", np.ones(2), (LOAD[:1], LOAD[:1], np.array([[1.01, 0.99]])), np.zeros((1, 2))
    )
    assert (kept.chosen.tolist(), kept.load.tolist()) == ([1], [0.9])


def test_a_barred_unit_is_taken_only_where_all_are() -> None:
    barred = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]])
    found = joined("best", barred=barred)
    assert found.chosen.tolist() == [1, 0, 1]
    assert found.barred.tolist() == [0.0, 0.0, 1.0]
    assert joined("worst", barred=barred).barred.tolist() == [1.0, 3.0, 2.0]


shares = arrays(np.float64, (5, 3), elements=st.floats(0.01, 3.0))


@given(shares, arrays(np.float64, (5, 3), elements=st.floats(1.0, 2.0)), st.data())
def test_the_worst_is_above_the_mean_and_the_mean_above_the_best(
    load: Any, factor: Any, data: st.DataObject
) -> None:
    weights = data.draw(arrays(np.float64, 3, elements=st.floats(0.1, 5.0)))
    loads, free = (load, load / factor, load * factor), np.zeros((5, 3))
    worst, mean, best = (join_loads(join, weights, loads, free) for join in JOINS)
    assert (worst.load >= mean.load - 1e-12).all()
    assert (mean.load >= load.min(axis=1) - 1e-12).all()
    inside = loads[2] <= 1
    assert ((worst.upper <= 1) == inside.all(axis=1)).all()
    assert ((mean.upper <= 1) == inside.all(axis=1)).all()
    assert ((best.upper <= 1) == inside.any(axis=1)).all()
    cheapest = np.where(inside, load, np.inf).min(axis=1)
    some = inside.any(axis=1)
    assert (best.load[some] == cheapest[some]).all()


# --- over a space ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled(small_space: SearchSpace) -> CompiledSpace:
    return compile_space(small_space)


def posed(
    compiled: CompiledSpace, join: Join, limits: Limits | None = None, **options: Any
) -> SearchProblem:
    goals = [(goal, load_predictor(goal.target)) for goal in GOALS]
    limits = limits or Limits(JOINED_BUDGET)
    return pose_joined(compiled.space, goals, join, limits, compiled=compiled, **options)


def some_codes(problem: SearchProblem, count: int = 400) -> Any:
    return problem.space.sample(count, np.random.default_rng(5))


@pytest.mark.parametrize("join", JOINS)
def test_loads_and_feasibility_are_those_of_the_targets_alone(
    compiled: CompiledSpace, join: Join
) -> None:
    problem = posed(compiled, join, extrapolate=True)
    codes = some_codes(problem)
    alone = [
        pose(
            compiled.space,
            load_predictor(goal.target),
            Limits(goal.budget_ms),
            extrapolate=True,
            compiled=compiled,
        ).candidates(codes)
        for goal in GOALS
    ]
    loads = np.stack([one.ms / goal.budget_ms for one, goal in zip(alone, GOALS, strict=True)], 1)
    kept = np.stack([one.violation == 0 for one in alone], axis=1)
    found = problem.candidates(codes)
    wanted = {
        "worst": loads.max(axis=1),
        "weighted": loads.mean(axis=1),
        "best": np.where(kept.any(axis=1), np.where(kept, loads, np.inf).min(axis=1), found.ms),
    }
    np.testing.assert_allclose(found.ms, wanted[join], rtol=1e-12)
    every = kept.any(axis=1) if join == "best" else kept.all(axis=1)
    assert ((found.violation == 0) == every).all()
    assert 0 < every.sum() < len(every)


def test_choices_that_one_target_cannot_identify_are_barred_for_all_or_for_its_unit(
    compiled: CompiledSpace,
) -> None:
    alone = {
        goal.alias: set(
            pose(
                compiled.space,
                load_predictor(goal.target),
                Limits(goal.budget_ms),
                compiled=compiled,
            ).barred
        )
        for goal in GOALS
    }
    assert set(posed(compiled, "worst").barred) == set.union(*alone.values())
    best = posed(compiled, "best")
    assert set(best.barred) == set.intersection(*alone.values())
    # hswish is known on the CPU alone: networks with it run there
    assert "network.activation=hswish" in alone["iphone-11/ane"] - alone["iphone-11/cpu"]
    table = describe(best, some_codes(best))
    with_it = {row["unit"] for row in table if "hswish" in row["architecture"]}
    assert with_it and "iphone-11/ane" not in with_it


def test_a_joint_confidence_holds_each_budget_at_bonferronis(compiled: CompiledSpace) -> None:
    joint = posed(compiled, "worst", Limits(JOINED_BUDGET, 0.7), joint=True)
    strict = posed(compiled, "worst", Limits(JOINED_BUDGET, 0.9))
    codes = some_codes(joint)
    np.testing.assert_allclose(
        joint.candidates(codes).upper_ms, strict.candidates(codes).upper_ms, rtol=1e-12
    )


def test_a_row_has_the_load_and_the_milliseconds_of_every_target(compiled: CompiledSpace) -> None:
    problem = posed(compiled, "best")
    front = evolve(problem, evaluations=1000, seed=1)
    for row in describe(problem, front.codes[:5]):
        assert "ms" not in row
        goal = next(goal for goal in GOALS if goal.alias == row["unit"])
        assert row["load"] == pytest.approx(row[f"ms_{goal.slug}"] / goal.budget_ms)
        assert row["load_at_confidence"] <= 1
        predicted = load_predictor(goal.target).predict([row["architecture"]])[0]
        assert row[f"ms_{goal.slug}"] == pytest.approx(predicted)


def test_references_are_joined_as_the_front_is(compiled: CompiledSpace) -> None:
    problem = posed(compiled, "worst")
    assert problem.joined is not None
    zoo = joined_references(problem.joined, None, 0.8).set_index("network")
    loads = [load_predictor(g.target).predict(["mobilenet_v2"])[0] / g.budget_ms for g in GOALS]
    assert zoo.loc["mobilenet_v2", "load"] == pytest.approx(max(loads))
    assert zoo["load"].is_monotonic_increasing


def test_budgets_that_no_network_keeps_are_named_with_what_is_possible(
    compiled: CompiledSpace,
) -> None:
    goals = [(Goal("iphone-11/ane", 1.0), load_predictor("iphone-11/ane"))]
    goals.append((Goal("iphone-11/gpu", 12.0), load_predictor("iphone-11/gpu")))
    with pytest.raises(InputError, match=r"takes .* ms on iphone-11/ane \(budget 1 ms\)"):
        pose_joined(compiled.space, goals, "worst", Limits(JOINED_BUDGET), compiled=compiled)


@pytest.mark.parametrize(
    ("goals", "join", "joint", "message"),
    [
        (GOALS[:1], "worst", False, "at least two"),
        ((GOALS[0], Goal("iphone-11/ane", 3.0)), "worst", False, "is there twice"),
        ((GOALS[0], Goal("iphone-13/ane", 1.0)), "best", False, "units of one phone"),
        (GOALS, "best", True, "leave --joint out"),
        ((GOALS[0], Goal("iphone-11/cpu", 3.0, 2.0)), "worst", False, "belong to --join weighted"),
    ],
)
def test_targets_that_cannot_be_joined_are_refused(
    goals: Any, join: Any, joint: bool, message: str
) -> None:
    predicted = [(goal, load_predictor(goal.target)) for goal in goals]
    with pytest.raises(InputError, match=message):
        pose_joined(SearchSpace.preset("mnasnet"), predicted, join, Limits(1.0), joint=joint)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_or_a_weight_that_is_not_positive_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="iphone-11/ane: budget_ms must be a positive number"):
        Goal("iphone-11/ane", value)
    with pytest.raises(InputError, match="weight must be a positive number"):
        Goal("iphone-11/ane", 1.0, value)


def test_a_limit_that_no_network_keeps_is_named_by_itself(compiled: CompiledSpace) -> None:
    limits = Limits(JOINED_BUDGET, params_m=0.3, macs_m=400.0)
    with pytest.raises(InputError, match="params_m of 0.3 alone is too little") as told:
        posed(compiled, "worst", limits)
    assert "macs_m of" not in str(told.value)
