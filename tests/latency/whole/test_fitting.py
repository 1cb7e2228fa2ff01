"""Fitting: planted prices are found again, outliers are borne, prices stay positive and sane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from palmette.latency.robust import Prior, soft_l1
from palmette.latency.whole.fitting import (
    CHIP_SPREAD,
    Design,
    fit_prices,
)
from palmette.latency.whole.forms import FORMS, Form

Floats = NDArray[np.float64]

LINEAR = FORMS["ane_native_ios13"]
ROOFLINE = Form("made", ("weights",), ("macs",), ("elements",))
PRICES = np.array([1.5, 0.004, 0.25, 0.02])  # constant, macs, elements, dispatched
CHIPS = np.array([1.0, 1.4, 2.1])
NETWORKS = 18


def planted_matrices(seed: int, columns: int = 3) -> list[Floats]:
    """Networks of 40 ops whose three features do not move together."""
    rng = np.random.default_rng(seed)
    scale = np.array([500.0, 8.0, 60.0])[:columns] / 40
    sizes = np.exp(rng.normal(0, 0.7, (NETWORKS, 1, columns)))
    ops = rng.random((NETWORKS, 40, columns)) * 2
    return list(sizes * ops * scale)


def linear_ms(matrices: list[Floats]) -> Floats:
    """Milliseconds of networks at the planted prices, (chips, networks)."""
    sums = np.array([matrix.sum(axis=0) for matrix in matrices])
    return np.outer(CHIPS, PRICES[0] + sums @ PRICES[1:])


def design_of(form: Form, matrices: list[Floats], floor: float = 0.0) -> Design:
    return Design.of(form, matrices, np.full((len(CHIPS), len(matrices)), floor))


def predicted(design: Design, prices: Floats) -> Floats:
    parts = np.stack([design.shares(row) @ row for row in prices])
    return parts + design.floors


def test_planted_prices_of_three_chips_are_found_again() -> None:
    matrices = planted_matrices(0)
    prices = fit_prices(design_of(LINEAR, matrices), linear_ms(matrices))
    assert prices.shape == (3, 4)
    assert prices == pytest.approx(np.outer(CHIPS, PRICES), rel=0.1)


def test_networks_left_out_are_predicted_by_the_planted_prices() -> None:
    matrices = planted_matrices(1)
    truth = linear_ms(matrices)
    latency_ms = truth.copy()
    latency_ms[:, :3] = np.nan
    design = design_of(LINEAR, matrices)
    assert predicted(design, fit_prices(design, latency_ms)) == pytest.approx(truth, rel=0.03)


def test_the_floor_is_not_paid_twice() -> None:
    matrices = planted_matrices(2)
    design = design_of(LINEAR, matrices, floor=0.7)
    prices = fit_prices(design, linear_ms(matrices) + 0.7)
    assert predicted(design, prices) == pytest.approx(linear_ms(matrices) + 0.7, rel=0.02)
    assert prices[0, 0] == pytest.approx(PRICES[0], rel=0.2)


def test_a_chip_with_three_timings_leans_on_its_relatives() -> None:
    matrices = planted_matrices(3)
    truth = linear_ms(matrices)
    latency_ms = truth.copy()
    latency_ms[2, 3:] = np.nan
    design = design_of(LINEAR, matrices)
    assert predicted(design, fit_prices(design, latency_ms))[2] == pytest.approx(truth[2], rel=0.08)


def test_one_outlier_does_not_move_the_others() -> None:
    matrices = planted_matrices(4)
    truth = linear_ms(matrices)
    latency_ms = truth.copy()
    latency_ms[:, 0] *= 8  # the same odd network on every chip
    design = design_of(LINEAR, matrices)
    found = predicted(design, fit_prices(design, latency_ms))
    assert found[:, 1:] == pytest.approx(truth[:, 1:], rel=0.1)
    squared = 8 ** (1 / NETWORKS) - 1  # what a mean of logs would move all by
    assert abs(np.median(found[:, 1:] / truth[:, 1:]) - 1) < squared / 4


def test_a_planted_roofline_is_found_again() -> None:
    rng = np.random.default_rng(5)
    matrices = []
    for _ in range(NETWORKS):
        size = np.exp(rng.normal(0, 0.6))
        computing = rng.random((40, 1)) < 0.5  # ops bound by computing, and ops bound by moving
        work = np.where(computing, rng.random((40, 1)) * 30, 0.5)
        moved = np.where(computing, 0.01, rng.random((40, 1)))
        matrices.append(np.concatenate([rng.random((40, 1)) * 0.1, work, moved], axis=1) * size)
    design = design_of(ROOFLINE, matrices)
    truth = np.array([0.8, 2.0, 0.02, 0.9])  # constant, weights, macs, elements
    latency_ms = np.outer(CHIPS, design.shares(truth) @ truth)
    prices = fit_prices(design, latency_ms)
    assert predicted(design, prices) == pytest.approx(latency_ms, rel=0.03)
    assert prices[:, 2:] == pytest.approx(np.outer(CHIPS, truth[2:]), rel=0.15)


def test_a_feature_that_no_timed_network_has_keeps_the_price_of_an_equal_share() -> None:
    matrices = planted_matrices(6)
    for matrix in matrices[2:]:
        matrix[:, 2] = 0.0
    latency_ms = linear_ms(matrices)
    latency_ms[:, :2] = np.nan  # the two networks that have it
    design = design_of(LINEAR, matrices)
    prices = fit_prices(design, latency_ms)
    chip = prices[:, 2] / prices[0, 2]
    usual = np.median([matrix[:, 2].sum() for matrix in matrices[:2]])
    share = np.nanmedian(latency_ms) / 4 / usual
    # the data say nothing of it: what is left is the prior, times what the chip costs in all
    assert prices[:, 3] / prices[0, 3] == pytest.approx(chip, rel=0.1)
    assert np.log(prices[1, 3] / share) == pytest.approx(0, abs=CHIP_SPREAD)
    total = predicted(design, prices)[:, :2]
    assert np.all(total < 3 * linear_ms(matrices)[:, :2])


def test_a_prior_of_ones_own_holds_where_nothing_was_timed() -> None:
    design = design_of(LINEAR, planted_matrices(9))
    nothing = np.full((len(CHIPS), NETWORKS), np.nan)
    prices = fit_prices(design, nothing, Prior(np.log(PRICES), np.full(4, 0.25)))
    assert prices == pytest.approx(np.tile(PRICES, (3, 1)), rel=1e-12)


def test_a_narrower_prior_holds_prices_closer() -> None:
    matrices = planted_matrices(10)
    truth = np.array([1.5, 0.004, 0.75, 0.02])  # elements at three times the price
    latency_ms = np.outer(CHIPS, np.array([m.sum(axis=0) for m in matrices]) @ truth[1:] + truth[0])
    design = design_of(LINEAR, matrices)
    off = [
        np.abs(
            np.log(fit_prices(design, latency_ms, Prior(np.log(PRICES), np.full(4, s)))[0, 2])
            - np.log(truth[2])
        )
        for s in (1.0, 0.02)
    ]
    assert off[0] < off[1]


def test_totals_count_both_sides_of_a_roofline_and_shares_the_dearer() -> None:
    matrix = np.array([[0.0, 1.0, 0.5], [0.0, 0.1, 2.0]])
    design = design_of(ROOFLINE, [matrix, matrix[:1]])
    assert design.totals().tolist() == [[1.0, 0.0, 1.1, 2.5], [1.0, 0.0, 1.0, 0.5]]
    shares = design.shares(np.array([9.0, 9.0, 1.0, 1.0]))
    assert shares.tolist() == [[1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 1.0, 0.0]]


@settings(max_examples=15)
@given(st.lists(st.floats(0.05, 500), min_size=6, max_size=6), st.integers(0, 5))
def test_prices_are_positive_whatever_was_timed(times: list[float], missing: int) -> None:
    latency_ms = np.tile(np.array(times), (3, 1))
    latency_ms[1, missing] = np.nan
    prices = fit_prices(design_of(LINEAR, planted_matrices(7)[:6]), latency_ms)
    assert np.isfinite(prices).all() and (prices > 0).all()


def test_the_rows_of_a_network_do_not_depend_on_the_order_of_its_ops() -> None:
    matrices = planted_matrices(8)
    shuffled = [matrix[::-1] for matrix in matrices]
    latency_ms = linear_ms(matrices)
    one = fit_prices(design_of(LINEAR, matrices), latency_ms)
    other = fit_prices(design_of(LINEAR, shuffled), latency_ms)
    assert one == pytest.approx(other, rel=1e-6)


@given(st.floats(-1e3, 1e3))
def test_the_squared_residual_is_the_soft_l1_loss(residual: float) -> None:
    soft, slope = soft_l1(np.array([residual]))
    assert soft[0] ** 2 == pytest.approx(2 * (np.sqrt(1 + residual**2) - 1), rel=1e-6, abs=1e-12)
    step = 1e-6 * max(1.0, abs(residual))
    (up, down), _ = soft_l1(np.array([residual + step, residual - step]))
    assert slope[0] == pytest.approx((up - down) / (2 * step), rel=1e-3, abs=1e-3)
