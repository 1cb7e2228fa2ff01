"""Herding: small cases by hand, and what holds for any."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.per_op.kernels import KernelTable, kernel_from_text
from palmette.latency.planning.herding import (
    TRAIT_LIKENESS,
    choose_kernels,
    covered,
    herd,
    kernel_likeness,
    likeness,
)


def test_things_without_likeness_come_by_their_weight() -> None:
    assert herd(np.eye(4), np.array([1.0, 4.0, 2.0, 3.0]), 3).tolist() == [1, 3, 2]


def test_a_twin_comes_after_what_nothing_taken_stands_for() -> None:
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # middle: .65, .65, .35; after the first twin the second has .65 - 1 / 2
    assert herd(alike, np.array([0.35, 0.3, 0.35]), 3).tolist() == [0, 2, 1]


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_fewer_are_the_beginning_of_more(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    alike = likeness(rng.normal(size=(12, 3)), rng.integers(0, 2, (12, 2)).astype(float))
    weights = rng.uniform(0.1, 1.0, 12)
    every = herd(alike, weights, 20)
    assert sorted(every) == list(range(12))
    assert herd(alike, weights, count).tolist() == every[:count].tolist()


def test_likeness_falls_with_the_distance_and_with_traits() -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    traits = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert likeness(points, traits)[0] == pytest.approx([1, math.exp(-0.5), TRAIT_LIKENESS, 0])


def test_the_first_kernel_is_the_one_that_most_time_goes_into() -> None:
    texts = ("conv 8x7x7 -> 8x7x7", "conv 8x7x7 -> 8x7x7 k3 g8", "linear 8 -> 8")
    table = KernelTable.of([kernel_from_text(text) for text in texts])
    assert choose_kernels(table, np.array([1.0, 5.0, 2.0]), 3).tolist() == [1, 2, 0]
    assert kernel_likeness(table) == pytest.approx(np.eye(3))


def test_what_is_covered_is_the_time_times_the_likeness() -> None:
    alike = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    ms = np.array([2.0, 4.0, 4.0])
    assert covered(alike, ms, []) == 0
    assert covered(alike, ms, [0]) == pytest.approx((2 + 0.5 * 4) / 10)
    assert covered(alike, ms, [0, 2]) == pytest.approx(0.8)
    assert covered(alike, ms, [2, 1, 0]) == pytest.approx(1)
