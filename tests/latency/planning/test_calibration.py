"""Calibration networks: the middle of each class of work, well-known ones among them."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.latency.planning.calibration import _inside_out, choose_networks, describe


def line(*work: float) -> np.ndarray:
    """Networks that differ in their time alone."""
    ms = np.array(work)
    return describe(ms, np.ones(len(ms)), np.zeros(len(ms)))


def test_classes_come_from_the_middle_then_the_edges() -> None:
    assert _inside_out(5) == [2, 0, 4, 1, 3]
    assert [_inside_out(count) for count in (1, 2, 3)] == [[0], [1, 0], [1, 0, 2]]


def test_each_class_of_work_gives_its_middle_network() -> None:
    nine = line(*np.exp(np.arange(9.0)))
    assert choose_networks(nine, 3).tolist() == [4, 1, 7]


def test_an_odd_network_of_a_class_is_left_out() -> None:
    found = describe(
        np.exp(np.array([0.0, 1, 2, 10, 11, 12])),
        np.array([50.0, 50, 50, 50, 500, 50]),
        np.array([0.0, 0, 0, 0, 0, 0]),
    )
    assert 4 not in choose_networks(found, 2).tolist()


def test_known_networks_stand_for_at_most_half_of_the_classes() -> None:
    work = np.exp(np.arange(10.0))
    described = line(*work, *work)
    known = np.arange(20) >= 10
    order = choose_networks(described, 5, known)
    assert known[order].tolist() == [True, True, False, False, False]


def test_known_networks_outside_of_the_space_are_not_taken() -> None:
    described = line(1, 2, 3, 4, 5, 6, 1000)
    order = choose_networks(described, 3, np.arange(7) == 6)
    assert 6 not in order.tolist() and len(order) == 3


def test_one_of_a_kin_is_taken() -> None:
    described = line(*np.exp(np.arange(6.0)))
    order = choose_networks(described, 3, kin=np.array([0, 0, 0, 0, 1, 2]))
    assert len(order) == 2 and 0 <= order[0] <= 3 and order[1] >= 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_there_are_no_more_than_networks(count: int) -> None:
    described = line(*range(1, count + 1))
    assert sorted(choose_networks(described, 8).tolist()) == list(range(count))
