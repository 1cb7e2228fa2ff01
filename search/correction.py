"""Predictions put right by timings of some networks: what these were off by, handed to their like.

log(measured / predicted) is taken for a Gaussian process over the genes of a space (Rasmussen and
Williams 2006, chapter 2): all networks are off by something in common, and like networks by
something that they share,

    k(x, x') = v (c + (1 - c) exp(-d(x, x') / l)),

where d is the share of genes that differ. v, c and l are those of a small grid under which the
timings are most likely; the predictor's own interval is the middle of the grid's v.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from palmette.latency.drift.noise import RUN_SPREAD
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]

_SCALES = (0.125, 0.25, 0.5, 1.0, 2.0)
_COMMON = (0.1, 0.5, 0.9)
_LENGTHS = (0.05, 0.15, 0.5)
FEWEST = 4
"""Timings from which on the grid is looked at; below, its middle is taken."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """`sigma` is the standard deviation of the log of the error, `common` the share of its variance
    that all networks have in common, `length` in shares of genes."""

    sigma: float
    common: float = 0.5
    length: float = 0.15

    def between(self, left: Codes, right: Codes) -> Floats:
        """Covariance of codes (n, genes) and (m, genes), shape (n, m)."""
        differ = (left[:, None, :] != right[None, :, :]).mean(axis=2)
        near = self.common + (1 - self.common) * np.exp(-differ / self.length)
        return np.asarray(self.sigma**2 * near)


@dataclass(frozen=True, slots=True)
class Correction:
    """What is known of the errors of a predictor over a space from some timings."""

    codes: Codes
    """Of the timed networks, (n, genes)."""
    errors: Floats
    """Log of measured over predicted of each, (n,)."""
    kernel: Kernel
    noise: float = RUN_SPREAD
    """Standard deviation of the log of a timing, were it taken again."""

    @classmethod
    def of(
        cls, codes: Codes, errors: Floats, sigma: float, noise: float = RUN_SPREAD
    ) -> Correction:
        """The kernel of the grid under which the errors are most likely.

        Args:
            codes: of the timed networks, (n, genes), each once.
            errors: log of measured over predicted, (n,).
            sigma: standard deviation of the log that the predictor expects of its own errors.
            noise: that of a timing.
        """
        grid = [
            Kernel(scale * sigma, common, length)
            for scale, common, length in itertools.product(_SCALES, _COMMON, _LENGTHS)
        ]
        if len(errors) < FEWEST:
            return cls(codes, errors, Kernel(sigma), noise)
        found = (cls(codes, errors, kernel, noise) for kernel in grid)
        return max(found, key=lambda one: one.likelihood)

    @property
    def likelihood(self) -> float:
        """Log marginal likelihood of the errors, up to a constant."""
        factor = self._factor()
        half = float(np.log(np.diag(factor[0])).sum())
        return -0.5 * float(self.errors @ cho_solve(factor, self.errors)) - half

    def at(self, codes: Codes) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the log error of codes (m, genes), each (m,)."""
        if not len(self.errors):
            return np.zeros(len(codes)), np.full(len(codes), self.kernel.sigma)
        factor, across = self._factor(), self.kernel.between(codes, self.codes)
        mean = across @ cho_solve(factor, self.errors)
        told = np.einsum("ij,ji->i", across, cho_solve(factor, across.T))
        variance = np.maximum(self.kernel.sigma**2 - told, 0.0) + self.noise**2
        return mean, np.sqrt(variance)

    def _factor(self) -> tuple[Floats, bool]:
        within = self.kernel.between(self.codes, self.codes)
        factor, lower = cho_factor(within + self.noise**2 * np.eye(len(within)), lower=True)
        return factor, bool(lower)


def sigma_of(factor: float, confidence: float) -> float:
    """Standard deviation of the log from the factor of a two-sided interval."""
    from statistics import NormalDist

    return math.log(factor) / NormalDist().inv_cdf((1 + confidence) / 2)
