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
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.op_cost import OP_MODELS, STRICT_MODELS, OpModel, fit_op_models
from palmette.latency.robust import Prior, fit_positive
from palmette.space.errors import expect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROBUST_SCALE = 0.05
SCALE_SPREAD, OTHER_SPREAD = 0.2, 1.5
START_SHARE = 0.2
LEAST_QUANTILE = 0.05
INNER_FOLDS = 5
TIED = 2.0
"""Standard errors of a mean difference below which it is taken for chance (about 5 %)."""


@dataclass(frozen=True, slots=True)
class TimedNetworks:
    """Networks with their kernels: `network` (kernels,) says whose each is, an index into `ms`.

    `kernel_ms` (kernels,) are measured, NaN for kernels that were not; `ms` (networks,) are
    measured too; `families` name the networks' kin.
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

    def timed(self, chosen: NDArray[np.bool_]) -> TimedKernels:
        """Kernels of some of the networks that were themselves timed."""
        rows = chosen[self.network] & np.isfinite(self.kernel_ms)
        families = np.array(self.families)[self.network[rows]]
        return TimedKernels(self.kernels.take(rows), self.kernel_ms[rows], families)

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


@dataclass(frozen=True, slots=True)
class TimedKernels:
    """Kernels with their milliseconds (kernels,).

    `families` (kernels,) name the kin of the network that a kernel was timed in; blank: in none.
    """

    kernels: KernelTable
    ms: Floats
    families: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.ms)

    def take(self, rows: NDArray[np.bool_]) -> TimedKernels:
        """Some of the kernels."""
        return TimedKernels(self.kernels.take(rows), self.ms[rows], self.families[rows])

    def join(self, other: TimedKernels) -> TimedKernels:
        """These and then the others."""
        ms = np.concatenate([self.ms, other.ms])
        families = np.concatenate([self.families, other.families])
        return TimedKernels(KernelTable.concatenate([self.kernels, other.kernels]), ms, families)


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

    Attributes:
        coefficients_: a, c, and the price of each count, milliseconds.
    """

    coefficients_: Floats

    def __init__(self, least_ms: float) -> None:
        self.least_ms = least_ms

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit to milliseconds y (networks,).

        Args:
            X: `TimedNetworks.features`, (networks, 2): sum of the kernels' ms, and a count that has
                a price; or any number of counts.
            y: positive.

        Raises:
            ValueError: no network, or an entry that is negative or not finite; as `InputError`: a
                time or least_ms that is not positive.
        """
        features, ms = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        expect(bool((ms > 0).all()), "a calibration needs networks with ms above 0")
        expect(self.least_ms > 0, f"least_ms must be positive, got {self.least_ms}")
        columns = _columns(features)
        counts = columns.shape[1] - 2
        middle = [1.0, START_SHARE * float(np.median(ms)), *[self.least_ms] * counts]
        spread = [SCALE_SPREAD, OTHER_SPREAD, *[OTHER_SPREAD] * counts]
        prior = Prior(np.log(middle), np.array(spread))
        self.coefficients_ = fit_positive(columns, ms, prior, ROBUST_SCALE).coefficients
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Milliseconds of networks with features X as in `fit`, (networks,)."""
        check_is_fitted(self)
        features = validate_data(self, X, dtype=np.float64, reset=False)
        ms: Floats = _columns(features) @ self.coefficients_
        return ms

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.target_tags.positive_only = True
        tags.regressor_tags.poor_score = True  # the prior knows X in the milliseconds of y
        return tags


def least_kernel_ms(kernel_ms: Floats) -> float:
    """Milliseconds of the cheapest kernels: the 5 % quantile."""
    return float(np.quantile(kernel_ms, LEAST_QUANTILE))


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """An op model with its calibration and its held-out log errors.

    `errors` (networks,) are log(predicted / measured) of the training networks, each predicted
    without its fold of families; `members` are the op models of those predictions.
    """

    name: str
    ops: OpModel
    calibration: NetworkCalibration
    errors: Floats
    members: tuple[OpModel, ...] = ()

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
    networks: TimedNetworks,
    names: Sequence[str] = STRICT_MODELS,
    folds: int = INNER_FOLDS,
    apart: TimedKernels | None = None,
) -> dict[str, NetworkModel]:
    """Network models by their op models, calibrated on networks whose families were held out.

    Args:
        networks: with timed kernels, or without where `apart` has some.
        names: of `OP_MODELS`.
        folds: of families.
        apart: kernels that were timed in none of the networks.

    Raises:
        InputError: fewer than two families, an unknown name, or no timed kernel.
    """
    unknown = set(names) - set(OP_MODELS)
    expect(not unknown, f"unknown op models: {unknown}; known: {', '.join(OP_MODELS)}")
    count = min(folds, len(set(networks.families)))
    expect(count > 1, "choosing a model needs networks of two families or more")
    fold = family_folds(networks.families, count)
    timed = training_kernels(networks, np.ones(len(networks.ms), dtype=np.bool_), apart)
    models = fit_op_models(timed.kernels, timed.ms, names)
    without = held_out_models(networks, fold, names, apart)
    held_out = held_out_ms(networks, fold, without)
    least = least_kernel_ms(timed.ms)
    found = {}
    for name in names:
        features = networks.features(held_out[name])
        predicted = calibrated_ms(networks, features, fold, apart)
        calibration = NetworkCalibration(least).fit(features, networks.ms)
        members = tuple(by_name[name] for by_name in without.values())
        errors = np.log(predicted / networks.ms)
        found[name] = NetworkModel(name, models[name], calibration, errors, members)
    return found


def choose(models: Mapping[str, NetworkModel], timed: TimedKernels) -> NetworkModel:
    """The model of the least held-out error of networks.

    Models whose error is larger by no more than `TIED` standard errors, network by network, cannot
    be told apart so: of these the one that predicts `timed` kernels of shapes it never saw best.
    """
    best = min(models.values(), key=lambda model: model.held_out_mape)
    tied = {name: model for name, model in models.items() if _is_tied(model, best)}
    if len(tied) == 1:
        return best
    held_out = shape_held_out_ms(timed, list(tied))
    off = {name: float(np.abs(np.log(ms / timed.ms)).mean()) for name, ms in held_out.items()}
    return tied[min(off, key=off.__getitem__)]


def _is_tied(model: NetworkModel, best: NetworkModel) -> bool:
    worse = np.abs(np.expm1(model.errors)) - np.abs(np.expm1(best.errors))
    return bool(worse.mean() <= TIED * worse.std() / math.sqrt(len(worse)))


def shape_held_out_ms(timed: TimedKernels, names: Sequence[str]) -> dict[str, Floats]:
    """Milliseconds of timed kernels by models that never saw their shape: name -> (kernels,)."""
    distinct, back = timed.kernels.distinct()
    fold = np.random.default_rng(0).permutation(len(distinct))[back] % INNER_FOLDS
    ms = {name: np.zeros(len(timed)) for name in names}
    for held in np.unique(fold):
        some, rest = timed.take(fold != held), timed.take(fold == held)
        for name, model in fit_op_models(some.kernels, some.ms, names).items():
            ms[name][fold == held] = model.op_ms(rest.kernels)
    return ms


def held_out_models(
    networks: TimedNetworks, fold: Ints, names: Sequence[str], apart: TimedKernels | None = None
) -> dict[int, dict[str, OpModel]]:
    """Op models that never saw a fold: fold -> name -> model."""
    found = {}
    for held in np.unique(fold).tolist():
        timed = training_kernels(networks, fold != held, apart)
        found[held] = fit_op_models(timed.kernels, timed.ms, names)
    return found


def held_out_ms(
    networks: TimedNetworks, fold: Ints, models: Mapping[int, Mapping[str, OpModel]]
) -> dict[str, Floats]:
    """Milliseconds of all kernels by the models that never saw their fold: name -> (kernels,)."""
    found: dict[str, Floats] = {}
    of_kernel = fold[networks.network]
    for held, by_name in models.items():
        out = of_kernel == held
        for name, model in by_name.items():
            ms = found.setdefault(name, np.zeros(len(networks.kernels)))
            ms[out] = model.op_ms(networks.kernels.take(out))
    return found


def calibrated_ms(
    networks: TimedNetworks, features: Floats, fold: Ints, apart: TimedKernels | None
) -> Floats:
    """Milliseconds of networks from their features, calibrated on the other folds, (networks,)."""
    predicted = np.zeros(len(networks.ms))
    for held in np.unique(fold):
        out = fold == held
        least = least_kernel_ms(training_kernels(networks, ~out, apart).ms)
        fitted = NetworkCalibration(least).fit(features[~out], networks.ms[~out])
        predicted[out] = fitted.predict(features[out])
    return predicted


def training_kernels(
    networks: TimedNetworks, chosen: NDArray[np.bool_], apart: TimedKernels | None
) -> TimedKernels:
    """Timed kernels of some of the networks, and those apart that are of no other's family."""
    timed = networks.timed(chosen)
    if apart is not None:
        others = sorted({f for f, keep in zip(networks.families, chosen, strict=True) if not keep})
        timed = timed.join(apart.take(~np.isin(apart.families, others)))
    expect(
        len(timed) > 0,
        "no timed op is left once a family of networks is held out: time some by themselves, or"
        " inside networks of more families",
    )
    return timed


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


def _columns(features: Floats) -> Floats:
    check_non_negative(features, "NetworkCalibration")
    return np.column_stack([features[:, 0], np.ones(len(features)), features[:, 1:]])
