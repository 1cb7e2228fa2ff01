"""Pareto fronts of two objectives, both minimised: non-dominated points and hypervolume.

In two dimensions both come from one sort and a running minimum, so fronts of thousands of points
cost microseconds. Hypervolume: Zitzler & Thiele 1999, here exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def non_dominated(objectives: Floats) -> Ints:
    """Indices of the points that no other dominates, sorted by the first objective.

    Of points that are equal in both objectives, the one that comes first is kept.

    Args:
        objectives: shape (n, 2), both minimised.

    Raises:
        ValueError: another shape, or a NaN.
    """
    _check(objectives)
    order = np.lexsort((objectives[:, 1], objectives[:, 0]))
    second = objectives[order, 1]
    keep = np.ones(len(order), dtype=np.bool_)
    keep[1:] = second[1:] < np.minimum.accumulate(second)[:-1]
    front: Ints = order[keep]
    return front


def covered(front: Floats, objectives: Floats) -> NDArray[np.bool_]:
    """Mask of the points that some point of a front dominates or equals.

    Args:
        front: shape (m, 2), non-dominated and sorted by the first objective.
        objectives: shape (n, 2).
    """
    if len(front) == 0:
        return np.zeros(len(objectives), dtype=np.bool_)
    # the best second objective among front points that are no worse in the first is the last one's
    last = np.searchsorted(front[:, 0], objectives[:, 0], side="right") - 1
    mask: NDArray[np.bool_] = (last >= 0) & (front[last, 1] <= objectives[:, 1])
    return mask


def hypervolume(objectives: Floats, reference: Floats) -> float:
    """Area that points dominate inside the box that ends at a reference point.

    Args:
        objectives: shape (n, 2), both minimised; need not be a front.
        reference: shape (2,); points that are not better in both add nothing.

    Raises:
        ValueError: another shape, or a NaN.
    """
    _check(objectives)
    inside = objectives[np.all(objectives < reference, axis=1)]
    front = inside[non_dominated(inside)]
    width = np.append(front[1:, 0], reference[0]) - front[:, 0]
    return float(np.sum(width * (reference[1] - front[:, 1])))


def hypervolume_share(objectives: Floats, exact: Floats) -> float:
    """Hypervolume over that of the exact front, in the box of its ideal and its nadir.

    Args:
        objectives: shape (n, 2); what lies outside the box adds nothing.
        exact: the exact front, shape (m, 2); at least three points.

    Raises:
        ValueError: another shape, a NaN, or an exact front without area.
    """
    nadir = exact.max(axis=0)
    whole = hypervolume(exact, nadir)
    if whole <= 0:
        raise ValueError(f"the exact front has no area: needs three points, got {len(exact)}")
    return hypervolume(np.maximum(objectives, exact.min(axis=0)), nadir) / whole


def _check(objectives: Floats) -> None:
    if objectives.ndim != 2 or objectives.shape[1] != 2 or bool(np.isnan(objectives).any()):
        raise ValueError(f"objectives must be numbers of shape (n, 2), got {objectives.shape}")
