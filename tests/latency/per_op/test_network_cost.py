"""From kernels to networks: calibration, choice on held-out families, conformal intervals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.network_cost import (
    NetworkCalibration,
    NetworkModel,
    TimedKernels,
    TimedNetworks,
    calibrated_ms,
    choose,
    conformal_factor,
    family_folds,
    fit_networks,
    held_out_models,
    held_out_ms,
    shape_held_out_ms,
)
from palmette.latency.per_op.op_cost import ParametricOps
from palmette.space import InputError, Op

Floats = NDArray[np.float64]


def timed(families: int = 8, each: int = 3, seed: int = 0) -> TimedNetworks:
    """Networks of pointwise convolutions whose ms are 1.1 * sum + 0.7 + 0.02 * slow kernels."""
    random = np.random.default_rng(seed)
    kernels, network, names = [], [], []
    for at in range(families * each):
        names.append(f"family{at // each}")
        for _ in range(int(random.integers(5, 15))):
            channels = int(random.integers(4, 300))
            act = str(random.choice(["relu", "hswish"]))
            text = f"conv {channels}x14x14 -> {channels}x14x14 {act}"
            kernels.append((Op.from_text(text),))
            network.append(at)
    table, place = KernelTable.of(kernels), np.array(network)
    kernel_ms = 0.01 + 4e-9 * table.column("padded") + 1e-7 * table.column("written")
    sums = np.bincount(place, kernel_ms)
    ms = 1.1 * sums + 0.7 + 0.02 * np.bincount(place, table.slow)
    return TimedNetworks(table, kernel_ms, place, ms, tuple(names))


def test_families_stay_whole_and_folds_even() -> None:
    families = ["big"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d"]
    fold = family_folds(families, 3)
    assert fold.tolist() == [0] * 5 + [1] * 3 + [2] * 3
    shuffled = family_folds(families[::-1], 3)
    assert shuffled.tolist() == fold.tolist()[::-1]


def test_planted_bias_start_and_slow_activations_are_found() -> None:
    networks = timed()
    features = networks.features(networks.kernel_ms)
    fitted = NetworkCalibration(0.01).fit(features, networks.ms)
    assert fitted.coefficients_ == pytest.approx([1.1, 0.7, 0.02], rel=0.05)
    assert fitted.predict(features) == pytest.approx(networks.ms, rel=0.01)


def test_a_runtime_without_bias_needs_none() -> None:
    networks = timed()
    features = networks.features(networks.kernel_ms)
    fitted = NetworkCalibration(0.01).fit(features, features[:, 0])
    assert fitted.predict(features) == pytest.approx(features[:, 0], rel=0.05)


def test_one_wild_network_does_not_rule_the_calibration() -> None:
    networks = timed()
    features, ms = networks.features(networks.kernel_ms), networks.ms.copy()
    ms[3] *= 5
    predicted = NetworkCalibration(0.01).fit(features, ms).predict(features)
    assert np.delete(predicted / networks.ms, 3) == pytest.approx(np.ones(23), abs=0.03)


def test_a_calibration_refuses_what_it_cannot_use() -> None:
    features = np.ones((2, 2))
    for least, ms in ((0.0, np.ones(2)), (0.1, np.array([1.0, 0.0]))):
        with pytest.raises(InputError):
            NetworkCalibration(least).fit(features, ms)
    with pytest.raises(ValueError, match="0 sample"):
        NetworkCalibration(0.1).fit(features[:0], np.ones(0))
    with pytest.raises(ValueError, match="Negative values in data passed to NetworkCalibration"):
        NetworkCalibration(0.1).fit(-features, np.ones(2))
    with pytest.raises(ValueError, match="X has 3 features, but .* is expecting 2"):
        NetworkCalibration(0.1).fit(features, np.ones(2)).predict(np.ones((2, 3)))


def test_any_number_of_counts_has_a_price() -> None:
    random = np.random.default_rng(5)
    features = np.column_stack([random.uniform(1, 9, 60), random.integers(0, 40, (60, 2))])
    ms = 1.1 * features[:, 0] + 0.7 + features[:, 1:] @ [0.02, 0.05]
    fitted = NetworkCalibration(0.02).fit(features, ms)
    assert fitted.coefficients_ == pytest.approx([1.1, 0.7, 0.02, 0.05], rel=0.1)
    sums = NetworkCalibration(0.02).fit(features[:, :1], 1.1 * features[:, 0] + 0.7)
    assert sums.coefficients_ == pytest.approx([1.1, 0.7], rel=0.05)


@parametrize_with_checks([NetworkCalibration(0.1)])
def test_a_calibration_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(estimator)


def test_taking_networks_takes_their_kernels() -> None:
    networks = timed(families=3)
    chosen = np.array([at in (1, 7) for at in range(9)])
    some = networks.take(chosen)
    assert some.families == ("family0", "family2") and len(some.ms) == 2
    assert some.sums(some.kernel_ms) == pytest.approx(
        networks.sums(networks.kernel_ms)[chosen], rel=1e-12
    )


def test_kernels_are_predicted_by_models_that_never_saw_their_fold() -> None:
    networks = timed(families=4)
    fold = family_folds(networks.families, 2)
    wild = networks.kernel_ms.copy()
    wild[fold[networks.network] == 0] *= 100  # what fold 0 says must not reach its own predictions
    changed = TimedNetworks(
        networks.kernels, wild, networks.network, networks.ms, networks.families
    )
    before, after = (
        held_out_ms(some, fold, held_out_models(some, fold, ("parametric",)))["parametric"]
        for some in (networks, changed)
    )
    own = fold[networks.network] == 0
    assert np.array_equal(before[own], after[own])
    assert not np.allclose(before[~own], after[~own], rtol=0.5)


@pytest.mark.sweep
def test_a_chosen_model_predicts_fresh_networks() -> None:
    networks = timed()
    best = choose(fit_networks(networks, ("parametric", "power")), every(networks))
    fresh = timed(seed=1)
    assert best.predict(fresh) == pytest.approx(fresh.ms, rel=0.1)
    assert len(best.errors) == 24 and best.held_out_mape < 5


def every(networks: TimedNetworks) -> TimedKernels:
    return networks.timed(np.ones(len(networks.ms), dtype=np.bool_))


def made_model(name: str, *errors: float) -> NetworkModel:
    """A model of which only the held-out errors matter."""
    return NetworkModel(name, ParametricOps(), NetworkCalibration(0.1), np.log1p(errors))


def test_the_chosen_model_has_the_least_held_out_network_error() -> None:
    models = {
        "parametric": made_model("parametric", 0.05, -0.06, 0.05, -0.06),
        "power": made_model("power", 0.02, -0.02, 0.02, -0.02),
        "trees": made_model("trees", 0.09, -0.08, 0.09, -0.08),
    }
    nothing: Any = None  # the kernels have no say where networks tell
    assert choose(models, nothing).name == "power"


@pytest.mark.sweep
def test_models_that_networks_cannot_tell_apart_are_told_apart_by_kernels_of_unseen_shapes() -> (
    None
):
    kernels = every(timed())
    off = {
        name: float(np.abs(np.log(ms / kernels.ms)).mean())
        for name, ms in shape_held_out_ms(kernels, ("parametric", "power")).items()
    }
    better = min(off, key=off.__getitem__)
    models = {name: made_model(name, 0.05, -0.01, 0.05, -0.01) for name in off}
    models[better] = made_model(better, 0.012, -0.05, 0.012, -0.05)  # by chance a little worse
    models["trees"] = made_model("trees", 0.4, -0.4, 0.4, -0.4)
    assert min(models.values(), key=lambda model: model.held_out_mape).name != better
    assert choose(models, kernels).name == better


def test_kernels_of_one_shape_are_held_out_together() -> None:
    kernels = every(timed(families=2))
    twice = kernels.join(kernels)
    wild = replace(twice, ms=twice.ms * np.repeat([1.0, 1.3], len(kernels)))
    (ms,) = shape_held_out_ms(wild, ("parametric",)).values()
    assert ms[: len(kernels)] == pytest.approx(ms[len(kernels) :], rel=1e-9)
    assert ms == pytest.approx(twice.ms * np.sqrt(1.3), rel=0.2)


# Kernels timed apart


def apart_of(networks: TimedNetworks, families: Sequence[str]) -> TimedKernels:
    """The kernels of some networks, timed in none, with a family each."""
    return replace(every(networks), families=np.array(families))


def unmeasured(networks: TimedNetworks) -> TimedNetworks:
    """The networks, whose kernels were not timed."""
    return replace(networks, kernel_ms=np.full(len(networks.kernels), math.nan))


def test_networks_are_calibrated_with_kernels_that_were_timed_apart() -> None:
    networks, others = timed(), timed(seed=3)
    apart = apart_of(others, [""] * len(others.kernels))
    found = fit_networks(unmeasured(networks), ("parametric",), apart=apart)["parametric"]
    assert found.calibration.coefficients_[:2] == pytest.approx([1.1, 0.7], rel=0.1)
    assert found.held_out_mape < 3


def test_without_any_timed_kernel_there_is_nothing_to_fit() -> None:
    with pytest.raises(InputError, match="no timed op is left"):
        fit_networks(unmeasured(timed()), ("parametric",))


def test_kernels_of_one_family_alone_cannot_be_held_out() -> None:
    networks = timed(families=4)
    own = networks.network == 0
    lone = replace(networks, kernel_ms=np.where(own, networks.kernel_ms, math.nan))
    with pytest.raises(InputError, match="no timed op is left once a family .* is held out"):
        fit_networks(lone, ("parametric",))


def test_a_held_out_family_takes_the_kernels_timed_apart_of_it_along() -> None:
    networks, others = timed(families=4), timed(families=4, seed=3)
    families = [others.families[at] for at in others.network]
    fold = family_folds(networks.families, 4)
    held = fold[networks.families.index("family1")]
    own = np.array(families) == "family1"
    apart = apart_of(others, families)
    wild = replace(apart, ms=apart.ms * np.where(own, 100.0, 1.0))
    before, after = (
        held_out_models(unmeasured(networks), fold, ("parametric",), some) for some in (apart, wild)
    )
    for at in before:
        prices = [models[at]["parametric"].to_dict()["prices"] for models in (before, after)]
        assert (prices[0] == prices[1]) == (at == held)


def test_kernels_timed_apart_of_no_family_are_never_held_out() -> None:
    networks = timed(families=3)
    fold = family_folds(networks.families, 3)
    other = timed(seed=3)
    apart = apart_of(other, [""] * len(other.kernels))
    found = held_out_models(unmeasured(networks), fold, ("parametric",), apart)
    prices = [models["parametric"].to_dict()["prices"] for models in found.values()]
    assert prices[0] == prices[1] == prices[2]


def test_a_network_model_keeps_the_models_of_its_held_out_errors() -> None:
    networks = timed(families=4)
    found = fit_networks(networks, ("parametric",), folds=2)["parametric"]
    fold = family_folds(networks.families, 2)
    assert len(found.members) == 2
    members = {held: {"it": member} for held, member in enumerate(found.members)}
    features = networks.features(held_out_ms(networks, fold, members)["it"])
    predicted = calibrated_ms(networks, features, fold, None)
    assert found.errors == pytest.approx(np.log(predicted / networks.ms), rel=1e-9)
    assert found.held_out_mape == pytest.approx(
        100 * np.abs(predicted / networks.ms - 1).mean(), rel=1e-9
    )


def test_joined_and_taken_kernels_keep_their_rows() -> None:
    kernels = every(timed(families=2))
    some = kernels.take(kernels.ms > np.median(kernels.ms))
    both = some.join(kernels)
    assert len(both) == len(some) + len(kernels) == len(both.kernels)
    assert both.ms.tolist() == [*some.ms.tolist(), *kernels.ms.tolist()]
    assert both.families.tolist() == [*some.families.tolist(), *kernels.families.tolist()]


def test_unknown_models_and_single_families_are_refused() -> None:
    with pytest.raises(InputError, match="unknown op models"):
        fit_networks(timed(), ("magic",))
    with pytest.raises(InputError, match="two families or more"):
        fit_networks(timed(families=1), ("parametric",))


def test_conformal_factors_by_hand() -> None:
    errors = np.array([0.05, -0.1, 0.02, -0.03, 0.04, 0.06, -0.07, 0.08, 0.01])
    assert conformal_factor(errors, 0.9) == pytest.approx(math.exp(0.1))  # the ninth of nine
    assert conformal_factor(errors, 0.5) == pytest.approx(math.exp(0.05))  # the fifth
    assert conformal_factor(errors[:8], 0.9) == math.inf


def test_conformal_factors_cover_new_errors_of_any_distribution() -> None:
    random = np.random.default_rng(0)
    inside = [
        abs(row[-1]) <= math.log(conformal_factor(row[:-1], 0.9))
        for row in random.standard_cauchy((4000, 40)) / 10
    ]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)
