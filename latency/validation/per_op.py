"""How good a target fitted from timings per op is: networks, families and shapes held out.

Three ways to hold out, side by side: a tenth of the networks; whole families of networks, the
honest one; and kernels, by their shape. Baselines answer the same folds of networks. Additivity
says how far the sum of measured kernels is from whole networks, and what the calibration makes of
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.network_cost import (
    ROBUST_SCALE,
    NetworkCalibration,
    TimedKernels,
    TimedNetworks,
    calibrated_ms,
    conformal_factor,
    family_folds,
    held_out_models,
    held_out_ms,
    shape_held_out_ms,
    training_kernels,
)
from palmette.latency.per_op.op_cost import OP_MODELS, STRICT_MODELS, fit_op_models
from palmette.latency.per_op.op_timings import OpTimings
from palmette.latency.robust import Prior, fit_positive

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILY_FOLDS, NETWORK_FOLDS = 6, 10
CONFIDENCE, CLOSE = 0.9, 0.1
BASELINES: Mapping[str, tuple[str, ...]] = {
    "macs": ("macs",),
    "parameters": ("weights",),
    "macs_moved_count": ("macs", "moved", "count"),
}
"""Baseline -> columns of kernels whose sums, with an offset, are fitted to whole networks."""
RAW_SUM = "raw_sum"
_WIDE = 3.0
"""Spread of the log prior of a baseline's coefficients: it decides nothing but ties."""


@dataclass(frozen=True, slots=True)
class Score:
    """Errors of predictions: mean, share within `CLOSE`, worst; mean and worst in %."""

    mape: float
    within10: float
    worst: float

    @classmethod
    def of(cls, predicted: Floats, measured: Floats) -> Score:
        """Score of predictions (n,) of measured values (n,)."""
        error = np.abs(predicted / measured - 1)
        close = float((error <= CLOSE).mean())
        return cls(100 * float(error.mean()), close, 100 * float(error.max()))


def baseline_ms(networks: TimedNetworks, fold: Ints, columns: Sequence[str]) -> Floats:
    """Held-out ms of networks by sums of columns of the kernels and an offset, (networks,)."""
    ones = np.ones(len(networks.kernels))
    parts = [
        networks.sums(ones if name == "count" else networks.kernels.column(name))
        for name in columns
    ]
    table = np.stack([np.ones(len(networks.ms)), *parts], axis=1)
    predicted = np.zeros(len(networks.ms))
    for held in np.unique(fold):
        out = fold == held
        share = np.median(networks.ms[~out]) / table.shape[1]
        middle = np.log(share / np.maximum(np.median(table[~out], axis=0), 1e-9))
        prior = Prior(middle, np.full(len(middle), _WIDE))
        fitted = fit_positive(table[~out], networks.ms[~out], prior, ROBUST_SCALE)
        predicted[out] = table[out] @ fitted.coefficients
    return predicted


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out ms (networks,) by op model and baseline, and the interval of the best strict model.

    `covered` is the share of networks inside the interval of `CONFIDENCE`, whose median factor is
    `factor`; for each fold it is made of the errors of the others.
    """

    ms: Mapping[str, Floats]
    chosen: str
    covered: float
    factor: float


def held_out(timings: OpTimings, fold: Ints, names: Sequence[str] = OP_MODELS) -> HeldOut:
    """Networks predicted by models of kernels that never saw their fold."""
    networks = timings.networks
    kernel_ms = held_out_ms(networks, fold, held_out_models(networks, fold, names, timings.apart))
    ms = {
        name: calibrated_ms(networks, networks.features(kernel_ms[name]), fold, timings.apart)
        for name in names
    }
    scores = {name: Score.of(ms[name], networks.ms).mape for name in names}
    chosen = min((n for n in names if n in STRICT_MODELS), key=scores.__getitem__)
    errors = np.abs(np.log(ms[chosen] / networks.ms))
    factor = np.ones(len(errors))
    for held in np.unique(fold):
        factor[fold == held] = conformal_factor(errors[fold != held], CONFIDENCE)
    ms |= {name: baseline_ms(networks, fold, columns) for name, columns in BASELINES.items()}
    covered = float((errors <= np.log(factor)).mean())
    return HeldOut(ms, chosen, covered, float(np.median(factor)))


def shape_scores(timed: TimedKernels, names: Sequence[str] = OP_MODELS) -> dict[str, Score]:
    """Errors of single kernels whose shapes were held out, by op model."""
    held_out = shape_held_out_ms(timed, names)
    return {name: Score.of(ms, timed.ms) for name, ms in held_out.items()}


@dataclass(frozen=True, slots=True)
class Additivity:
    """The sum of measured kernels against whole networks, where all kernels were measured.

    `bias` is the mean log ratio of sum and network, in %; `raw` the sums as they are; `scaled` with
    a and c, `calibrated` with the slow activations too, families held out.
    """

    networks: int
    bias: float
    raw: Score
    scaled: Score
    calibrated: Score


def additivity(timings: OpTimings) -> Additivity | None:
    """How far sums of measured kernels are from networks; None if too few had theirs measured."""
    whole = np.array(
        [
            bool(np.isfinite(timings.networks.kernel_ms[timings.networks.network == at]).all())
            for at in range(len(timings.names))
        ]
    )
    networks = timings.networks.take(whole)
    folds = min(FAMILY_FOLDS, len(set(networks.families)))
    if folds < 2:
        return None
    fold = family_folds(networks.families, folds)
    features = networks.features(networks.kernel_ms)
    plain = np.stack([features[:, 0], np.zeros(len(features))], axis=1)
    sums = features[:, 0]
    return Additivity(
        len(networks.ms),
        100 * float(np.expm1(np.log(sums / networks.ms).mean())),
        Score.of(sums, networks.ms),
        *(
            Score.of(calibrated_ms(networks, used, fold, timings.apart), networks.ms)
            for used in (plain, features)
        ),
    )


def learning_curves(
    timings: OpTimings, name: str, draws: int = 10
) -> dict[str, list[tuple[int, float]]]:
    """Error in % against the number of timed ops and of calibration networks.

    `ops`: kernels drawn at random, `ops_by_work`: those of the most work times occurrences, both
    calibrated on all networks of the other families; `networks`: all kernels, calibrated on a few
    networks. Families are held out throughout.

    Args:
        timings: see `gather`.
        name: of the op model.
        draws: of calibration networks; mean over them.
    """
    networks = timings.networks
    fold = family_folds(networks.families, min(FAMILY_FOLDS, len(set(networks.families))))
    total = len(timings.kernels)
    sizes = [size for size in (50, 100, 200, 400, 800) if size < total]
    curves: dict[str, list[tuple[int, float]]] = {"ops": [], "ops_by_work": [], "networks": []}
    for size in sizes:
        for curve, by_work in (("ops", False), ("ops_by_work", True)):
            curves[curve].append((size, _error_of_ops(timings, fold, name, size, by_work)))
    kernel_ms = held_out_ms(networks, fold, held_out_models(networks, fold, [name], timings.apart))[
        name
    ]
    features = networks.features(kernel_ms)
    full = Score.of(calibrated_ms(networks, features, fold, timings.apart), networks.ms).mape
    for curve in ("ops", "ops_by_work"):
        curves[curve].append((total, full))
    least = timings.networks.timed(np.ones(len(networks.ms), dtype=np.bool_)).ms
    least_ms = float(np.quantile(least if len(least) else kernel_ms, 0.05))
    for count in (3, 5, 8, 12, 20, 40):
        if count >= (fold != fold[0]).sum():
            break
        errors = [
            _error_of_calibration(networks, features, fold, count, draw, least_ms)
            for draw in range(draws)
        ]
        curves["networks"].append((count, float(np.mean(errors))))
    return curves


def _error_of_ops(timings: OpTimings, fold: Ints, name: str, size: int, by_work: bool) -> float:
    """Error of networks whose families were held out, with `size` of the other kernels timed."""
    networks, predicted = timings.networks, np.zeros(len(timings.names))
    rng = np.random.default_rng(size)
    for held in np.unique(fold):
        out = fold == held
        timed = training_kernels(networks, ~out, timings.apart)
        chosen = np.zeros(len(timed), dtype=np.bool_)
        chosen[
            _most_work(timed.kernels, size) if by_work else rng.permutation(len(timed))[:size]
        ] = True
        some = timed.take(chosen)
        model = fit_op_models(some.kernels, some.ms, [name])[name]
        features = networks.features(model.op_ms(networks.kernels))
        least_ms = float(np.quantile(some.ms, 0.05))
        fitted = NetworkCalibration(least_ms).fit(features[~out], networks.ms[~out])
        predicted[out] = fitted.predict(features[out])
    return Score.of(predicted, networks.ms).mape


def _most_work(kernels: KernelTable, size: int) -> Ints:
    """One of each of the `size` distinct kernels with the most work times occurrences."""
    distinct, back = kernels.distinct()
    _, first = np.unique(back, return_index=True)
    work = np.bincount(back) * (distinct.column("macs") + 10 * distinct.column("moved"))
    chosen: Ints = first[np.argsort(-work, kind="stable")[:size]]
    return chosen


def _error_of_calibration(
    networks: TimedNetworks, features: Floats, fold: Ints, count: int, draw: int, least_ms: float
) -> float:
    predicted = np.zeros(len(networks.ms))
    for held in np.unique(fold):
        out = fold == held
        others = np.flatnonzero(~out)
        picked = np.random.default_rng([draw, held]).choice(others, count, replace=False)
        fitted = NetworkCalibration(least_ms).fit(features[picked], networks.ms[picked])
        predicted[out] = fitted.predict(features[out])
    return Score.of(predicted, networks.ms).mape
