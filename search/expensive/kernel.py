"""How alike the accuracies of two networks are: a sum over genes, and what their sum leaves.

k(x, x') = offset + slope p p' + linear sum_g w_g t_g t'_g
           + product exp(-reach sum_g w_g |t_g - t'_g|^2)

with t the steps of `encoding` and p the prior's top-1 (Rasmussen & Williams 2006, ch. 2 and 5). The
weights of genes, and the four scales, are those of the greatest posterior density: measurements of
some dozen networks cannot carry thirty free numbers, so each keeps near its start unless they say
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

from palmette.search.expensive.encoding import Encoding

Floats = NDArray[np.float64]

OFFSET_SD = 20.0
"""Points by which another data set or recipe may move all networks together."""
SLOPE_SD = 1.0
"""Of the factor on the prior's differences, around 1."""
_SPREAD = {"weights": 1.0, "linear": 1.0, "product": 1.0, "reach": 0.7, "noise": 0.7}
"""Standard deviations of the logarithms around their starts."""
_NOISE = 0.2
"""Start of the noise beyond that which results state, as a share of the residual."""
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Kernel:
    """Scales in points squared; `weights` by gene, about 1."""

    weights: Floats
    linear: float
    product: float
    reach: float
    noise: float
    """Variance of one result beyond what it states."""

    @classmethod
    def start(cls, encoding: Encoding, residual: float) -> Kernel:
        """Before anything is measured: residuals of about `residual` points, mostly sums."""
        genes = max(len(encoding.starts), 1)
        columns = max(len(encoding.gene), 1)
        return cls(
            np.ones(genes),
            0.7 * residual**2 * 4 / columns,
            0.3 * residual**2,
            1.0 / genes,
            (_NOISE * residual) ** 2,
        )

    def between(self, one: Floats, other: Floats, encoding: Encoding) -> Floats:
        """Covariance (n, m) of rows (n, columns) and (m, columns), without offset and slope."""
        scale = self.weights[encoding.gene]
        inner = (one * scale) @ other.T
        far = ((one**2) @ scale)[:, None] + ((other**2) @ scale)[None, :] - 2 * inner
        made: Floats = self.linear * inner + self.product * np.exp(-self.reach * far)
        return made

    def at(self, rows: Floats, encoding: Encoding) -> Floats:
        """Variance (n,) of rows."""
        own: Floats = self.linear * ((rows**2) @ self.weights[encoding.gene]) + self.product
        return own


def common(one: Floats, other: Floats) -> Floats:
    """Covariance (n, m) by offset and slope; prior top-1 (n,) and (m,), less their mean."""
    return OFFSET_SD**2 + SLOPE_SD**2 * one[:, None] * other[None, :]


def common_at(differences: Floats) -> Floats:
    """Variance (n,) by offset and slope."""
    variance: Floats = OFFSET_SD**2 + SLOPE_SD**2 * differences**2
    return variance


def fitted(
    start: Kernel, rows: Floats, prior: Floats, residuals: Floats, noise: Floats, encoding: Encoding
) -> Kernel:
    """The kernel of the greatest posterior density.

    Args:
        start: centre of the densities of all scales.
        rows: (n, columns).
        prior: top-1 less its mean (n,).
        residuals: measured less prior (n,).
        noise: variance that each result states (n,).
    """
    first = _packed(start)
    spread = np.full(len(first), _SPREAD["weights"])
    spread[-4:] = [_SPREAD[name] for name in ("linear", "product", "reach", "noise")]
    shared = common(prior, prior) + np.diag(noise + 1e-6)

    def cost(packed: Floats) -> tuple[float, Floats]:
        away = (packed - first) / spread
        value, slope = _unlikely(_unpacked(packed), rows, residuals, shared, encoding)
        return value + 0.5 * float(away @ away), slope + away / spread

    bounds = list(zip(first - 6.0, first + 6.0, strict=True))
    found = minimize(
        cost, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}
    )
    return _unpacked(found.x)


def _unlikely(
    kernel: Kernel, rows: Floats, residuals: Floats, shared: Floats, encoding: Encoding
) -> tuple[float, Floats]:
    """Minus the log likelihood, and its slope by the logarithms of all scales."""
    scale = kernel.weights[encoding.gene]
    squares = rows**2
    inner = (rows * scale) @ rows.T
    far = (squares @ scale)[:, None] + (squares @ scale)[None, :] - 2 * inner
    alike = kernel.product * np.exp(-kernel.reach * far)
    whole = shared + kernel.linear * inner + alike + kernel.noise * np.eye(len(rows))
    root = cholesky(whole, lower=True)
    alpha = cho_solve((root, True), residuals)
    value = 0.5 * float(residuals @ alpha) + float(np.log(np.diag(root)).sum())
    pull = cho_solve((root, True), np.eye(len(rows))) - np.outer(alpha, alpha)
    bent = pull * alike
    by_column = kernel.linear * (rows * (pull @ rows)).sum(axis=0)
    by_column -= (
        kernel.reach * 2 * (bent.sum(axis=1) @ squares - (rows * (bent @ rows)).sum(axis=0))
    )
    by_gene = np.bincount(encoding.gene, by_column * scale, len(kernel.weights))
    scales = [
        kernel.linear * float((pull * inner).sum()),
        float(bent.sum()),
        -kernel.reach * float((bent * far).sum()),
        kernel.noise * float(np.trace(pull)),
    ]
    return value, 0.5 * np.concatenate([by_gene, scales])


def _packed(kernel: Kernel) -> Floats:
    scales = [kernel.linear, kernel.product, kernel.reach, kernel.noise]
    packed: Floats = np.log(np.concatenate([kernel.weights, scales]))
    return packed


def _unpacked(packed: Floats) -> Kernel:
    values = np.exp(packed)
    linear, product, reach, noise = values[-4:].tolist()
    return Kernel(values[:-4], linear, product, reach, noise)
