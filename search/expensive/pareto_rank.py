"""Which networks of a rung are worth more epochs: by Pareto rank, and the emptiest places last.

Milliseconds are known, accuracies are of unfinished trainings, so a difference below the tie is no
difference: of networks that tie the faster one stands before the other (non-dominated sorting:
Deb et al. 2002; the least hypervolume left out first: Emmerich et al. 2005).
"""

from __future__ import annotations

import numpy as np

from palmette.search.front import Floats, Ints


def best(ms: Floats, top1: Floats, count: int, *, budget_ms: float, tie_points: float) -> Ints:
    """Indices of the `count` best of n networks, best rank first, each rank fastest first.

    The network that would be picked is always among them: the fastest of those in the budget that
    tie with the most accurate one. Networks over the budget come after all that keep it.

    Args:
        ms: shape (n,).
        top1: shape (n,), in %.
        count: at most n are given.
        budget_ms: may be infinite.
        tie_points: accuracies this close tie.
    """
    kept = np.flatnonzero(ms <= budget_ms)
    over = np.flatnonzero(ms > budget_ms)
    chosen = [*_of_ranks(ms, top1, kept, count, tie_points)]
    if chosen and count > 0:
        chosen = _with_pick(ms, top1, kept, chosen, count, tie_points)
    chosen += over[np.lexsort((-top1[over], ms[over]))].tolist()
    return np.array(chosen[: max(count, 0)], dtype=np.int64)


def ranks(ms: Floats, top1: Floats, tie_points: float) -> list[Ints]:
    """Indices by Pareto rank, each rank fastest first; a faster one that ties dominates."""
    left = np.lexsort((-top1, ms))
    found = []
    while len(left):
        highest, front = -np.inf, np.zeros(len(left), np.bool_)
        for at, value in enumerate(top1[left]):
            if value > highest + (tie_points if at else 0.0):
                highest, front[at] = value, True
        found.append(left[front])
        left = left[~front]
    return found


def _of_ranks(ms: Floats, top1: Floats, among: Ints, count: int, tie_points: float) -> list[int]:
    """Whole ranks, and of the last the part that dominates the most."""
    chosen: list[int] = []
    for rank in ranks(ms[among], top1[among], tie_points):
        if len(chosen) >= count:
            break
        members = among[rank]
        points = np.stack([ms[members], -top1[members]], axis=1)
        chosen += members[thinned(points, count - len(chosen))].tolist()
    return chosen


def thinned(front: Floats, count: int) -> Ints:
    """Indices of at most `count` points of a front; the one that adds the least goes first.

    The hypervolume ends a tenth of the front's reach beyond its nadir, so that its ends count.

    Args:
        front: shape (n, 2), both minimised, non-dominated, rising in the first.
        count: of points to keep.
    """
    end = front.max(axis=0) + np.maximum(np.ptp(front, axis=0) / 10, 1e-9)
    kept = np.arange(len(front))
    while len(kept) > max(count, 0):
        x, y = front[kept].T
        alone = np.diff(np.append(x, end[0])) * -np.diff(np.insert(y, 0, end[1]))
        kept = np.delete(kept, int(np.argmin(alone)))
    return kept


def _with_pick(
    ms: Floats, top1: Floats, kept: Ints, chosen: list[int], count: int, tie_points: float
) -> list[int]:
    """The chosen with the pick, if need be in place of the last of them."""
    ties = kept[top1[kept] >= top1[kept].max() - tie_points]
    pick = int(ties[np.lexsort((-top1[ties], ms[ties]))[0]])
    if pick in chosen:
        return chosen
    return [pick, *chosen[: count - 1]]
