"""Which whole networks to time, so that the sum of kernels can be calibrated on them.

Few networks fix few coefficients (`palmette.latency.per_op.network_cost`): what the sum is
multiplied by, a constant, a price of slow activations. Without small and large networks the first
two cannot be told apart; odd networks tell more of themselves than of the sum. So the networks are
cut into classes of equal number by their work, and of each class the middle one is taken, as to
time, depth, slow activations and resolution together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

KNOWN_SHARE = 0.5
"""Of the classes, at most: those that a network stands for that everybody knows."""


def describe(ms: Floats, kernels: Floats, slow: Floats, input_px: Floats | None = None) -> Floats:
    """What networks are told apart by, (networks, columns); the first column is the work.

    Args:
        ms: what each is thought to take.
        kernels, slow: how many kernels each has, and how many with a slow activation.
        input_px: pixels of the input, if known.
    """
    columns = [np.log(ms), np.log(kernels), np.log1p(slow)]
    columns += [] if input_px is None else [np.log(input_px)]
    return np.stack(columns, axis=1)


def choose_networks(
    described: Floats, count: int, known: Mask | None = None, kin: Ints | None = None
) -> Ints:
    """Networks to calibrate on: indices, at most `count`, the middle class first, then the edges.

    Args:
        described: see `describe`, (n, columns).
        count: of classes.
        known: networks that everybody knows, (n,). They stand for nothing themselves: the others
            say where the classes end and what is in the middle.
        kin: group of each network, (n,), of which one is taken; all different by default.
    """
    known = np.zeros(len(described), dtype=np.bool_) if known is None else known
    kin = np.arange(len(described)) if kin is None else kin
    spread = described[~known].std(axis=0)
    places = described / np.where(spread > 0, spread, 1.0)
    count = min(count, int((~known).sum()))
    order = np.flatnonzero(~known)[np.argsort(described[~known, 0], kind="stable")]
    taken: list[int] = []
    for place in _inside_out(count):
        members = order[len(order) * place // count : len(order) * (place + 1) // count]
        work = described[:, 0]
        inside = (work >= work[members].min()) & (work <= work[members].max())
        free = ~np.isin(kin, kin[taken])
        asked = [known & inside & free] if known[taken].sum() < int(KNOWN_SHARE * count) else []
        asked.append(~known & inside & free)
        pool = next((np.flatnonzero(mask) for mask in asked if mask.any()), None)
        if pool is not None:
            off = ((places[pool] - np.median(places[members], axis=0)) ** 2).sum(axis=1)
            taken.append(int(pool[np.argmin(off)]))
    return np.array(taken, dtype=np.int64)


def _inside_out(count: int) -> list[int]:
    """Classes 0 to count - 1: the middle, the two edges, then the rest, inwards.

    >>> _inside_out(5)
    [2, 0, 4, 1, 3]
    """
    middle = count // 2
    edges = [at for pair in zip(range(count), reversed(range(count)), strict=True) for at in pair]
    return list(dict.fromkeys([middle, *edges]))[:count]
