"""A space of five million networks, every one of them judged as a search judges them.

The real problem and not a sum: milliseconds with their interval, a budget at a confidence, the
accuracy prior with its uncertainty and its guards. What a search of it finds is held against the
front of all. It is MobileNetV2's space with two choices of most genes and one of most widths.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from palmette.latency import load_predictor
from palmette.search.front import non_dominated
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, pose
from palmette.space import SearchSpace

Floats = NDArray[np.float64]

SPACE = "mobilenet_v2"
TARGET = "iphone-13/ane"
BUDGET_MS = 0.7
STEPS = (3_000, 10_000, 30_000, 100_000, 500_000, 3_000_000)
"""The last is more than half of the space; the others are a 1,700th to a tenth of it."""

_BATCH = 50_000

_KEPT: dict[str, tuple[object, ...]] = {
    "network.activation": ("relu",),
    "stem.channels": (16,),
    "stage1.channels": (16,),
    "stage2.channels": (24,),
    "stage3.channels": (32,),
    "stage4.channels": (64,),
    "stage5.channels": (96,),
    "stage6.channels": (112, 160),
    "stage7.channels": (256, 320),
    "head.channels": (1280,),
    **{f"stage{stage}.kernel": (3, 5) for stage in range(2, 8)},
    **{f"stage{stage}.depth": (2, 3) for stage in (2, 3, 5, 6)},
    "stage4.depth": (1, 2, 3, 4, 5),
    "stage7.depth": (1, 2),
    "stage2.expansion": (6,),
    **{f"stage{stage}.expansion": (3, 6) for stage in range(3, 7)},
    "stage7.expansion": (6,),
}


def sub_space() -> SearchSpace:
    """The space: resolution and SE are MobileNetV2's, all else is as `_KEPT` says."""
    space = SearchSpace.preset(SPACE)
    for gene, choices in _KEPT.items():
        space = space.restrict(gene, choices)
    return space


def posed(target: str = TARGET, budget_ms: float = BUDGET_MS) -> SearchProblem:
    """The search problem of the space on a target."""
    return pose(sub_space(), load_predictor(target), Limits(budget_ms))


def enumerated_front(problem: SearchProblem) -> tuple[Floats, int]:
    """Objectives of the front of all codes, and how many codes are feasible."""
    front, feasible = np.empty((0, 2)), 0
    for codes in _batches(problem.cardinalities):
        found = problem.evaluate(codes)
        inside = found.objectives[found.violation == 0]
        feasible += len(inside)
        front = np.concatenate([front, inside])
        front = front[non_dominated(front)]
    return front, feasible


def _batches(cardinalities: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    size = math.prod(cardinalities.tolist())
    for start in range(0, size, _BATCH):
        index = np.arange(start, min(start + _BATCH, size))
        yield np.stack(np.unravel_index(index, cardinalities.tolist()), axis=1)
