import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.search.correction import FEWEST, Correction, Kernel, sigma_of

NOISE = 0.02
CODES = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [2, 2, 2, 2]])


def test_one_timing_moves_all_networks_by_what_they_have_in_common() -> None:
    kernel = Kernel(0.1, common=0.5, length=0.15)
    mean, spread = Correction(CODES[:1], np.array([0.1]), kernel, NOISE).at(CODES)
    share = 0.01 / (0.01 + NOISE**2)
    assert mean[0] == pytest.approx(0.1 * share)
    assert mean[1] == pytest.approx(0.1 * share * (0.5 + 0.5 * math.exp(-1 / 0.15)))
    assert mean[0] > mean[2] > mean[1] and spread[0] < spread[2] < spread[1]
    assert spread[1] ** 2 == pytest.approx(0.01 - (mean[1] * 10) ** 2 * 0.01 / share + NOISE**2)


def test_without_timings_nothing_changes_and_the_predictor_is_as_sure_as_it_was() -> None:
    mean, spread = Correction.of(CODES[:0], np.empty(0), 0.1).at(CODES)
    assert mean.tolist() == [0.0] * 4 and spread.tolist() == [0.1] * 4


def test_a_few_timings_leave_the_kernel_as_it_is() -> None:
    errors = np.full(FEWEST - 1, 0.3)
    assert Correction.of(CODES[: FEWEST - 1], errors, 0.1).kernel == Kernel(0.1)


def test_errors_that_all_share_are_taken_for_common_and_others_not() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (20, 10))
    alike = Correction.of(codes, np.full(20, 0.1) + 0.005 * rng.standard_normal(20), 0.1, NOISE)
    apart = Correction.of(codes, 0.1 * rng.standard_normal(20), 0.1, NOISE)
    assert alike.kernel.common == 0.9 and apart.kernel.common == 0.1
    elsewhere = rng.integers(0, 4, (50, 10))
    assert alike.at(elsewhere)[0] == pytest.approx(np.full(50, 0.1), abs=0.02)
    assert np.abs(apart.at(elsewhere)[0]).max() < 0.1


@given(st.integers(0, 1000), st.integers(1, 12))
@settings(max_examples=25)
def test_what_was_timed_is_known_best_and_nothing_is_surer_than_a_timing(
    seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    codes = np.unique(rng.integers(0, 3, (count, 6)), axis=0)
    fitted = Correction.of(codes, 0.1 * rng.standard_normal(len(codes)), 0.1, NOISE)
    _, spread = fitted.at(np.concatenate([codes, rng.integers(0, 3, (30, 6))]))
    assert (spread >= NOISE).all()
    assert spread[: len(codes)].max() <= NOISE * math.sqrt(2) + 1e-9
    assert spread.max() <= math.hypot(fitted.kernel.sigma, NOISE) + 1e-9


def test_a_factor_of_an_interval_is_a_deviation() -> None:
    assert sigma_of(math.exp(1.2815515655446004 * 0.05), 0.8) == pytest.approx(0.05)
