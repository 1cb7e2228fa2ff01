"""From kernels to networks: calibration, choice on held-out families, conformal intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone

from palmette.latency.kernels import KernelTable
from palmette.latency.network_cost import (
    NetworkCalibration,
    TimedNetworks,
    choose,
    conformal_factor,
    family_folds,
    fit_networks,
    held_out_ms,
)
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
    for least, ms in ((0.0, np.ones(2)), (0.1, np.array([1.0, 0.0])), (0.1, np.ones(0))):
        with pytest.raises(InputError):
            NetworkCalibration(least).fit(features[: len(ms)], ms)
    assert clone(NetworkCalibration(0.2)).least_ms == 0.2


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
    before = held_out_ms(networks, fold, ("parametric",))["parametric"]
    after = held_out_ms(changed, fold, ("parametric",))["parametric"]
    own = fold[networks.network] == 0
    assert np.array_equal(before[own], after[own])
    assert not np.allclose(before[~own], after[~own], rtol=0.5)


def test_the_chosen_model_has_the_least_held_out_network_error() -> None:
    models = fit_networks(timed(), ("parametric", "power"))
    errors = {name: model.held_out_mape for name, model in models.items()}
    assert choose(models).name == min(errors, key=lambda name: errors[name])
    fresh = timed(seed=1)
    best = choose(models)
    assert best.predict(fresh) == pytest.approx(fresh.ms, rel=0.1)
    assert len(best.errors) == 24 and best.held_out_mape < 5


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
