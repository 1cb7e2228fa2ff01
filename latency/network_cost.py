"""From milliseconds of kernels to those of networks: calibration, choice of a model, intervals.

    network ms = a * sum(kernels) + c + d * (kernels with a slow activation)

Runtimes time their kernels with a bias of their own, start a network at a cost, and leave some work
out of the kernels that they time; a, c and d are fitted per target and runtime, never assumed.

Everything that is chosen or calibrated is so on networks whose whole family was held out from the
fit of the kernels: predictions of kernels that a model was fitted to are too good to calibrate on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

from palmette.latency.kernels import KernelTable
from palmette.latency.op_cost import OP_MODELS, STRICT_MODELS, OpModel, fit_op_models
from palmette.latency.robust import Prior, fit_positive
from palmette.space.errors import expect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROBUST_SCALE = 0.05
SCALE_SPREAD, OTHER_SPREAD = 0.2, 1.5
START_SHARE = 0.2
LEAST_QUANTILE = 0.05
INNER_FOLDS = 5


@dataclass(frozen=True, slots=True)
class TimedNetworks:
    """Networks with their kernels: `network` (kernels,) says whose each is, an index into `ms`.

    `kernel_ms` (kernels,) are measured; `ms` (networks,) too; `families` name the networks' kin.
    """

    kernels: KernelTable
    kernel_ms: Floats
    network: Ints
    ms: Floats
    families: tuple[str, ...]

    def sums(self, kernel_values: Floats) -> Floats:
        """Sums of values of the kernels (kernels,) over each network: (networks,)."""
        count = len(self.ms)
        return np.bincount(self.network, kernel_values, minlength=count).astype(np.float64)

    def features(self, kernel_ms: Floats) -> Floats:
        """What a calibration reads of each network, (networks, 2): sum of ms, slow kernels."""
        slow = self.sums((self.kernels.slow > 0).astype(float))
        return np.stack([self.sums(kernel_ms), slow], axis=1)

    def take(self, chosen: NDArray[np.bool_]) -> TimedNetworks:
        """Some of the networks, in order."""
        rows = chosen[self.network]
        places = np.cumsum(chosen) - 1
        families = tuple(f for f, keep in zip(self.families, chosen, strict=True) if keep)
        return TimedNetworks(
            self.kernels.take(rows),
            self.kernel_ms[rows],
            places[self.network[rows]].astype(np.int64),
            self.ms[chosen],
            families,
        )


def family_folds(families: Sequence[str], folds: int) -> Ints:
    """Fold of each network, (networks,): families whole, the largest first to the emptiest fold."""
    names, counts = np.unique(np.array(families), return_counts=True)
    order = sorted(range(len(names)), key=lambda at: (-counts[at], names[at]))
    load, chosen = [0] * folds, {}
    for at in order:
        fold = int(np.argmin(load))
        chosen[str(names[at])] = fold
        load[fold] += int(counts[at])
    return np.array([chosen[family] for family in families], dtype=np.int64)


class NetworkCalibration(RegressorMixin, BaseEstimator):
    """`a * sum + c + d * slow` with all three positive, by log error with a soft L1 loss.

    Log-normal priors: a at 1 (spread 0.2); c at a fifth of the median network, d at the time of the
    cheapest kernels (spread 1.5 each): both scales come from the timings themselves.

    Args:
        least_ms: milliseconds of the cheapest kernels: what it takes to start one.
    """

    coefficients_: Floats

    def __init__(self, least_ms: float) -> None:
        self.least_ms = least_ms

    def fit(self, features: Floats, ms: Floats) -> Self:
        """Fit to (networks, 2) features of `TimedNetworks.features` and (networks,) ms.

        Raises:
            InputError: no network, or a time or least_ms that is not positive.
        """
        expect(len(ms) > 0 and bool((ms > 0).all()), "a calibration needs networks with ms above 0")
        expect(self.least_ms > 0, f"least_ms must be positive, got {self.least_ms}")
        prior = Prior(
            np.log([1.0, START_SHARE * float(np.median(ms)), self.least_ms]),
            np.array([SCALE_SPREAD, OTHER_SPREAD, OTHER_SPREAD]),
        )
        found = fit_positive(_columns(features), ms, prior, ROBUST_SCALE)
        self.coefficients_ = found.coefficients
        return self

    def predict(self, features: Floats) -> Floats:
        """Milliseconds of networks, (networks,)."""
        ms: Floats = _columns(features) @ self.coefficients_
        return ms


def least_kernel_ms(kernel_ms: Floats) -> float:
    """Milliseconds of the cheapest kernels: the 5 % quantile."""
    return float(np.quantile(kernel_ms, LEAST_QUANTILE))


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """An op model with its calibration and its held-out log errors.

    `errors` (networks,) are log(predicted / measured) of the training networks, each predicted
    without its fold of families.
    """

    name: str
    ops: OpModel
    calibration: NetworkCalibration
    errors: Floats

    @property
    def held_out_mape(self) -> float:
        """Mean absolute held-out error of networks, in %."""
        return 100 * float(np.mean(np.abs(np.expm1(self.errors))))

    def predict(self, networks: TimedNetworks) -> Floats:
        """Milliseconds of networks from their kernels alone, (networks,)."""
        return self.calibration.predict(networks.features(self.ops.op_ms(networks.kernels)))

    def factor(self, confidence: float) -> float:
        """Factor that a share `confidence` of networks stays within; see `conformal_factor`."""
        return conformal_factor(self.errors, confidence)


def fit_networks(
    networks: TimedNetworks, names: Sequence[str] = STRICT_MODELS, folds: int = INNER_FOLDS
) -> dict[str, NetworkModel]:
    """Network models by their op models, calibrated on networks whose families were held out.

    Raises:
        InputError: fewer than two families, or an unknown name.
    """
    unknown = set(names) - set(OP_MODELS)
    expect(not unknown, f"unknown op models: {unknown}; known: {', '.join(OP_MODELS)}")
    count = min(folds, len(set(networks.families)))
    expect(count > 1, "choosing a model needs networks of two families or more")
    fold = family_folds(networks.families, count)
    held_out = held_out_ms(networks, fold, names)
    models = fit_op_models(networks.kernels, networks.kernel_ms, names)
    found = {}
    for name in names:
        features = networks.features(held_out[name])
        errors = np.log(_held_out_calibration(networks, features, fold) / networks.ms)
        calibration = NetworkCalibration(least_kernel_ms(networks.kernel_ms))
        calibration.fit(features, networks.ms)
        found[name] = NetworkModel(name, models[name], calibration, errors)
    return found


def choose(models: Mapping[str, NetworkModel]) -> NetworkModel:
    """The model of the least held-out error of networks; ops have no say in it."""
    return min(models.values(), key=lambda model: model.held_out_mape)


def held_out_ms(networks: TimedNetworks, fold: Ints, names: Sequence[str]) -> dict[str, Floats]:
    """Milliseconds of all kernels by models that never saw their fold: name -> (kernels,)."""
    found = {name: np.zeros(len(networks.kernels)) for name in names}
    of_kernel = fold[networks.network]
    for held in np.unique(fold):
        out = of_kernel == held
        models = fit_op_models(networks.kernels.take(~out), networks.kernel_ms[~out], names)
        for name, model in models.items():
            found[name][out] = model.op_ms(networks.kernels.take(out))
    return found


def conformal_factor(errors: Floats, confidence: float) -> float:
    """Factor within which a share `confidence` of new networks lies, by split conformal prediction.

    The ceil((n + 1) * confidence)-th smallest of the n absolute held-out log errors (Vovk et al.,
    2005); no distribution is assumed, only that new networks are like the held-out ones. With fewer
    than confidence / (1 - confidence) errors no such factor exists: infinity.
    """
    rank = math.ceil((len(errors) + 1) * confidence - 1e-9)
    if rank > len(errors):
        return math.inf
    return float(np.exp(np.sort(np.abs(errors))[rank - 1]))


def _held_out_calibration(networks: TimedNetworks, features: Floats, fold: Ints) -> Floats:
    predicted = np.zeros(len(networks.ms))
    for held in np.unique(fold):
        out = fold == held
        least = least_kernel_ms(networks.kernel_ms[~out[networks.network]])
        fitted = NetworkCalibration(least).fit(features[~out], networks.ms[~out])
        predicted[out] = fitted.predict(features[out])
    return predicted


def _columns(features: Floats) -> Floats:
    return np.stack([features[:, 0], np.ones(len(features)), features[:, 1]], axis=1)
