"""Sums of power laws: a smooth, strictly increasing cost of kernels, fitted to few or many rows.

For each group of sorts (see `GROUPS`), with J terms, generators g > 0 and traits t in {0, 1}:

    ms = sum_j exp(b_j) prod_k g_k ^ w_jk * prod_m exp(d_m t_m)        0 < w <= 1.5

A sum of terms lets one cost dominate where the other is small (starting the kernel, moving data,
computing), and exponents below 1 are devices that fill up with work. Fitted with a soft L1 loss of
the log error and Gaussian priors: exponents near 0.3, traits near no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from palmette.latency.per_op.kernels import LANES, SORTS, FastConv, KernelTable
from palmette.space import ACTIVATIONS, Op

Floats = NDArray[np.float64]

GROUPS = (
    ("conv", "conv_transpose", "linear", "matmul"),
    ("depthwise",),
    ("grouped",),
    tuple(
        s
        for s in SORTS
        if s not in ("conv", "conv_transpose", "linear", "matmul", "depthwise", "grouped")
    ),
)
"""Sorts that share the exponents of their power laws."""
SPARSE_GENERATORS = ("window", "in_channels", "out_channels", "read", "weights")
"""Columns of work that depthwise and grouped convolutions have as generators besides."""
TERMS, FEW_TERMS, MANY_ROWS, LEAST_ROWS = 6, 2, 100, 12
ROBUST_SCALE = 0.1
MOST_STEPS = 150
EXPONENTS = (1e-3, 1.5)
EXPONENT_PRIOR, EXPONENT_SPREAD, TRAIT_SPREAD, PRICE_SPREAD = 0.3, 1.0, 0.3, 3.0


def generators(table: KernelTable, fast: FastConv) -> Floats:
    """Log generators of the power laws, shape (n, generators); all grow with the kernel."""
    column = table.column
    fill = {
        side: np.ceil(column(side) / LANES) * LANES for side in ("group_channels", "out_channels")
    }
    sparse = table.is_sort("depthwise", "grouped")
    weightless = np.where(column("macs") > 0, 1.0, column("window"))
    columns = (
        column("area"),
        column("in_area"),
        fill["group_channels"],
        fill["out_channels"],
        np.maximum(fast.macs(table), 1.0),
        weightless,
        1.0 + column("fused") / column("written"),
        column("inputs"),
        # where each output reads few channels the window costs other than its MACs say; for dense
        # convolutions, free exponents for them would take the place of the fast algorithm's rule
        *(np.where(sparse, column(name), 1.0) for name in SPARSE_GENERATORS),
    )
    logs: Floats = np.log(np.maximum(np.stack(columns, axis=1), 1.0))
    return logs


def trait_flags(table: KernelTable) -> Floats:
    """Flags of the sort, the activation, a stride and a product behind: (n, flags)."""
    column = table.column
    parts = [column("sort")[:, None] == np.arange(len(SORTS))]
    parts += [column("act")[:, None] == np.arange(1, len(ACTIVATIONS))]
    parts += [(column("stride") > 1)[:, None], (column("muls") > 0)[:, None]]
    return np.concatenate(parts, axis=1).astype(float)


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """Terms of one group: `exponents` (J, generators), `logs` b (J,), `traits` d (flags,)."""

    exponents: Floats
    logs: Floats
    traits: Floats

    def log_ms(self, generated: Floats, flags: Floats) -> Floats:
        """Log milliseconds from log generators (n, generators) and flags (n, flags): (n,)."""
        total = _log_sum(generated @ self.exponents.T + self.logs)[0]
        log_ms: Floats = total + flags @ self.traits
        return log_ms

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PowerLaw:
        """From plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        law = cls(*(np.array(data[name], dtype=float) for name in cls.__slots__))
        shape = law.exponents.shape
        if len(shape) != 2 or law.logs.shape != shape[:1] or law.traits.ndim != 1:
            raise ValueError("exponents, logs and traits do not fit together")
        if not np.isfinite(np.concatenate([law.logs, law.traits])).all():
            raise ValueError("logs and traits must be finite")
        low, high = EXPONENTS
        if not ((law.exponents >= low) & (law.exponents <= high)).all():
            raise ValueError(f"exponents must be {low:g} to {high:g}")
        any_kernel = KernelTable.of([(Op("linear", ((1,),), (1,)),)])
        # raises if these are not as many exponents and traits as kernels have
        law.log_ms(generators(any_kernel, FastConv()), trait_flags(any_kernel))
        return law


def fit_power_law(generated: Floats, flags: Floats, log_ms: Floats) -> PowerLaw:
    """Maximum a posteriori terms for the rows of one group; deterministic.

    Args:
        generated: log generators, (n, generators).
        flags: (n, flags).
        log_ms: (n,).
    """
    rows, count = generated.shape
    terms = TERMS if rows > MANY_ROWS else FEW_TERMS
    middle = generated.mean(axis=0)  # centred, so that exponents and prices do not trade places
    loss = _Loss(generated - middle, flags, log_ms, terms)
    start = (
        np.random.default_rng(0).uniform(0.05, 0.6, terms * count),
        np.full(terms, log_ms.mean() - np.log(terms)),
        np.zeros(flags.shape[1]),
    )
    free = np.full(terms + flags.shape[1], np.inf)
    low, high = (np.full(terms * count, bound) for bound in EXPONENTS)
    solution = minimize(
        loss,
        np.concatenate(start),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(np.concatenate([low, -free]), np.concatenate([high, free])),
        options={"maxiter": MOST_STEPS, "maxcor": 20},
    )
    exponents, logs, traits = loss.parts(np.asarray(solution.x))
    return PowerLaw(exponents, logs - exponents @ middle, traits)


@dataclass(frozen=True, slots=True)
class _Loss:
    """Loss of all parameters in a row, with its slopes."""

    generated: Floats
    flags: Floats
    log_ms: Floats
    terms: int

    def parts(self, x: Floats) -> tuple[Floats, Floats, Floats]:
        """Exponents (terms, generators), logs (terms,) and traits (flags,) of a row."""
        size = self.terms * self.generated.shape[1]
        return (
            x[:size].reshape(self.terms, -1),
            x[size : size + self.terms],
            x[size + self.terms :],
        )

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        exponents, logs, traits = self.parts(x)
        total, shares = _log_sum(self.generated @ exponents.T + logs)
        residual = (total + self.flags @ traits - self.log_ms) / ROBUST_SCALE
        root = np.sqrt(1.0 + residual**2)
        slope = residual / root / ROBUST_SCALE
        weighted = slope[:, None] * shares
        own = ((weighted.T @ self.generated).ravel(), weighted.sum(axis=0), self.flags.T @ slope)
        pulls = (
            (exponents - EXPONENT_PRIOR).ravel() / EXPONENT_SPREAD,
            (logs - self.log_ms.mean()) / PRICE_SPREAD,
            traits / TRAIT_SPREAD,
        )
        spreads = (EXPONENT_SPREAD, PRICE_SPREAD, TRAIT_SPREAD)
        slopes = [one + p / s for one, p, s in zip(own, pulls, spreads, strict=True)]
        value = (root - 1.0).sum() + sum((pull**2).sum() for pull in pulls) / 2
        return float(value), np.concatenate(slopes)


def _log_sum(logs: Floats) -> tuple[Floats, Floats]:
    """Log of the sum of exponentials over the last axis, and the share of each."""
    most = logs.max(axis=1)
    shares = np.exp(logs - most[:, None])
    total = shares.sum(axis=1)
    return most + np.log(total), shares / total[:, None]
