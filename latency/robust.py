"""Positive coefficients by robust log error with log-normal priors: maximum a posteriori.

    minimise  sum soft_l1(log((columns @ c + floor) / measured) / scale) + sum ((log c - m) / s)^2

Relative errors count, one wild timing does not rule, and no coefficient reaches zero or less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prior:
    """Log-normal prior of coefficients: middle and spread of their logs, (k,) each."""

    log_middle: Floats
    log_spread: Floats


@dataclass(frozen=True, slots=True)
class PositiveFit:
    """Coefficients (k,) and the loss that is left, priors included."""

    coefficients: Floats
    loss: float


def fit_positive(
    columns: Floats, measured: Floats, prior: Prior, scale: float, floor: Floats | float = 0.0
) -> PositiveFit:
    """Coefficients of columns (n, k) for measured values (n,), all positive.

    Args:
        columns: not negative, with a positive entry in every row (or a positive floor).
        measured: positive.
        prior: of the k coefficients.
        scale: log error from which on the loss grows linearly.
        floor: what is added to the predictions, (n,).
    """
    logs = np.log(measured)

    def residuals(x: Floats) -> Floats:
        error = (np.log(columns @ np.exp(x) + floor) - logs) / scale
        return np.concatenate([soft_l1(error)[0], (x - prior.log_middle) / prior.log_spread])

    def slopes(x: Floats) -> Floats:
        parts = columns * np.exp(x)
        total = parts.sum(axis=1) + floor
        slope = soft_l1((np.log(total) - logs) / scale)[1]
        own = parts / total[:, None] * slope[:, None] / scale
        return np.vstack([own, np.diag(1.0 / prior.log_spread)])

    found = least_squares(residuals, prior.log_middle, jac=slopes, method="lm")
    return PositiveFit(np.exp(found.x), float(found.cost))


def soft_l1(residual: Floats) -> tuple[Floats, Floats]:
    """Signed root of the soft L1 loss, so that plain least squares minimises it; and its slope."""
    root = np.sqrt(1.0 + residual**2)
    soft = np.sign(residual) * np.sqrt(2.0 * (root - 1.0))
    small = np.abs(residual) < 1e-6
    slope = np.where(small, 1.0, residual / root / np.where(small, 1.0, soft))
    return soft, slope
