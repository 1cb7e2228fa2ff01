"""Fitting the prices of a form to whole-network timings of several related chips at once.

Few rows, many features: maximum a posteriori in log prices, so every price stays positive.

    price[chip, k] = exp(chip_factor[chip] + shared[k] + deviation[chip, k])
    minimise  sum soft_l1(log(predicted / measured) / 0.10)
              + sum (chip_factor / 1.0)^2 + sum ((shared - m) / 1.0)^2 + sum (deviation / 0.25)^2

m gives every term an equal share of the median time at its median feature value. The medians are
taken over all networks: features leak nothing, and a feature absent from the training rows would
otherwise get an arbitrary price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from palmette.latency.robust import Prior, soft_l1
from palmette.latency.whole.forms import Form

Floats = NDArray[np.float64]

ROBUST_SCALE = 0.10
CHIP_SPREAD, PRICE_SPREAD, DEVIATION_SPREAD = 1.0, 1.0, 0.25


@dataclass(frozen=True, slots=True)
class Design:
    """Networks as a form sees them: rows of features, one per op (or per network if linear).

    `matrix` is (rows, 1 + features) with a leading column of constants; `starts` are the first rows
    of the networks; `floors` is (chips, networks), the physical floor in ms.
    """

    form: Form
    matrix: Floats
    starts: NDArray[np.int64]
    floors: Floats

    @classmethod
    def of(cls, form: Form, matrices: Sequence[Floats], floors: Floats) -> Design:
        """Design of a form from its matrices, (ops, features) for each network."""
        pieces = []
        for rows in matrices:
            rows = rows if form.moved else rows.sum(axis=0, keepdims=True)
            once = np.zeros((len(rows), 1))
            once[0] = 1.0
            pieces.append(np.concatenate([once, rows], axis=1))
        starts = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
        return cls(form, np.concatenate(pieces), starts.astype(np.int64), floors)

    def shares(self, prices: Floats) -> Floats:
        """Feature sums that count at these prices (constant first): (networks, 1 + features)."""
        if not self.form.moved:
            return self.matrix
        active = self.form.active(self.matrix[:, 1:], prices[1:])
        rows = np.concatenate([self.matrix[:, :1], active], axis=1)
        return np.add.reduceat(rows, self.starts, axis=0)

    def totals(self) -> Floats:
        """Feature sums of the networks, both sides of a roofline counted."""
        return np.add.reduceat(self.matrix, self.starts, axis=0)


def fit_prices(
    design: Design,
    latency_ms: Floats,
    prior: Prior | None = None,
    weights: Floats | None = None,
) -> Floats:
    """Prices of the constant and of each feature, shape (chips, 1 + features), ms per unit.

    Args:
        design: all networks, held-out ones included.
        latency_ms: (chips, networks); NaN where a network was not timed or is held out.
        prior: of the shared prices, (1 + features,); None: m and 1.0 of the module's formula.
        weights: what the loss of each timing counts, (chips, networks); None: all alike.
    """
    chips, networks = np.nonzero(~np.isnan(latency_ms))
    measured = np.log(latency_ms[chips, networks])
    roots = np.ones(len(chips)) if weights is None else np.sqrt(weights[chips, networks])
    count, terms = latency_ms.shape[0], design.matrix.shape[1]
    if prior is None:
        prior = Prior(_equal_shares(design, latency_ms), np.full(terms, PRICE_SPREAD))
    spread = np.concatenate(
        [
            np.full(count, CHIP_SPREAD),
            prior.log_spread,
            np.full(count * terms, DEVIATION_SPREAD),
        ]
    )
    centre = np.concatenate([np.zeros(count), prior.log_middle, np.zeros(count * terms)])

    def prices_of(x: Floats) -> Floats:
        deviation = x[count + terms :].reshape(count, terms)
        prices: Floats = np.exp(x[:count, None] + x[count : count + terms] + deviation)
        return prices

    def evaluate(x: Floats) -> tuple[Floats, Floats]:
        prices = prices_of(x)
        parts = np.stack([design.shares(row) * row for row in prices])[chips, networks]
        predicted = parts.sum(axis=1) + design.floors[chips, networks]
        residual, slope = soft_l1((np.log(predicted) - measured) / ROBUST_SCALE)
        residual, slope = residual * roots, slope * roots
        gradient = parts / predicted[:, None] * slope[:, None] / ROBUST_SCALE
        slopes = np.zeros((len(chips), len(x)))
        rows = np.arange(len(chips))
        slopes[rows, chips] = gradient.sum(axis=1)
        slopes[:, count : count + terms] = gradient
        columns = count + terms + chips[:, None] * terms + np.arange(terms)
        slopes[rows[:, None], columns] = gradient
        full = np.concatenate([residual, (x - centre) / spread])
        return full, np.vstack([slopes, np.diag(1.0 / spread)])

    seen: dict[bytes, tuple[Floats, Floats]] = {}

    def at(x: Floats) -> tuple[Floats, Floats]:
        """The solver asks for residuals and their slopes at the same place, one after the other."""
        key = x.tobytes()
        if key not in seen:
            seen.clear()
            seen[key] = evaluate(x)
        return seen[key]

    def residuals(x: Floats) -> Floats:
        return at(x)[0]

    def jacobian(x: Floats) -> Floats:
        return at(x)[1]

    solution = least_squares(residuals, centre, jac=jacobian)
    return prices_of(solution.x)


def _equal_shares(design: Design, latency_ms: Floats) -> Floats:
    """Log price at which each term alone explains its equal share of the median time."""
    totals = design.totals()
    medians = np.array([_positive_median(column) for column in totals.T])
    logs: Floats = np.log(float(np.nanmedian(latency_ms)) / totals.shape[1] / medians)
    return logs


def _positive_median(values: Floats) -> float:
    positive = values[values > 0]
    return float(np.median(positive)) if len(positive) else 1.0
