"""What is believed of accuracies after some were measured: a mean and its error for every network.

The prior comes first: its differences between networks are taken as they are where nothing is
measured, and every result moves its level (another data set, another recipe), its slope, and, by a
Gaussian process over the genes, what it has wrong. Where no prior can judge a space, a constant
stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from palmette.search.expensive.encoding import Encoding
from palmette.search.expensive.kernel import Kernel, common, common_at, fitted
from palmette.space import SearchSpace
from palmette.space.search_space import Codes
from palmette.train import PriorBatch

if TYPE_CHECKING:
    from palmette.search.expensive.seen import Results

Floats = NDArray[np.float64]
Prior = Callable[[Codes], PriorBatch]

FEWEST = 8
"""Results from which on the scales are fitted."""
REFITS = tuple(int(FEWEST * 2 ** (half / 2)) for half in range(11))
"""Counts of results at which they are fitted anew, a square root of two apart, up to 256; a fit to
500 takes four times as long and changed little (`benchmarks/expensive_stage.py`)."""
PRIOR_SD = 1.7
"""Points; error of the prior on families left out of its fit."""
UNKNOWN_SD = 4.0
"""Points between networks of one space, where nothing else is known."""
CHUNK = 8192
_Z = 1.2815515655446004  # 80 % of a normal distribution lies within z standard deviations


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is the same for all beliefs over one space: genes as steps, and the prior.

    The prior's top-1 counts from its mean over random networks, so that level and slope are told
    apart.
    """

    encoding: Encoding
    prior: Prior | None
    middle: float

    @classmethod
    def of(cls, space: SearchSpace, prior: Prior | None) -> Outlook:
        """The outlook on a space."""
        middle = 0.0
        if prior is not None:
            codes = space.sample(1000, np.random.default_rng(0))
            middle = float(prior(codes).top1.mean())
        return cls(Encoding.of(space), prior, middle)

    def differences(self, codes: Codes) -> Floats:
        """Prior top-1 of codes (n, genes) less its middle; zeros without a prior."""
        if self.prior is None:
            return np.zeros(len(codes))
        found: Floats = self.prior(codes).top1 - self.middle
        return found

    def start(self, top1: Floats, differences: Floats) -> Kernel:
        """The kernel before it is fitted, of the size of what the prior leaves."""
        residual = UNKNOWN_SD if self.prior is None else PRIOR_SD
        if len(top1) >= FEWEST:
            spread = differences.std()
            slope = float(np.cov(top1, differences)[0, 1] / spread**2) if spread > 0 else 0.0
            residual = float(np.std(top1 - slope * differences))
        return Kernel.start(self.encoding, max(residual, 0.1))


@dataclass(frozen=True, slots=True)
class Belief:
    """A posterior over top-1; made by `believe`, or `Belief.first` before any result."""

    outlook: Outlook
    kernel: Kernel
    rows: Floats
    """Steps of the results' networks (n, columns)."""
    differences: Floats
    inverse: Floats
    """Inverse of the Cholesky root of the results' covariance (n, n)."""
    pulled: Floats
    """Weight of each result in a mean (n,)."""
    level: float
    """Top-1 around which level and slope are believed."""

    @classmethod
    def first(cls, outlook: Outlook) -> Belief:
        """The belief before any result."""
        none = np.empty(0)
        kernel = outlook.start(none, none)
        rows = np.empty((0, len(outlook.encoding.gene)))
        level = outlook.middle or 50.0
        return cls(outlook, kernel, rows, none, np.empty((0, 0)), none, level)

    def predict(self, codes: Codes) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the true top-1 of codes (n, genes), in points."""
        parts = [self._part(codes[at : at + CHUNK]) for at in range(0, len(codes), CHUNK)]
        if not parts:
            return np.empty(0), np.empty(0)
        mean, sigma = (np.concatenate(column) for column in zip(*parts, strict=True))
        return mean, sigma

    def mean(self, codes: Codes) -> Floats:
        """The mean alone, which is cheaper."""
        parts = []
        for at in range(0, len(codes), CHUNK):
            rows, differences = self._seen(codes[at : at + CHUNK])
            parts.append(
                self.level + differences + self._with_results(rows, differences) @ self.pulled
            )
        return np.concatenate(parts) if parts else np.empty(0)

    def covariance(self, codes: Codes, code: Codes) -> Floats:
        """Covariance (n,) of the true top-1 of codes (n, genes) with that of one code."""
        rows, differences = self._seen(codes)
        row, difference = self._seen(code[None])
        before = self._between(rows, differences, row, difference)[:, 0]
        if not len(self.rows):
            return before
        known = self.inverse @ self._with_results(row, difference)[0]
        covariance: Floats = before - self._with_results(rows, differences) @ self.inverse.T @ known
        return covariance

    def noise(self) -> float:
        """Variance of one more result, beyond what it states."""
        return self.kernel.noise

    def _part(self, codes: Codes) -> tuple[Floats, Floats]:
        rows, differences = self._seen(codes)
        variance = self.kernel.at(rows, self.outlook.encoding) + common_at(differences)
        mean = self.level + differences
        if len(self.rows):
            cross = self._with_results(rows, differences)
            mean = mean + cross @ self.pulled
            variance = variance - ((cross @ self.inverse.T) ** 2).sum(axis=1)
        return mean, np.sqrt(np.maximum(variance, 1e-8))

    def _seen(self, codes: Codes) -> tuple[Floats, Floats]:
        return self.outlook.encoding.rows(codes), self.outlook.differences(codes)

    def _with_results(self, rows: Floats, differences: Floats) -> Floats:
        return self._between(rows, differences, self.rows, self.differences)

    def _between(self, one: Floats, p: Floats, other: Floats, q: Floats) -> Floats:
        found: Floats = self.kernel.between(one, other, self.outlook.encoding) + common(p, q)
        return found


def believe(outlook: Outlook, results: Results, kernel: Kernel | None = None) -> Belief:
    """The belief after results.

    Args:
        outlook: on the space.
        results: codes with measured top-1 and its stated error; at least one.
        kernel: None to fit one to these results.
    """
    rows, differences = outlook.encoding.rows(results.codes), outlook.differences(results.codes)
    residuals = results.top1 - differences
    level = float(residuals.mean())
    residuals, stated = residuals - level, results.sigma**2
    if kernel is None:
        kernel = outlook.start(results.top1, differences)
        if len(results) >= FEWEST:
            kernel = fitted(kernel, rows, differences, residuals, stated, outlook.encoding)
    whole = kernel.between(rows, rows, outlook.encoding) + common(differences, differences)
    root = cholesky(whole + np.diag(stated + kernel.noise + 1e-6), lower=True)
    inverse = solve_triangular(root, np.eye(len(rows)), lower=True)
    pulled = inverse.T @ (inverse @ residuals)
    return Belief(outlook, kernel, rows, differences, inverse, pulled, level)


def kernel_of(outlook: Outlook, results: Results) -> Kernel:
    """The kernel that a study has after so many results: fitted at the last of `REFITS`.

    It follows from the results alone, however often and wherever a study was opened.
    """
    return believe(outlook, results.first(counted(REFITS, len(results)) or len(results))).kernel


def counted(counts: Sequence[int], results: int) -> int:
    """The last of some rising counts that so many results reach; 0 before the first."""
    return max((count for count in counts if count <= results), default=0)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How good a belief is on results that it does without, one at a time."""

    error: float
    """Root mean square, points."""
    tau: float
    """Kendall's tau between belief and result; NaN where one of them does not vary."""
    inside: float
    """Share of results inside their 80 % interval."""

    @classmethod
    def of(cls, belief: Belief, results: Results) -> LeftOut:
        """In closed form (Rasmussen & Williams 2006, 5.4.2), the kernel held."""
        from scipy.stats import kendalltau

        own = (belief.inverse**2).sum(axis=0)
        missed = belief.pulled / own
        tau = kendalltau(results.top1 - missed, results.top1).statistic
        inside = np.abs(missed) <= _Z * np.sqrt(1 / own)
        return cls(float(np.sqrt(np.mean(missed**2))), float(tau), float(inside.mean()))
