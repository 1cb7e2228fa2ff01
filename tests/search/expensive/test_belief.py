"""The belief: exact where it can be worked out, calibrated where it can be counted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import kendalltau

from palmette.search.expensive import kernel as kernels
from palmette.search.expensive.belief import (
    REFITS,
    Belief,
    LeftOut,
    Outlook,
    believe,
    counted,
    kernel_of,
)
from palmette.search.expensive.encoding import Encoding
from palmette.search.expensive.kernel import Kernel, common
from palmette.space import SearchSpace
from tests.search.expensive.conftest import Made


def test_steps_between_choices_add_up(small_space: SearchSpace) -> None:
    encoding = Encoding.of(small_space)
    codes = small_space.sample(200, np.random.default_rng(0))
    rows = encoding.rows(codes)
    apart = ((rows[:, None, :] - rows[None, :, :]) ** 2).sum(axis=2)
    wanted = np.zeros((200, 200))
    for column, gene in enumerate(small_space.genes):
        named = isinstance(gene.choices[0], str)
        away = np.abs(codes[:, None, column] - codes[None, :, column])
        wanted += np.minimum(away, 1) if named else away
    np.testing.assert_allclose(apart, wanted)


def test_before_any_result_differences_are_the_priors(made: Made) -> None:
    outlook = Outlook.of(made.space, made.prior)
    codes = made.space.sample(50, np.random.default_rng(0))
    mean, sigma = Belief.first(outlook).predict(codes)
    np.testing.assert_allclose(mean - mean[0], made.prior(codes).top1 - made.prior(codes).top1[0])
    assert (sigma > kernels.OFFSET_SD).all()


def test_one_result_moves_all_networks_together(made: Made) -> None:
    outlook = Outlook.of(made.space, made.prior)
    one = made.measured(1, noise=0.0)
    codes = made.space.sample(50, np.random.default_rng(1))
    belief = believe(outlook, one)
    assert belief.predict(one.codes)[0][0] == pytest.approx(one.top1[0], abs=0.1)
    moved = belief.predict(codes)[0] - made.prior(codes).top1
    assert moved.mean() == pytest.approx(one.top1[0] - made.prior(one.codes).top1[0], abs=1.0)


def test_the_posterior_is_that_of_the_textbook(made: Made) -> None:
    outlook, results = Outlook.of(made.space, made.prior), made.measured(12)
    belief = believe(outlook, results)
    codes = made.space.sample(5, np.random.default_rng(1))
    rows, asked = outlook.encoding.rows(results.codes), outlook.encoding.rows(codes)
    p, q = outlook.differences(results.codes), outlook.differences(codes)
    own = belief.kernel

    def cov(a: object, b: object, pa: object, pb: object) -> np.ndarray:  # type: ignore[type-arg]
        return own.between(a, b, outlook.encoding) + common(pa, pb)  # type: ignore[arg-type]

    noisy = cov(rows, rows, p, p) + np.diag(results.sigma**2 + own.noise + 1e-6)
    cross = cov(asked, rows, q, p)
    residuals = results.top1 - p - belief.level
    mean = belief.level + q + cross @ np.linalg.solve(noisy, residuals)
    covariance = cov(asked, asked, q, q) - cross @ np.linalg.solve(noisy, cross.T)
    np.testing.assert_allclose(belief.predict(codes)[0], mean, rtol=1e-6)
    np.testing.assert_allclose(belief.mean(codes), mean, rtol=1e-6)
    np.testing.assert_allclose(belief.predict(codes)[1] ** 2, np.diag(covariance), rtol=1e-4)
    np.testing.assert_allclose(
        belief.covariance(codes, codes[2]), covariance[:, 2], rtol=1e-4, atol=1e-5
    )


def test_a_result_left_out_in_closed_form_is_one_left_out_by_hand(made: Made) -> None:
    outlook, results = Outlook.of(made.space, made.prior), made.measured(20)
    belief = believe(outlook, results)
    missed = []
    for index in range(20):
        others = results.chosen(np.delete(np.arange(20), index))
        again = believe(outlook, others, belief.kernel)
        missed.append(float(again.mean(results.codes[[index]])[0]) - results.top1[index])
    found = LeftOut.of(belief, results)
    # the level around which the offset is believed differs in its mean by one result
    assert found.error == pytest.approx(float(np.sqrt(np.mean(np.square(missed)))), rel=0.01)


def test_the_slope_of_the_likelihood_is_its_slope(made: Made) -> None:
    outlook, results = Outlook.of(made.space, made.prior), made.measured(15)
    rows, p = outlook.encoding.rows(results.codes), outlook.differences(results.codes)
    shared = common(p, p) + np.diag(results.sigma**2)
    start = kernels._packed(Kernel.start(outlook.encoding, 1.5))
    start = start + np.random.default_rng(0).normal(0, 0.3, len(start))

    def value(packed: np.ndarray) -> float:  # type: ignore[type-arg]
        args = (rows, results.top1 - 50 - p, shared, outlook.encoding)
        return kernels._unlikely(kernels._unpacked(packed), *args)[0]

    slope = kernels._unlikely(
        kernels._unpacked(start), rows, results.top1 - 50 - p, shared, outlook.encoding
    )[1]
    np.testing.assert_allclose(slope, approx_fprime(start, value, 1e-6), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prior", [True, False])
def test_a_hundred_results_rank_networks_that_were_not_measured(made: Made, prior: bool) -> None:
    outlook = Outlook.of(made.space, made.prior if prior else None)
    results = made.measured(100)
    belief = believe(outlook, results)
    codes = made.space.sample(1000, np.random.default_rng(9))
    truth = made.truth(codes)
    mean, sigma = belief.predict(codes)
    assert kendalltau(mean, truth).statistic > 0.9
    inside = np.abs(mean - truth) <= 1.2816 * sigma
    assert inside.mean() > 0.75
    assert sigma.mean() < 3 * float(np.sqrt(np.mean((mean - truth) ** 2)))
    left = LeftOut.of(belief, results)
    assert 0.15 < left.error < 0.6 and left.tau > 0.85


def test_with_few_results_the_prior_is_worth_having(made: Made) -> None:
    codes = made.space.sample(1000, np.random.default_rng(9))
    found = [
        kendalltau(
            believe(Outlook.of(made.space, prior), made.measured(10)).mean(codes), made.truth(codes)
        ).statistic
        for prior in (made.prior, None)
    ]
    assert found[0] > found[1] + 0.1


def test_the_kernel_follows_from_the_results_up_to_its_last_fit(made: Made) -> None:
    outlook, results = Outlook.of(made.space, made.prior), made.measured(40)
    assert counted(REFITS, 40) == 32
    now, then = kernel_of(outlook, results), kernel_of(outlook, results.first(33))
    assert now.linear == then.linear and np.array_equal(now.weights, then.weights)


@pytest.mark.parametrize("value", [50.0, 0.0])
def test_equal_results_are_no_trouble(made: Made, value: float) -> None:
    results = made.measured(20)
    same = type(results)(results.codes, np.full(20, value), np.zeros(20))
    twice = same.joined(same)
    mean, sigma = believe(Outlook.of(made.space, made.prior), twice).predict(results.codes)
    assert np.isfinite(mean).all() and np.isfinite(sigma).all()
    np.testing.assert_allclose(mean, value, atol=0.5)
