"""Which of many things to time: those whose few stand best for all, the most telling first.

Kernel herding (Chen, Welling and Smola, 2010): each step takes the candidate that is most like the
weighted whole and least like what was taken before. After any number of steps the taken ones are
spread as the weight is, so every prefix is a good sample. Nothing is drawn: no seed, and no cluster
of near twins, which draws by weight have.

The weight of a kernel is the square root of the time that it is thought to take in all networks
together. By the time itself, few heavy shapes would be taken many times over; by their number, as
at random, cheap ones that hardly count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from palmette.latency.per_op.kernels import KernelTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REACH = 1.0
"""Root mean square difference of the columns over which likeness falls to exp(-1/2)."""
TRAIT_LIKENESS = 0.74
"""Of two kernels that differ in one trait, such as the activation or the stride."""
WEIGHT_POWER = 0.5


def kernel_likeness(kernels: KernelTable) -> Floats:
    """Likeness of kernels, (n, n), from 0 (another sort) to 1 (equal)."""
    return likeness(np.log(np.maximum(kernels.work, 1.0)), kernels.traits)


def likeness(points: Floats, traits: Floats) -> Floats:
    """Likeness (n, n), from 0 to 1, by columns of numbers (n, columns) and traits (n, traits).

    Things whose first trait differs have none.
    """
    alike: Floats = np.exp(-_squares(points) / (2 * REACH**2 * points.shape[1]))
    alike *= traits[:, None, 0] == traits[None, :, 0]
    for column in traits.T[1:]:
        alike *= np.where(column[:, None] == column[None, :], 1.0, TRAIT_LIKENESS)
    return alike


def _squares(points: Floats) -> Floats:
    """Squared distances between points (n, columns): (n, n)."""
    centred = points - points.mean(axis=0)  # smaller numbers, smaller rounding
    norms = (centred**2).sum(axis=1)
    found: Floats = np.maximum(norms[:, None] + norms[None, :] - 2 * centred @ centred.T, 0.0)
    return found


def herd(alike: Floats, weights: Floats, count: int) -> Ints:
    """Indices of candidates in the order in which they are taken, at most `count`.

    Args:
        alike: likeness of all, (n, n).
        weights: of all, (n,), positive.
        count: how many.
    """
    middle = alike @ (weights / weights.sum())
    taken = np.zeros(len(weights), dtype=np.bool_)
    near = np.zeros(len(weights))
    order: list[int] = []
    while len(order) < min(count, len(weights)):
        gain = np.where(taken, -np.inf, middle - near / (len(order) + 1))
        order.append(int(np.argmax(gain)))
        taken[order[-1]] = True
        near += alike[order[-1]]
    return np.array(order, dtype=np.int64)


def choose_kernels(kernels: KernelTable, total_ms: Floats, count: int) -> Ints:
    """Which kernels to time, the most useful first: indices, at most `count`.

    Args:
        kernels: distinct ones that the networks need, (n,).
        total_ms: what each is thought to take in all of those networks together, (n,), positive.
        count: how many.
    """
    return herd(kernel_likeness(kernels), total_ms**WEIGHT_POWER, count)


def covered(alike: Floats, total_ms: Floats, taken: Sequence[int]) -> float:
    """Share of all time that the taken ones stand for, from 0 to 1.

    Every kernel counts with its time, times its likeness to the nearest of the taken ones.
    """
    if not len(taken):
        return 0.0
    return float(alike[list(taken)].max(axis=0) @ total_ms / total_ms.sum())
