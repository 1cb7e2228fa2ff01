"""Fronts of one objective and more: by hand, by brute force, and beside pymoo's and Optuna's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from pymoo.indicators.hv import HV

from palmette.search.front import covered, hypervolume, hypervolume_share, non_dominated

Floats = NDArray[np.float64]

# few distinct values, so that ties and repeated points are common
grids = st.integers(0, 6).map(float)
points = st.integers(0, 25).flatmap(lambda n: arrays(np.float64, (n, 2), elements=grids))


spaces = st.tuples(st.integers(0, 25), st.sampled_from([1, 3, 4])).flatmap(
    lambda shape: arrays(np.float64, shape, elements=grids)
)


def dominates(one: Floats, other: Floats) -> bool:
    return bool(np.all(one <= other) and np.any(one < other))


def test_front_by_hand() -> None:
    objectives = np.array([[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [3.0, 3.0]])
    assert non_dominated(objectives).tolist() == [1, 2, 0]


def test_of_equal_points_the_first_is_kept() -> None:
    assert non_dominated(np.array([[1.0, 1.0], [0.0, 2.0], [1.0, 1.0]])).tolist() == [1, 0]


def test_front_of_nothing_is_nothing() -> None:
    assert non_dominated(np.empty((0, 2))).tolist() == []
    assert hypervolume(np.empty((0, 2)), np.array([1.0, 1.0])) == 0


@given(points)
def test_front_is_what_no_point_dominates(objectives: Floats) -> None:
    front = objectives[non_dominated(objectives)]
    expected = {tuple(p) for p in objectives if not any(dominates(q, p) for q in objectives)}
    assert {tuple(p) for p in front} == expected
    assert len(front) == len(expected)
    assert np.all(np.diff(front[:, 0]) > 0)
    assert np.all(np.diff(front[:, 1]) < 0)


@given(points, points)
def test_covered_are_the_points_that_the_front_dominates_or_holds(one: Floats, two: Floats) -> None:
    front = one[non_dominated(one)]
    expected = [any(np.all(q <= p) for q in front) for p in two]
    assert covered(front, two).tolist() == expected


@pytest.mark.parametrize(
    ("objectives", "area"),
    [
        ([[1.0, 1.0]], 4.0),
        ([[1.0, 2.0], [2.0, 1.0]], 3.0),
        ([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]], 3.0),  # a dominated point adds nothing
        ([[0.0, 3.0], [3.0, 0.0], [4.0, -1.0]], 0.0),  # on the edge of the box, and outside it
        ([[-1.0, 2.5], [2.5, -2.0]], 0.5 * 4 + 0.5 * 4.5),
    ],
)
def test_hypervolume_by_hand(objectives: list[list[float]], area: float) -> None:
    assert hypervolume(np.array(objectives), np.array([3.0, 3.0])) == pytest.approx(area)


@given(points)
def test_hypervolume_equals_pymoo_and_optuna(objectives: Floats) -> None:
    reference = np.array([5.0, 5.5])
    ours = hypervolume(objectives, reference)
    inside = objectives[np.all(objectives <= reference, axis=1)]
    if len(inside):
        assert ours == pytest.approx(float(HV(ref_point=reference)(inside)))
        assert ours == pytest.approx(compute_hypervolume(inside, reference))
    else:
        assert ours == 0


def test_share_of_the_exact_front_by_hand() -> None:
    exact = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])  # nadir (2, 2): area 1
    assert hypervolume_share(exact, exact) == 1
    assert hypervolume_share(np.array([[1.5, 1.0]]), exact) == pytest.approx(0.5)
    assert hypervolume_share(np.empty((0, 2)), exact) == 0


def test_an_exact_front_without_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="has no volume"):
        hypervolume_share(np.zeros((1, 2)), np.array([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize("wrong", [np.zeros((2, 0)), np.zeros(2), np.array([[0.0, np.nan]])])
def test_wrong_shapes_and_nan_are_refused(wrong: Floats) -> None:
    with pytest.raises(ValueError, match="shape"):
        non_dominated(wrong)
    with pytest.raises(ValueError, match="shape"):
        hypervolume(wrong, np.ones(2))


def test_front_of_three_objectives_by_hand() -> None:
    points = [[2, 2, 2], [3, 1, 3], [1, 3, 3], [2, 2, 3], [3, 3, 1], [1, 3, 3], [3, 3, 3]]
    assert non_dominated(np.array(points, dtype=np.float64)).tolist() == [2, 0, 1, 4]


def test_front_of_one_objective_is_the_first_of_the_least() -> None:
    assert non_dominated(np.array([[3.0], [1.0], [2.0], [1.0]])).tolist() == [1]
    assert (
        non_dominated(np.empty((0, 1))).tolist() == non_dominated(np.empty((0, 3))).tolist() == []
    )


@given(spaces)
def test_front_of_any_width_is_what_no_point_dominates(objectives: Floats) -> None:
    front = objectives[non_dominated(objectives)]
    expected = {tuple(p) for p in objectives if not any(dominates(q, p) for q in objectives)}
    assert {tuple(p) for p in front} == expected
    assert len(front) == len(expected)
    assert front.tolist() == sorted(front.tolist())


@given(spaces, st.integers(0, 100))
def test_covered_of_any_width(objectives: Floats, seed: int) -> None:
    others = np.random.default_rng(seed).integers(0, 7, objectives.shape).astype(np.float64)
    front = objectives[non_dominated(objectives)]
    expected = [any(np.all(q <= p) for q in front) for p in others]
    assert covered(front, others).tolist() == expected


def test_covered_by_more_points_than_are_compared_at_once() -> None:
    angle = np.linspace(0.01, 1.56, 500)
    front = np.stack([-np.sin(angle), -np.cos(angle), np.zeros(500)], axis=1)
    front = front[np.argsort(front[:, 0])]
    assert covered(front, front).all()
    assert not covered(front, front - [1e-9, 0, 0]).any()


@pytest.mark.parametrize(
    ("objectives", "reference", "volume"),
    [
        ([[1, 1, 1]], [3, 3, 3], 8),
        ([[1, 1, 2], [2, 2, 1]], [3, 3, 3], 4 + 2 - 1),  # boxes of 2 x 2 x 1 and 1 x 1 x 2
        ([[1, 1, 2], [2, 2, 2], [4, 0, 0]], [3, 3, 3], 4),  # dominated, and outside
        ([[2], [1.5]], [4], 2.5),
        ([[1, 1, 1, 1]], [2, 3, 2, 3], 4),
        ([[3, 0, 0]], [3, 3, 3], 0),
    ],
)
def test_hypervolume_of_any_width_by_hand(
    objectives: list[list[float]], reference: list[float], volume: float
) -> None:
    found = hypervolume(np.array(objectives, dtype=np.float64), np.array(reference, dtype=float))
    assert found == pytest.approx(volume)


def test_share_of_an_exact_front_of_three_objectives_by_hand() -> None:
    exact = np.array(
        [[0, 1, 2], [2, 0, 1], [1, 2, 0], [1, 1, 1]], dtype=np.float64
    )  # nadir (2, 2, 2)
    # the last alone has a volume; the others lie on the sides of the box
    assert hypervolume_share(exact, exact) == 1
    assert hypervolume_share(np.array([[1.5, 1, 1]]), exact) == pytest.approx(0.5)
