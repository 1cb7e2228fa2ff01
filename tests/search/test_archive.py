"""What an archive keeps: by hand, for one objective, two and three."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from palmette.search import archive as archives
from palmette.search.archive import INFEASIBLE_KEPT, Archive, thinned
from palmette.search.evolution import State

Floats = NDArray[np.float64]


def test_an_archive_without_feasible_codes_keeps_those_of_least_violation() -> None:
    count = 500
    codes = np.arange(count)[:, None]
    violation = np.random.default_rng(0).permutation(count) + 1.0
    archive = Archive.empty(1).with_batch(codes, np.zeros((count, 2)), violation)
    assert not archive.feasible.any()
    assert archive.violation.tolist() == list(range(1, 1 + INFEASIBLE_KEPT))


def test_beside_its_front_an_archive_keeps_what_violates_least_on_each_step() -> None:
    objectives = [
        *[(1, 5), (3, 3)],  # 0, 1: the front
        *[(2, 6), (3, 3)],  # 2, 3: infeasible, and no better than the front
        *[(0, 9), (0.5, 9)],  # 4, 5: left of the front
        *[(2, 4), (2, 4.5)],  # 6, 7: between its points
        *[(4, 1), (np.nan, 0)],  # 8, 9: right of it, and of no known worth
    ]
    violation = np.array([0, 0, 1, 1, 3, 2, 5, 6, 9, 1], dtype=np.float64)
    codes = np.arange(10)[:, None]
    archive = Archive.empty(1).with_batch(codes, np.array(objectives, dtype=np.float64), violation)
    assert archive.codes[:, 0].tolist() == [5, 0, 6, 1, 8]
    assert archive.feasible.tolist() == [False, True, False, True, False]
    assert State(1, 10, (archive,)).front().codes[:, 0].tolist() == [0, 1]


def test_of_one_objective_the_best_code_with_each_choice_is_kept() -> None:
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 1], [0, 0]])
    objective = np.array([[3.0], [1.0], [2.0], [4.0], [9.0], [3.0]])
    archive = Archive.empty(2).with_batch(codes, objective, np.zeros(6))
    # best with a first gene of 0 and with a second of 1; with 1 and with 0; with 2
    assert archive.codes.tolist() == [[0, 1], [1, 0], [2, 1]]
    assert archive.objectives[:, 0].tolist() == [1, 2, 9]
    assert State(1, 6, (archive,)).front().codes.tolist() == [[0, 1]]


def test_of_one_objective_the_edge_trades_violation_for_the_objective() -> None:
    objective = np.array([[5.0], [6.0], [4.0], [4.5], [3.0], [2.0]])
    violation = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 3.0])
    archive = Archive.empty(1).with_batch(np.zeros((6, 1), dtype=np.int64), objective, violation)
    assert archive.objectives[:, 0].tolist() == [2, 4, 5]
    assert archive.violation.tolist() == [3, 1, 0]
    assert State(1, 6, (archive,)).front().objectives.tolist() == [[5.0]]


def test_of_three_objectives_the_front_and_an_edge_along_the_first_are_kept() -> None:
    objectives = [
        *[(1, 3, 3), (3, 1, 3), (3, 3, 1)],  # 0, 1, 2: the front
        *[(3, 3, 3), (1, 3, 3)],  # 3, 4: dominated, and there already
        *[(2, 3, 3), (3, 1, 3)],  # 5, 6: infeasible, and no better than the front
        *[(2, 2, 2), (2, 2, 2.5), (0, 9, 9)],  # 7, 8, 9: infeasible and between or left of it
    ]
    violation = np.array([0, 0, 0, 0, 0, 1, 1, 5, 4, 3], dtype=np.float64)
    codes = np.arange(10)[:, None]
    archive = Archive.empty(1).with_batch(codes, np.array(objectives, dtype=np.float64), violation)
    assert archive.codes[:, 0].tolist() == [9, 0, 8, 1, 2]
    assert State(1, 10, (archive,)).front().codes[:, 0].tolist() == [0, 1, 2]


def test_the_number_of_objectives_stays() -> None:
    codes = np.zeros((2, 1), dtype=np.int64)
    archive = Archive.empty(1).with_batch(codes, np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="3 objectives before, now 2"):
        archive.with_batch(codes, np.zeros((2, 2)), np.zeros(2))


def test_a_front_of_three_objectives_is_thinned_to_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_KEPT", 50)
    rng = np.random.default_rng(0)
    points = np.abs(rng.normal(size=(400, 3)))
    points = -points / np.linalg.norm(points, axis=1, keepdims=True)  # none dominates another
    codes = np.arange(400)[:, None]
    archive = Archive.empty(1).with_batch(codes, points, np.zeros(400))
    assert len(archive.codes) == 50
    assert np.array_equal(archive.objectives.min(axis=0), points.min(axis=0))


def test_of_close_points_one_goes_and_ends_stay() -> None:
    points = np.array([[0, 4], [0.1, 3.9], [1, 3], [2, 2], [2.1, 1.9], [4, 0]], dtype=np.float64)
    ends = np.array([0, 5])
    assert thinned(points, 6).tolist() == list(range(6))
    kept = thinned(points, 4)
    assert len({0, 1} & set(kept.tolist())) == len({3, 4} & set(kept.tolist())) == 1
    assert np.isin(ends, kept).all()
    assert thinned(points, 2).tolist() == ends.tolist()


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(5, 60))
def test_thinned_keeps_as_many_as_asked_for_and_the_best_of_each(
    seed: int, width: int, most: int
) -> None:
    points = np.random.default_rng(seed).random((60, width))
    kept = thinned(points, most)
    assert len(kept) == most
    assert np.all(np.diff(kept) > 0)
    assert np.array_equal(points[kept].min(axis=0), points.min(axis=0))
