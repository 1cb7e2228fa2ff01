"""Pareto fronts of objectives that are all minimised: non-dominated points and hypervolume.

In two dimensions both come from one sort and a running minimum, so fronts of thousands of points
cost microseconds; from three on they come from moocore. Hypervolume: Zitzler & Thiele 1999, here
exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PART = 64  # points of a front that are compared at once


def non_dominated(objectives: Floats) -> Ints:
    """Indices of the points that no other dominates, sorted by the first objective.

    Of points that are equal in all objectives, the one that comes first is kept; so of one
    objective, the first of the least.

    Args:
        objectives: shape (n, k), all minimised.

    Raises:
        ValueError: another shape, or a NaN.
    """
    _check(objectives)
    if objectives.shape[1] != 2:
        return _non_dominated_by_moocore(objectives)
    order = np.lexsort((objectives[:, 1], objectives[:, 0]))
    second = objectives[order, 1]
    keep = np.ones(len(order), dtype=np.bool_)
    keep[1:] = second[1:] < np.minimum.accumulate(second)[:-1]
    front: Ints = order[keep]
    return front


def _non_dominated_by_moocore(objectives: Floats) -> Ints:
    if len(objectives) == 0:
        return np.empty(0, dtype=np.int64)
    if objectives.shape[1] == 1:
        return np.array([objectives[:, 0].argmin()], dtype=np.int64)
    from moocore import is_nondominated

    kept = np.flatnonzero(is_nondominated(objectives))
    front: Ints = kept[np.lexsort(objectives[kept].T[::-1])]
    return front


def covered(front: Floats, objectives: Floats) -> NDArray[np.bool_]:
    """Mask of the points that some point of a front dominates or equals.

    Args:
        front: shape (m, k), non-dominated and sorted by the first objective.
        objectives: shape (n, k).
    """
    if len(front) == 0:
        return np.zeros(len(objectives), dtype=np.bool_)
    if front.shape[1] != 2:
        return _covered_by_any(front, objectives)
    # the best second objective among front points that are no worse in the first is the last one's
    last = np.searchsorted(front[:, 0], objectives[:, 0], side="right") - 1
    mask: NDArray[np.bool_] = (last >= 0) & (front[last, 1] <= objectives[:, 1])
    return mask


def _covered_by_any(front: Floats, objectives: Floats) -> NDArray[np.bool_]:
    mask = np.zeros(len(objectives), dtype=np.bool_)
    parts = -(-len(front) // _PART)
    for first in range(parts):  # points from all along the front: few cover most
        part, left = front[first::parts], np.flatnonzero(~mask)
        mask[left] = np.all(part[:, None, :] <= objectives[left], axis=2).any(axis=0)
    return mask


def hypervolume(objectives: Floats, reference: Floats) -> float:
    """Volume that points dominate inside the box that ends at a reference point.

    Args:
        objectives: shape (n, k), all minimised; need not be a front.
        reference: shape (k,); points that are not better in all add nothing.

    Raises:
        ValueError: another shape, or a NaN.
    """
    _check(objectives)
    inside = objectives[np.all(objectives < reference, axis=1)]
    if len(inside) and inside.shape[1] != 2:
        from moocore import hypervolume as volume

        return float(volume(inside, ref=reference))
    front = inside[non_dominated(inside)]
    width = np.append(front[1:, 0], reference[0]) - front[:, 0]
    return float(np.sum(width * (reference[1] - front[:, 1])))


def hypervolume_share(objectives: Floats, exact: Floats) -> float:
    """Hypervolume over that of the exact front, in the box of its ideal and its nadir.

    Args:
        objectives: shape (n, k); what lies outside the box adds nothing.
        exact: the exact front, shape (m, k); of two objectives, at least three points.

    Raises:
        ValueError: another shape, a NaN, or an exact front without area.
    """
    nadir = exact.max(axis=0)
    whole = hypervolume(exact, nadir)
    if whole <= 0:
        raise ValueError(
            f"the exact front has no volume in its own box; it has {len(exact)} points"
        )
    return hypervolume(np.maximum(objectives, exact.min(axis=0)), nadir) / whole


def _check(objectives: Floats) -> None:
    if objectives.ndim != 2 or objectives.shape[1] == 0 or bool(np.isnan(objectives).any()):
        raise ValueError(f"objectives must be numbers of shape (n, k), got {objectives.shape}")
