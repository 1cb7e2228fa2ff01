"""The accuracy prior's formula, for the full fit and for each fit without one family of networks.

    error = exp(u) * (floor + sum over Wear, Wlat, P, R, D of amplitude * exp(-rate * feature))
                   * exp(-a SE - b K - c A - head * H)

in %, with the features of `features`. Every term, the common factors included, is the exponential
of a linear function of the features: all terms of all fits are one matrix product and one `exp`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmette.train.features import FEATURES, Floats

TERMS = {"Wear": "lrwe", "Wlat": "lrwl", "P": "lb", "R": "lr", "D": "ln"}
FIXED = {"SE": "Sall", "K": "Kall", "A": "smooth"}
"""Features of the terms and of the common factors, each with its name in the coefficients' file."""

_ROW = {name: row for row, name in enumerate(FEATURES)}
_CHUNK = 1024  # networks at a time: what fits into the cache


@dataclass(frozen=True, slots=True)
class Coefficients:
    """One fit: floor of the error (%), amplitude (%) and rate of each term, rate of the head."""

    floor: float
    terms: Mapping[str, tuple[float, float]]
    head: float

    @classmethod
    def from_dict(cls, data: Any) -> Coefficients:
        """One fit from its JSON; KeyError, TypeError or ValueError where that is not one."""
        terms = {name: number_pair(data["terms"][key]) for name, key in TERMS.items()}
        return cls(float(data["e0"]), terms, float(data["lf"]))


@dataclass(frozen=True, slots=True)
class Formula:
    """Fits as arrays; row t * fits + m of them is term t of fit m, the full fit first."""

    slopes: Floats
    """Shape (6 * fits, 9)."""
    logs: Floats
    """Shape (6 * fits, 1)."""
    fits: int

    @classmethod
    def of(cls, fits: Sequence[Coefficients], fixed: Mapping[str, float]) -> Formula:
        """Arrays of fits; `fixed` are the rates of SE, K and A that all share."""
        slopes = np.zeros((len(TERMS) + 1, len(fits), len(FEATURES)))
        logs = np.zeros((len(TERMS) + 1, len(fits)))
        for m, fit in enumerate(fits):
            for name, rate in fixed.items():
                slopes[:, m, _ROW[name]] = -rate
            slopes[:, m, _ROW["H"]] = -fit.head
            logs[-1, m] = math.log(fit.floor)
            for t, (name, (amplitude, rate)) in enumerate(fit.terms.items()):
                slopes[t, m, _ROW[name]] = -rate
                logs[t, m] = math.log(amplitude)
        return cls(slopes.reshape(-1, len(FEATURES)), logs.reshape(-1, 1), len(fits))

    def errors(self, features: Floats, offset: float = 0.0) -> Floats:
        """Error in % of features (9, n) by every fit, for the recipe's u: (fits, n)."""
        errors = np.empty((self.fits, features.shape[1]))
        for start in range(0, features.shape[1], _CHUNK):
            part = slice(start, start + _CHUNK)
            exponents = self.slopes @ features[:, part]
            exponents += self.logs + offset
            terms = np.exp(exponents, out=exponents).reshape(-1, self.fits, exponents.shape[1])
            errors[:, part] = terms.sum(axis=0)
        return errors


def jackknife_variance(errors: Floats) -> Floats:
    """Jackknife variance of an estimate from the fits without one family each: (fits, n) to (n,).

    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11: (n - 1) / n times the
    sum of squares around the mean.
    """
    if len(errors) < 2:
        return np.zeros(errors.shape[1])
    variance: Floats = (len(errors) - 1) * errors.var(axis=0)
    return variance


def number_pair(values: Any) -> tuple[float, float]:
    """Two numbers of a JSON list; TypeError or ValueError where it is not that."""
    first, second = values
    return float(first), float(second)
