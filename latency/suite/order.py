"""In which order a suite is timed: at random, with the anchors again and again.

A phone warms up as a run goes on. In random order that becomes noise instead of a bias of whatever
came late, and anchors, timed first, last and about every twenty timings, show how much it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

EVERY = 20
"""Most other timings between two rounds of anchors."""


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
    parts = max(1, -(-len(others) // EVERY))
    for places in np.array_split(np.arange(len(others)), parts):
        found += [shuffled[at] for at in places]
        found += [anchors[at] for at in rng.permutation(len(anchors))]
    return found
