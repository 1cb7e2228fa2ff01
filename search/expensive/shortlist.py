"""Batches of networks to measure: the most expected gain, spread out, the faster of those that tie.

One network is taken after the other, as if its result were what is believed of it (a kriging
believer; Ginsbourger et al. 2010): the means stay, the errors around it shrink, and the front moves
to it, so that the next one is worth measuring beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.search.expensive.belief import Belief
from palmette.search.expensive.gain import Steps
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS

Floats = NDArray[np.float64]

NEAR = 2
"""Genes in which networks of one batch differ at least, as far as there are such."""
_ALIKE = 0.9
"""Share of the most gain from which a faster network of the same accuracy is taken instead."""


@dataclass(frozen=True, slots=True)
class Options:
    """Feasible codes (n, genes) with known ms and what is believed of them; arrays (n,)."""

    codes: Codes
    ms: Floats
    mean: Floats
    sigma: Floats

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def joined(cls, parts: Sequence[Options]) -> Options:
        """All of them."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__slots__))

    def chosen(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Options:
        """Some of them."""
        return Options(self.codes[index], self.ms[index], self.mean[index], self.sigma[index])


Points = tuple[Floats, Floats]
"""ms (n,) and top-1 (n,) of networks that are measured, or as good as."""


def best_of(options: Options, gain: Floats) -> int:
    """Index of the most gain, or of a faster one of about its accuracy and gain."""
    top = int(np.argmax(gain))
    tied = np.abs(options.mean - options.mean[top]) <= TIE_POINTS
    tied &= gain >= _ALIKE * gain[top]
    tied[top] = True
    same = np.flatnonzero(tied)
    return int(same[np.argmin(options.ms[same])])


def batch(
    belief: Belief, options: Options, front: Points, corner: tuple[float, float], count: int
) -> list[int]:
    """Indices of at most `count` options to measure together, in the order of their taking.

    Args:
        belief: over their accuracies.
        options: to choose from; equal codes once.
        front: what is measured, or measured now.
        corner: ms and top-1 of the worst point that counts.
        count: of the batch.
    """
    ms, top1 = front
    variance = options.sigma**2
    shrunk: list[Floats] = []  # columns of the Cholesky root of what is taken
    free = np.ones(len(options), dtype=np.bool_)
    taken: list[int] = []
    while len(taken) < min(count, len(options)):
        gain = Steps.of(ms, top1, corner).gain(options.ms, options.mean, np.sqrt(variance))
        gain = np.where(_allowed(options.codes, free, taken), gain, -1.0)
        at = best_of(options, gain)
        taken.append(at)
        free[at] = False
        ms, top1 = np.append(ms, options.ms[at]), np.append(top1, options.mean[at])
        along = belief.covariance(options.codes, options.codes[at])
        for column in shrunk:
            along = along - column * column[at]
        column = along / np.sqrt(max(variance[at], 0.0) + belief.noise() + 1e-9)
        shrunk.append(column)
        variance = np.maximum(variance - column**2, 0.0)
    return taken


def _allowed(codes: Codes, free: NDArray[np.bool_], taken: list[int]) -> NDArray[np.bool_]:
    """Free options that differ enough from those taken; all free ones if none does."""
    far = free.copy()
    for index in taken:
        far &= (codes != codes[index]).sum(axis=1) >= NEAR
    return far if far.any() else free
