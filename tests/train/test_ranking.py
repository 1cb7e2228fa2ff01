"""Kendall's tau by hand, beside scipy's, and its resamples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from palmette.space import InputError
from palmette.train.ranking import (
    best,
    best_of,
    bootstrap,
    kendall,
    near,
    order_by_distance,
    resamples,
    with_interval,
    within,
)

Numbers = st.lists(st.integers(0, 6), min_size=8, max_size=8)


def test_tau_counts_agreeing_less_disagreeing_pairs() -> None:
    # of six pairs one disagrees
    assert kendall(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3])) == pytest.approx(4 / 6)


def test_a_tie_is_no_pair_of_the_list_that_has_it() -> None:
    # five pairs agree; the estimate orders five, the truth six
    found = kendall(np.array([1.0, 2, 2, 3]), np.array([1.0, 2, 3, 4]))
    assert found == pytest.approx(5 / math.sqrt(5 * 6))


@given(Numbers, Numbers)
def test_tau_is_scipys(estimate: list[int], truth: list[int]) -> None:
    wanted = kendalltau(estimate, truth).statistic
    found = kendall(np.array(estimate, float), np.array(truth, float))
    assert found == pytest.approx(wanted, nan_ok=True)


def test_tau_of_a_resample_is_that_of_the_networks_drawn() -> None:
    rng = np.random.default_rng(0)
    estimate, truth = rng.normal(size=(2, 9))
    drawn = resamples(9, seed=1, draws=50)
    assert drawn.sum(axis=1).tolist() == [9.0] * 50
    found = bootstrap(estimate, truth, drawn)
    for row, tau in zip(drawn, found, strict=True):
        index = np.repeat(np.arange(9), row.astype(int))
        assert tau == pytest.approx(kendalltau(estimate[index], truth[index]).statistic)


def test_the_same_seed_draws_the_same_networks() -> None:
    assert np.array_equal(resamples(5, 3, 20), resamples(5, 3, 20))
    assert not np.array_equal(resamples(5, 3, 20), resamples(5, 4, 20))


def test_pairs_of_nearly_equal_work_are_within_the_share() -> None:
    found = near(np.array([100.0, 110.0, 112.0, 200.0]), 0.1)
    assert found.tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [False, True, True, False],
        [False, False, False, True],
    ]


def test_tau_of_some_pairs_ignores_the_others() -> None:
    estimate, truth = np.array([1.0, 2, 30, 40]), np.array([2.0, 1, 4, 3])
    pairs = near(estimate, 1.0)
    assert kendall(estimate, truth, pairs) == -1.0
    assert kendall(estimate, truth) > 0


def test_the_best_are_at_least_two() -> None:
    truth = np.array([3.0, 1.0, 2.0, 5.0])
    assert best(truth, 0.2).sum() == 4
    assert best(truth, 0.2)[0, 3] and best(truth, 0.2)[3, 0]
    assert best(np.arange(20.0), 0.2).sum() == 16


def test_an_interval_leaves_resamples_without_pairs_out() -> None:
    found = with_interval(0.5, np.array([np.nan, 0.0, 1.0]), 0.5)
    assert (found.value, found.low, found.high) == (0.5, 0.25, 0.75)
    assert math.isnan(with_interval(0.5, np.array([np.nan])).low)


def test_an_unordered_list_has_no_tau() -> None:
    assert math.isnan(kendall(np.ones(4), np.arange(4.0)))


def test_pairs_are_ordered_by_how_far_apart_they_are() -> None:
    estimate = np.array([70.0, 70.25, 71.25])
    truth = np.array([1.0, 0.0, 2.0])
    found = order_by_distance(estimate, truth, (0.0, 0.5, 1.0))
    assert found["pairs"].tolist() == [1, 0, 2] and found["to"].tolist() == [0.5, 1.0, np.inf]
    assert found["right"].tolist()[0] == 0.0 and found["right"].tolist()[2] == 1.0


def test_pairs_of_two_groups_or_of_none_do_not_count() -> None:
    pairs = within(["a", "b", "a", "", ""])
    assert np.argwhere(np.triu(pairs, 1)).tolist() == [[0, 2]]
    estimate, truth = np.array([70.0, 71.0, 72.0, 73.0, 74.0]), np.array([2.0, 9.0, 1.0, 3.0, 4.0])
    assert kendall(estimate, truth, pairs) == -1.0 < kendall(estimate, truth)
    found = order_by_distance(estimate, truth, (0.0, 1.5), pairs)
    assert found["pairs"].tolist() == [0, 1] and found["right"].tolist()[1] == 0.0


def test_a_tie_counts_one_half() -> None:
    found = order_by_distance(np.array([1.0, 1.0]), np.array([1.0, 2.0]), (0.0,))
    assert found["right"].tolist() == [0.5]


def test_the_best_of_all_networks_is_no_draw() -> None:
    estimate, truth = np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 0.5])
    row = best_of(estimate, truth, (3,), draws=5).iloc[0]
    assert row.to_dict() == {
        "of": 3.0,
        "estimated": 3.0,
        "true": 1.0,
        "optimism": 2.0,
        "lost": 1.0,
    }


def test_more_networks_than_there_are_are_not_drawn() -> None:
    ten = np.arange(10.0)
    assert best_of(ten, ten)["of"].tolist() == [1, 2, 5, 10]  # the default, as far as it goes
    with pytest.raises(InputError, match="counts: must be from 1 to 10, .* got 20"):
        best_of(ten, ten, (1, 20))
    with pytest.raises(InputError, match="trained: must be 1 or more, got 0"):
        best_of(ten, ten, trained=0)
    with pytest.raises(InputError, match="as many and one at least, got 10 and 9"):
        best_of(ten, ten[:9])


@pytest.mark.parametrize("edges", [(), (1.0, 2.0), (0.0, 2.0, 1.0)])
def test_edges_that_would_lose_pairs_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="edges: must rise from 0, got"):
        order_by_distance(np.arange(3.0), np.arange(3.0), edges)


def test_the_best_of_more_noisy_estimates_is_more_optimistic() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(70, 1, 400)
    found = best_of(truth + rng.normal(0, 1, 400), truth, (1, 10, 100))
    assert found["optimism"].is_monotonic_increasing and found["lost"].iloc[0] == 0
    assert abs(found["optimism"].iloc[0]) < 0.1 < 1.0 < found["optimism"].iloc[2]


def test_training_the_whole_list_loses_nothing() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(70, 1, 50)
    estimate = truth + rng.normal(0, 2, 50)
    lost = [best_of(estimate, truth, (20,), trained=k)["lost"].iloc[0] for k in (1, 5, 20)]
    assert lost[0] > lost[1] > lost[2] == pytest.approx(0)
