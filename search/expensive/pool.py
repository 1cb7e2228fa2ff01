"""Candidates for the next measurement: fronts that the vectorised search finds over a belief."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palmette.search.evolution import Evaluation, evolve, groups_of
from palmette.search.expensive.belief import Belief
from palmette.search.expensive.known import Known
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS

OPTIMISM = (0.0, 1.5)
"""Standard deviations of the belief that the searches for candidates add to its mean."""
EVALUATIONS = 3000
"""Of each of these searches."""
_MARGIN, _LEAST_MARGIN = 0.05, 0.01
"""Of the corner beyond the expected front, as shares of its extent, and of its ms at least."""


@dataclass(frozen=True, slots=True)
class Optimistic:
    """Milliseconds against believed accuracy; the `Problem` of the search for candidates."""

    known: Known
    belief: Belief
    optimism: float

    @property
    def cardinalities(self) -> Codes:
        """Choices of each gene (genes,)."""
        return self.known.space.cardinalities

    def evaluate(self, codes: Codes) -> Evaluation:
        """Objectives and violation of codes (n, genes)."""
        ms, violation = self.known.costs(codes)
        if self.optimism:
            mean, sigma = self.belief.predict(codes)
            mean = mean + self.optimism * sigma
        else:
            mean = self.belief.mean(codes)
        return Evaluation(np.stack([ms, -mean], axis=1), violation)


@dataclass(frozen=True, slots=True)
class Pool:
    """Codes from the searches over a belief, and the worst corner of the front it expects."""

    codes: Codes
    corner: tuple[float, float]

    @classmethod
    def of(
        cls, known: Known, belief: Belief, seed: Sequence[int], evaluations: int = EVALUATIONS
    ) -> Pool:
        """Search for candidates."""
        groups = groups_of([gene.name for gene in known.space.genes])
        word = int(np.random.SeedSequence(seed).generate_state(1)[0])
        fronts = [
            evolve(
                Optimistic(known, belief, optimism),
                evaluations=evaluations,
                seed=word,
                groups=groups,
            )
            for optimism in OPTIMISM
        ]
        codes = np.unique(np.concatenate([front.codes for front in fronts]), axis=0)
        expected = fronts[0].objectives
        if not len(codes):  # so tight a budget that a short search finds nothing inside
            codes = known.nearest(known.space.sample(1, np.random.default_rng(word))[0], set())[
                None
            ]
            expected = np.stack([known.costs(codes)[0], -belief.mean(codes)], axis=1)
        (fast, best), (slow, worst) = expected.min(axis=0), expected.max(axis=0)
        ms = slow + max(_MARGIN * (slow - fast), _LEAST_MARGIN * slow)
        top1 = -worst - max(_MARGIN * (worst - best), TIE_POINTS)
        return cls(codes, (float(ms), float(top1)))
