"""Expected gain of hypervolume where milliseconds are known and accuracy is believed.

Between two steps of a front, what dominates is one accuracy f. A network of known ms and of top-1
N(mu, sigma^2) adds, over every step s from its ms to the corner, E[max(0, top1 - f(s))]: so the
expected gain is a sum over segments of the front of length times the expected improvement over
their level: n + 1 exact terms for a front of n points (Emmerich et al. 2011: the general case).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from palmette.search.front import non_dominated

Floats = NDArray[np.float64]
_ROOT = float(np.sqrt(2 * np.pi))
_CERTAIN = 1e-12
_FAR = 30.0
"""Standard deviations from which an improvement is sure, or none."""
CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Steps:
    """A front as a staircase inside the box that ends at a corner.

    From `edges[k]` to `edges[k + 1]` ms the best accuracy is `levels[k]`; the first level, left of
    the fastest point, and the level of an empty front is that of the corner.
    """

    edges: Floats
    """(n + 2,), from minus infinity to the corner's ms."""
    levels: Floats
    """(n + 1,), increasing."""

    @classmethod
    def of(cls, ms: Floats, top1: Floats, corner: tuple[float, float]) -> Steps:
        """The staircase of points, dominated ones among them.

        Args:
            ms: (n,), less is better.
            top1: (n,), more is better.
            corner: ms and top-1 of the worst point that counts.
        """
        inside = (ms < corner[0]) & (top1 > corner[1])
        points = np.stack([ms[inside], -top1[inside]], axis=1)
        front = points[non_dominated(points)]
        edges = np.concatenate([[-np.inf], front[:, 0], [corner[0]]])
        return cls(edges, np.concatenate([[corner[1]], -front[:, 1]]))

    def gain(self, ms: Floats, mean: Floats, sigma: Floats) -> Floats:
        """Expected gain (n,) in ms times points, of networks of known ms and believed top-1."""
        parts = [
            self._gain(ms[at : at + CHUNK], mean[at : at + CHUNK], sigma[at : at + CHUNK])
            for at in range(0, len(ms), CHUNK)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _gain(self, ms: Floats, mean: Floats, sigma: Floats) -> Floats:
        begin = np.maximum(self.edges[None, :-1], ms[:, None])
        length = np.maximum(self.edges[None, 1:] - begin, 0.0)
        found: Floats = (length * improvement(mean[:, None], sigma[:, None], self.levels)).sum(
            axis=1
        )
        return found


def improvement(mean: Floats, sigma: Floats, level: Floats) -> Floats:
    """E[max(0, X - level)] of X normal; for a sigma of 0 the improvement itself."""
    away = mean - level
    certain = sigma < _CERTAIN
    score = np.clip(away / np.where(certain, 1.0, sigma), -_FAR, _FAR)
    spread = sigma * (score * ndtr(score) + np.exp(-0.5 * score**2) / _ROOT)
    found: Floats = np.where(certain | (score == _FAR), np.maximum(away, 0.0), spread)
    return np.maximum(found, 0.0)
