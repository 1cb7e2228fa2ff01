"""In which order a suite is timed: at random, with the anchors again and again.

A phone warms up as a run goes on. In random order that becomes noise instead of a bias of whatever
came late, and anchors, timed first, last and about every twenty timings, show how much it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Ints = NDArray[np.int64]

ANCHOR = "anchor"
"""Role of what is timed again and again."""
EVERY = 20
"""Most other timings between two rounds of anchors."""

MOST_DRIFT = 1.05
"""How far an anchor may be off the median of its timings, as a ratio; more, and a run drifted."""


def off(ms: float, middle: float) -> float:
    """How far a timing is off, slower or faster, as a ratio of 1 or more."""
    return max(ms / middle, middle / ms)


def rounds(others: Ints) -> Ints:
    """How often anchors are timed in a run of so many other timings, elementwise; 2 or more."""
    found: Ints = 1 + np.maximum(1, -(-others // EVERY))
    return found


def run_order(others: Sequence[Item], anchors: Sequence[Item], seed: int) -> list[Item]:
    """Others once each, in random order; all anchors before them, after them, and between.

    Args:
        others: timed once.
        anchors: timed again and again, in an order of its own each time.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    shuffled = [others[at] for at in rng.permutation(len(others))]
    found = [anchors[at] for at in rng.permutation(len(anchors))]
    parts = int(rounds(np.array(len(others)))) - 1
    for places in np.array_split(np.arange(len(others)), parts):
        found += [shuffled[at] for at in places]
        found += [anchors[at] for at in rng.permutation(len(anchors))]
    return found
