"""Measured accuracies: results where there are some, the belief elsewhere, and its error."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.search.expensive.measured import MeasuredAccuracy, prior_of
from palmette.search.expensive.seen import MOST, near_front
from palmette.search.trials.task import Task
from palmette.space import SearchSpace, compile_space
from palmette.train import TIE_POINTS
from tests.search.expensive.conftest import Made


class Width:
    """An evaluator that is never called here."""

    id = "0"

    def __call__(self, task: Task) -> tuple[float, float]:
        raise AssertionError(task)


def accuracy_of(made: Made) -> MeasuredAccuracy:
    return MeasuredAccuracy("proxy", "0", made.space, Width(), "photos", made.prior)


def test_what_was_measured_is_reported_as_measured_and_the_rest_as_believed(made: Made) -> None:
    accuracy, results = accuracy_of(made), made.measured(60)
    accuracy.learn(results.codes, results.top1, results.sigma)
    codes = np.concatenate([results.codes, made.space.sample(300, np.random.default_rng(5))])
    found = accuracy.evaluate(codes)
    known = {code.tobytes() for code in results.codes}
    measured = np.array([code.tobytes() in known for code in codes])
    assert 60 <= measured.sum() < len(codes)
    np.testing.assert_allclose(found.sigma[measured], 0.2, atol=0.1)
    error = found.top1 - made.truth(codes)
    assert np.sqrt(np.mean(error[~measured] ** 2)) < 0.8
    assert np.corrcoef(found.top1[~measured], made.truth(codes)[~measured])[0, 1] > 0.95
    assert not found.guarded.any() and not found.violation.any()


def test_results_are_learnt_one_by_one_as_all_at_once(made: Made) -> None:
    one, other, results = accuracy_of(made), accuracy_of(made), made.measured(20)
    one.learn(results.codes, results.top1, results.sigma)
    for index in range(20):
        other.learn(results.codes[[index]], results.top1[[index]], results.sigma[[index]])
    codes = made.space.sample(50, np.random.default_rng(5))
    assert np.array_equal(one.evaluate(codes).top1, other.evaluate(codes).top1)


def test_a_network_measured_twice_counts_by_precision(made: Made) -> None:
    accuracy = accuracy_of(made)
    code = made.space.sample(1, np.random.default_rng(0))
    accuracy.learn(code, np.array([50.0]), np.array([0.2]))
    accuracy.learn(code, np.array([53.0]), np.array([0.4]))
    found = accuracy.evaluate(code)
    assert found.top1[0] == pytest.approx((4 * 50 + 53) / 5)
    assert found.sigma[0] == pytest.approx(0.2 / np.sqrt(1.25))
    assert len(accuracy.results) == 1


def test_before_any_result_the_prior_orders_networks(made: Made) -> None:
    accuracy = accuracy_of(made)
    codes = made.space.sample(50, np.random.default_rng(0))
    found = accuracy.evaluate(codes)
    assert np.array_equal(np.argsort(found.top1), np.argsort(made.prior(codes).top1))
    assert accuracy.tie_points == TIE_POINTS
    assert "those not measured" not in accuracy.words()


def test_the_error_of_the_belief_is_said(made: Made) -> None:
    accuracy, results = accuracy_of(made), made.measured(60, noise=0.5)
    accuracy.learn(results.codes, results.top1, results.sigma)
    words = accuracy.words()
    assert "measured by short trainings on 'photos', not ImageNet's" in words
    assert "those not measured are estimated from the published prior and 60 measured ones" in words
    assert ", Kendall tau 0." in words
    error = float(words.split("error ")[1].split(" points")[0])
    assert 0.4 < error < 1.2
    assert accuracy.tie_points == pytest.approx(np.sqrt(2) * 0.5)


def test_the_belief_is_made_of_the_results_that_a_samplers_is_made_of(made: Made) -> None:
    accuracy, results = accuracy_of(made), made.measured(MOST + 100)
    results = results.chosen(np.unique(results.codes, axis=0, return_index=True)[1])
    assert len(results) > MOST
    ms = made.costs(results.codes)[0]
    accuracy.learn(results.codes, results.top1, results.sigma, ms)
    near = results.codes[near_front(ms, results.top1)]
    assert np.array_equal(accuracy.belief.rows, accuracy.belief.outlook.encoding.rows(near))
    assert not np.array_equal(near, results.codes[-MOST:])


def test_there_is_no_order_among_results_that_are_all_alike(made: Made) -> None:
    accuracy, results = accuracy_of(made), made.measured(20)
    accuracy.learn(results.codes, np.full(20, 60.0), np.zeros(20))
    assert "error " in accuracy.words()
    assert "tau" not in accuracy.words() and "nan" not in accuracy.words()


@pytest.mark.parametrize(("top1", "sigma"), [(np.nan, 0.1), (50.0, np.inf), (50.0, -0.1)])
def test_a_result_that_is_no_number_is_refused(made: Made, top1: float, sigma: float) -> None:
    code = made.space.sample(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="results must be finite"):
        accuracy_of(made).learn(code, np.array([top1]), np.array([sigma]))


def test_a_space_that_the_prior_judges_has_one(small_space: SearchSpace) -> None:
    prior = prior_of(compile_space(small_space))
    assert prior is not None
    found = prior(small_space.sample(10, np.random.default_rng(0)))
    assert ((found.top1 > 30) & (found.top1 < 85)).all()


@pytest.mark.parametrize(
    ("rung", "label", "words"),
    [
        ("supernet", "supernet on mine", "measured by a supernet on 'mine', not ImageNet's"),
        ("proxy", "proxy on mine", "measured by short trainings on 'mine', not ImageNet's"),
        ("function", "function mine", "measured by your own function 'mine'"),
    ],
)
def test_each_rung_is_said_in_its_own_words(made: Made, rung: str, label: str, words: str) -> None:
    accuracy = MeasuredAccuracy(rung, "0", made.space, Width(), "mine", made.prior)
    assert (accuracy.label, accuracy.words()) == (label, words)


def test_no_belief_is_made_to_tell_what_was_measured(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy, results = accuracy_of(made), made.measured(30)
    accuracy.learn(results.codes, results.top1, results.sigma)
    whole = accuracy.evaluate(np.concatenate([results.codes, results.codes[:1] * 0]))
    accuracy.learn(results.codes[:1], results.top1[:1], results.sigma[:1])  # believe anew, if ever
    with monkeypatch.context() as patch:
        patch.setattr(MeasuredAccuracy, "belief", property(lambda _: pytest.fail("was made")))
        found = accuracy.evaluate(results.codes)
        nothing = accuracy.evaluate(results.codes[:0])
    assert found.top1.tolist() == pytest.approx(whole.top1[:-1].tolist())
    assert found.sigma[1:].tolist() == whole.sigma[1:-1].tolist()
    assert found.sigma[0] == pytest.approx(whole.sigma[0] / np.sqrt(2))
    assert len(nothing.top1) == 0
