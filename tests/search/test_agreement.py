"""Orders of a few networks, counted by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from palmette.search.agreement import Agreement, chance
from palmette.train.estimates import Measured

RISING = np.array([50.0, 60.0, 70.0, 80.0])


def real(*top1: float, images: int = 10_000) -> Measured:
    return Measured.of([value / 100 for value in top1], images)


def test_a_perfect_order_of_four_is_one_of_24() -> None:
    found = Agreement.of(RISING, real(40, 50, 60, 70))
    assert (found.networks, found.pairs, found.tau, found.chance) == (4, 6, 1.0, 1 / 24)
    assert (found.pairs_apart, found.pairs_apart_agreeing) == (6, 6)
    assert found.mean_difference == pytest.approx(-10.0)
    assert not any("can't show" in line for line in found.lines(10_000))


def test_one_exchanged_pair_costs_two_sixths() -> None:
    """Of 24 orders one has no exchange and three have one."""
    found = Agreement.of(RISING, real(40, 60, 50, 70))
    assert found.tau == pytest.approx(4 / 6) and found.chance == pytest.approx(4 / 24)
    assert (found.pairs_apart, found.pairs_apart_agreeing) == (6, 5)


def test_an_exchange_inside_the_noise_of_the_images_is_no_pair_apart() -> None:
    found = Agreement.of(RISING, real(40.0, 60.0, 59.0, 80.0, images=400))
    # by 400 images two networks at 60 % differ by more than 2 sigma only above 6.9 points
    assert (found.pairs, found.pairs_apart, found.pairs_apart_agreeing) == (6, 5, 5)


def test_three_networks_show_nothing_and_one_has_no_order() -> None:
    three = Agreement.of(RISING[:3], real(1, 2, 3))
    assert three.chance == pytest.approx(1 / 6)
    assert "3 networks can't show that an order is better than chance" in three.lines(50)[-1]
    one = Agreement.of(RISING[:1], real(60))
    assert math.isnan(one.tau) and one.chance == 1.0
    assert one.lines(50) == ["order: no two of these networks differ; give more --picks"]


def test_of_many_networks_orders_are_drawn() -> None:
    estimated = np.arange(9.0)
    truth = np.array([0.0, 2, 1, 4, 3, 6, 5, 8, 7])
    exact = kendalltau(estimated, truth, alternative="greater", method="exact").pvalue
    assert chance(estimated, truth) == pytest.approx(exact, abs=0.002)


@settings(max_examples=20)
@given(st.permutations([1.0, 2.0, 3.0, 4.0, 5.0]))
def test_chance_is_that_of_the_exact_test(order: list[float]) -> None:
    truth = np.arange(5.0)
    found = kendalltau(np.array(order), truth, alternative="greater", method="exact")
    assert chance(np.array(order), truth) == pytest.approx(found.pvalue)


def test_ties_are_counted_as_equal_orders() -> None:
    """Estimates 1, 1, 2: a third of the orders puts the 2 where the best is, and so on."""
    estimated, truth = np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    scores = [sum(o[j] - o[i] for i, j in ((0, 1), (0, 2), (1, 2))) for o in
              itertools.permutations(estimated)]  # fmt: skip
    assert (
        chance(estimated, truth) == sum(score >= 2 for score in scores) / 6 == pytest.approx(1 / 3)
    )


def test_networks_that_are_all_alike_have_no_tau() -> None:
    found = Agreement.of(RISING, real(50, 50, 50, 50))
    assert math.isnan(found.tau) and found.pairs_apart == 0 and found.chance == 1.0
    assert found.lines(100) == ["order: no two of these networks differ; give more --picks"]


def test_an_interval_is_given_where_there_are_networks_enough() -> None:
    """Eight networks of which one pair is exchanged: 26 of 28 net."""
    truth = np.array([10.0, 20, 30, 40, 50, 60, 80, 70])
    few, enough = (Agreement.of(np.arange(n), real(*truth[-n:])) for n in (7, 8))
    assert math.isnan(few.tau_low) and "interval" not in few.lines(100)[0]
    assert enough.tau == pytest.approx(26 / 28)
    assert enough.tau_low < enough.tau <= enough.tau_high
    assert "95 % interval" in enough.lines(100)[0]
