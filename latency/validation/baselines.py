"""What a predictor must beat: simple answers to the same folds.

MACs or parameters with an offset (non-negative least squares on relative error), and the nearest
timed networks in log work, scaled by their MACs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from palmette.latency.uncertainty import hull_sums
from palmette.latency.whole.model import Measured

Floats = NDArray[np.float64]
Baseline = Callable[[Measured, str, str], float]
"""Timings of a fold, target, network -> milliseconds."""


def _with_offset(feature: str) -> Baseline:
    """a·x + c with a, c >= 0, least squares on relative error."""

    def value(measured: Measured, name: str) -> float:
        return float(getattr(measured.ops[name], feature).sum())

    def predict(measured: Measured, target: str, network: str) -> float:
        names = list(measured.latency_ms[target])
        ms = np.array([measured.latency_ms[target][name] for name in names])
        x = np.array([value(measured, name) for name in names])
        scale = x.mean()
        matrix = np.stack([x / scale, np.ones(len(x))], axis=1) / ms[:, None]
        (slope, offset), _ = nnls(matrix, np.ones(len(x)))
        return float(slope * value(measured, network) / scale + offset)

    return predict


def _nearest(count: int) -> Baseline:
    """The nearest timed networks in log work, each scaled by its MACs, averaged."""

    def logs(measured: Measured, name: str) -> Floats:
        found: Floats = np.log(hull_sums(measured, name)[3:])
        return found

    def predict(measured: Measured, target: str, network: str) -> float:
        own = logs(measured, network)
        distances = {
            name: float(np.linalg.norm(logs(measured, name) - own))
            for name in measured.latency_ms[target]
        }
        nearest = sorted(distances, key=lambda name: distances[name])[:count]
        guesses = [
            math.log(measured.latency_ms[target][name]) + own[0] - logs(measured, name)[0]
            for name in nearest
        ]
        return math.exp(float(np.mean(guesses)))

    return predict


BASELINES: dict[str, Baseline] = {
    "flops_offset": _with_offset("macs"),
    "params_offset": _with_offset("weights"),
    "nearest_1": _nearest(1),
    "nearest_2": _nearest(2),
}
"""Name -> prediction of a network from the timings of a fold."""
