"""Compound scaling: a family of networks with one parameter, and its member for a budget.

Tan and Le, EfficientNet, ICML 2019: depth alpha^phi, width beta^phi and resolution gamma^phi, with
one phi for all three. phi is 0 for the base, may be negative and need not be whole. Numbers of
blocks are rounded to the nearest; EfficientNet's code rounds up, by which every stage of a network
just larger than the base would have a block more.

The paper's first step searches alpha, beta and gamma for twice the MACs; `fit_coefficients` does so
for twice the *milliseconds* of a target, on which the three cost differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from palmette.latency import LatencyPredictor
from palmette.latency.budget import expect_budget
from palmette.search.families.coefficients import Coefficients
from palmette.search.families.estimates import AccuracyFunction, Estimator
from palmette.search.limits import Limits
from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.space.scaling import scale

LARGEST_PHI = 10.0
"""Families are searched from minus this to this: a thousandth to a thousand times the work."""
STRIDE_PHI = 0.25
PRECISION_PHI = 1e-6
"""Members closer together than this are not told apart."""
PIXELS = 8
"""Images whose sides are multiples of this stay so."""
LEAST_PIXELS = 32
NEAR = 0.05
"""A time counts as the one that is asked for if it is this share off at most."""
GRID = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)
"""Values that `fit_coefficients` tries for each coefficient."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """The member of a family that a budget allows."""

    architecture: Architecture
    phi: float
    coefficients: Coefficients
    row: pd.DataFrame
    """The member's estimates, a row: phi, ms, ms_at_confidence, top1, score, params_m, macs_m,
    architecture (its text)."""


def member(base: Architecture, phi: float, coefficients: Coefficients) -> Architecture:
    """The network of a family at phi; at 0 the base itself.

    Raises:
        InputError: a factor makes a block that is not allowed, or too large or small an image.
    """
    if phi == 0:
        return base
    # first the resolution: a small network on a large image is no smaller than it must be
    sized = base.with_resolution(*(_pixels(px, coefficients.gamma**phi) for px in base.resolution))
    return scale(
        sized,
        width=coefficients.beta**phi,
        depth=coefficients.alpha**phi,
        depth_rounding=_nearest,
    )


def scale_to_budget(
    base: Architecture,
    predictor: LatencyPredictor,
    budget_ms: float,
    *,
    coefficients: Coefficients | None = None,
    confidence: float = 0.8,
    lam: float = 0.5,
    recipe: str | None = None,
    accuracy: AccuracyFunction | None = None,
) -> Scaled:
    """The largest member of a family that keeps a budget.

    It is no further from the structures that the prior may judge than the base, however large the
    budget; an accuracy function judges all.

    Args:
        base: the network with phi 0.
        predictor: of the target.
        budget_ms: what the time at the confidence must not be above.
        coefficients: of the family; None for EfficientNet's.
        confidence: one-sided, above 0.5 and below 1.
        lam: standard deviations that the score gives up.
        recipe: of the prior; None for the mean recipe.
        accuracy: architectures to (top-1, sigma), in place of the prior.

    Raises:
        InputError: the prior cannot judge the base, the budget is infinite, or no member keeps it;
            the message tells the fastest.
    """
    factors = coefficients or Coefficients()
    expect_budget(budget_ms)
    limits = Limits(budget_ms=budget_ms, confidence=confidence, lam=lam)
    estimator = Estimator.of(base, predictor, limits, accuracy, recipe)
    phi = _largest(base, factors, estimator)
    found = estimator.told(member(base, phi, factors))
    row = found.frame()
    row.insert(0, "phi", [phi])
    return Scaled(found.architectures[0], phi, factors, row)


def fit_coefficients(
    base: Architecture,
    predictor: LatencyPredictor,
    *,
    times: float = 2.0,
    grid: Sequence[float] = GRID,
    lam: float = 0.5,
    recipe: str | None = None,
    accuracy: AccuracyFunction | None = None,
) -> Coefficients:
    """The coefficients whose member at phi = 1 has the best score for a multiple of the time.

    Args:
        base: the network with phi 0.
        predictor: of the target.
        times: the multiple of the base's predicted milliseconds, above 1; a member may be `NEAR`
            off. If none is, those that come closest are taken.
        grid: values that are tried for each coefficient.
        lam: standard deviations that the score gives up.
        recipe: of the prior; None for the mean recipe.
        accuracy: architectures to (top-1, sigma), in place of the prior.

    Raises:
        InputError: the prior cannot judge the base, or `times` is not above 1.
    """
    expect(1 < times <= 64, f"times: must be above 1 and at most 64, got {times:g}")
    estimator = Estimator.of(base, predictor, Limits(lam=lam), accuracy, recipe)
    tried = [Coefficients(*row) for row in product(grid, repeat=3) if max(row) > 1]
    made = [(factors, one) for factors in tried if (one := _member(base, 1.0, factors)) is not None]
    ms, _ = estimator.time([base, *(one for _, one in made)])
    off = np.abs(ms[1:] / ms[0] / times - 1)
    near = np.flatnonzero(off <= max(NEAR, off.min()))
    found = estimator.estimate([made[row][1] for row in near])
    judged = np.where(found.broken <= estimator.told(base).broken[0], found.score, -np.inf)
    best = int(near[int(np.argmax(judged))])
    return made[best][0]


def _largest(base: Architecture, factors: Coefficients, estimator: Estimator) -> float:
    """The largest phi whose member keeps the budget and can be judged, to `PRECISION_PHI`.

    Times rise with phi in steps, so halving an interval whose lower end keeps the budget and whose
    upper does not ends at such a step.
    """
    grid = np.arange(0.0, LARGEST_PHI + STRIDE_PHI, STRIDE_PHI).tolist()

    def kept(phi: float) -> bool:
        network = _member(base, phi, factors)
        return network is not None and estimator.keeps(network) and estimator.judges(network, base)

    if kept(0.0):
        above = next((phi for phi in grid if not kept(phi)), None)
        if above is None:
            return LARGEST_PHI
        low, high = float(above) - STRIDE_PHI, float(above)
    else:
        below = next((-phi for phi in grid if kept(-phi)), None)
        if below is None:
            raise _too_small(base, factors, estimator)
        low, high = float(below), float(below) + STRIDE_PHI
    while high - low > PRECISION_PHI:
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) else (low, middle)
    return low


def _too_small(base: Architecture, factors: Coefficients, estimator: Estimator) -> InputError:
    """What is said if no member keeps the budget."""
    grid = np.arange(-LARGEST_PHI, STRIDE_PHI, STRIDE_PHI).tolist()
    made = [
        (phi, one)
        for phi in grid
        if (one := _member(base, phi, factors)) is not None and estimator.judges(one, base)
    ]
    _, upper = estimator.time([one for _, one in made])
    row = int(np.argmin(upper))
    phi, network = made[row]
    return InputError(
        "budget: no member of the family that can be judged keeps"
        f" {estimator.limits.budget_ms:g} ms; the fastest, at phi {phi:g}, takes"
        f" {upper[row]:.4g} ms at the confidence: {network.to_text()}"
    )


def _member(base: Architecture, phi: float, factors: Coefficients) -> Architecture | None:
    """The member at phi; None if there is no such network."""
    try:
        return member(base, phi, factors)
    except InputError:
        return None


def _nearest(blocks: float) -> int:
    return math.floor(blocks + 0.5)


def _pixels(side: int, factor: float) -> int:
    """A side of the image in px, times a factor."""
    step = PIXELS if side % PIXELS == 0 else 1
    scaled = _nearest(side * factor / step) * step
    return max(scaled, min(side, LEAST_PIXELS))
