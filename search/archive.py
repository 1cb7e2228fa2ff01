"""What an island keeps of all that it evaluated: its front, and the edge beyond it.

Two objectives: all that is non-dominated, exactly. Three and more: the same by moocore, thinned to
`MOST_KEPT` points where they lie closest, as fronts of many objectives have no end (SPEA2's
truncation, Zitzler et al. 2001). One objective: a front of one code breeds nothing, so beside the
best code stands the best code with each choice of each gene; no choice dies out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.search.front import covered, non_dominated

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MOST_KEPT = 2_000
"""Points of a front of three and more objectives."""

INFEASIBLE_KEPT = 200
"""Codes that come closest, as long as nothing is feasible; with one objective, of the edge too."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The front of some codes and the edge beyond it, sorted by the first objective.

    Objectives have shape (n, k). The edge: for each step of the front along the first objective,
    the infeasible code that would improve the front there and violates least; the way to a good
    feasible code often leads over such. With one objective: the infeasible codes that are better
    than the best, each with less violation than any better one. While nothing is feasible, the
    codes of least violation, sorted by it. `explored` marks codes whose neighbours were all
    evaluated.
    """

    codes: Codes
    objectives: Floats
    violation: Floats
    explored: Mask

    @classmethod
    def empty(cls, genes: int) -> Archive:
        """An archive of no codes; it takes the number of objectives from its first batch."""
        none = np.empty(0)
        return cls(np.empty((0, genes), np.int64), none.reshape(0, 2), none, none.astype(np.bool_))

    @classmethod
    def merged(cls, parts: Sequence[Archive]) -> Archive:
        """The archive of all the codes of some archives."""
        filled = [part for part in parts if len(part.codes)] or parts[:1]
        codes, objectives, violation, explored = (
            np.concatenate([getattr(part, name) for part in filled]) for name in cls.__slots__
        )
        feasible, beyond = np.flatnonzero(violation == 0), np.flatnonzero(violation)
        if len(feasible) and objectives.shape[1] == 1:
            elite = feasible[_best_by_choice(codes[feasible], objectives[feasible, 0])]
            edge = beyond[_edge_of_one(objectives[elite], objectives[beyond], violation[beyond])]
            kept = np.concatenate([elite, edge])
            kept = kept[np.argsort(objectives[kept, 0], kind="stable")]
        elif len(feasible):
            front = feasible[non_dominated(objectives[feasible])]
            edge = beyond[_edge(objectives[front], objectives[beyond], violation[beyond])]
            if objectives.shape[1] > 2:
                front = front[thinned(objectives[front], MOST_KEPT)]
            kept = np.concatenate([front, edge])
            kept = kept[np.argsort(objectives[kept, 0], kind="stable")]
        else:
            kept = np.argsort(violation, kind="stable")[:INFEASIBLE_KEPT]
        return cls(codes[kept], objectives[kept], violation[kept], explored[kept])

    def with_batch(self, codes: Codes, objectives: Floats, violation: Floats) -> Archive:
        """The archive after codes (n, genes) were evaluated.

        Raises:
            ValueError: another number of objectives than before.
        """
        width = objectives.shape[1]
        if len(self.codes) and width != self.objectives.shape[1]:
            raise ValueError(
                f"evaluate: gave {self.objectives.shape[1]} objectives before, now {width}"
            )
        if width == 2:  # most is covered, and to see that is quick
            new = ~covered(self.objectives[self.feasible], objectives)
            codes, objectives, violation = codes[new], objectives[new], violation[new]
        fresh = Archive(codes, objectives, violation, np.zeros(len(codes), dtype=np.bool_))
        return Archive.merged([self, fresh]) if len(codes) else self

    @property
    def feasible(self) -> Mask:
        """Mask of the feasible codes."""
        mask: Mask = self.violation == 0
        return mask

    @property
    def front(self) -> Ints:
        """Indices of the feasible codes that no other dominates, sorted by the first objective."""
        feasible = np.flatnonzero(self.feasible)
        front: Ints = feasible[non_dominated(self.objectives[feasible])]
        return front


def _edge(front: Floats, objectives: Floats, violation: Floats) -> Ints:
    """Indices of the infeasible codes to keep beside a front."""
    useful = np.flatnonzero(~(covered(front, objectives) | np.isnan(objectives).any(axis=1)))
    step = np.searchsorted(front[:, 0], objectives[useful, 0])
    order = np.lexsort((violation[useful], step))
    first = np.unique(step[order], return_index=True)[1]
    edge: Ints = useful[order[first]]
    return edge


def _best_by_choice(codes: Codes, objective: Floats) -> Ints:
    """Indices of the best code with each choice of each gene, the best of all among them."""
    order = np.argsort(objective, kind="stable")
    places = [np.unique(column, return_index=True)[1] for column in codes[order].T]
    best: Ints = order[np.unique(np.concatenate(places))]
    return best


def _edge_of_one(elite: Floats, objectives: Floats, violation: Floats) -> Ints:
    """Indices of the infeasible codes to keep beside the best code, least violation first."""
    useful = np.flatnonzero(objectives[:, 0] < elite.min())
    trade = np.stack([violation[useful], objectives[useful, 0]], axis=1)
    edge: Ints = useful[non_dominated(trade)[:INFEASIBLE_KEPT]]
    return edge


def thinned(objectives: Floats, most: int) -> Ints:
    """Indices of at most `most` points of a front, in their order.

    In rounds, of the points that lie closest to another one goes, where objectives count as shares
    of their range. The best of each objective stays.

    Args:
        objectives: distinct points, shape (n, k).
        most: k or more.
    """
    kept = np.arange(len(objectives))
    if len(kept) <= most:
        return kept
    from scipy.spatial import KDTree

    reach = np.ptp(objectives, axis=0)
    scaled = objectives / np.where(reach > 0, reach, 1.0)
    ends = set(np.argmin(objectives, axis=0).tolist())
    while len(kept) > most:
        both = KDTree(scaled[kept]).query(scaled[kept], k=2)  # itself, and its nearest
        distance, near = (np.asarray(found)[:, 1] for found in both)
        gone = set[int]()
        for place in np.argsort(distance, kind="stable").tolist():
            if len(kept) - len(gone) == most:
                break
            if int(near[place]) not in gone and int(kept[place]) not in ends:
                gone.add(place)
        kept = np.delete(kept, list(gone))
    return kept
