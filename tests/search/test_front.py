"""Fronts of two objectives: by hand, against brute force, and against pymoo's and Optuna's."""

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


def test_an_exact_front_without_area_is_refused() -> None:
    with pytest.raises(ValueError, match="has no area"):
        hypervolume_share(np.zeros((1, 2)), np.array([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize("wrong", [np.zeros((2, 3)), np.zeros(2), np.array([[0.0, np.nan]])])
def test_wrong_shapes_and_nan_are_refused(wrong: Floats) -> None:
    with pytest.raises(ValueError, match="shape"):
        non_dominated(wrong)
    with pytest.raises(ValueError, match="shape"):
        hypervolume(wrong, np.ones(2))
