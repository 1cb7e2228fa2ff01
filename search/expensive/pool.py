"""Candidates for the next measurement: fronts that the vectorised search finds over a belief."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.search.evolution import Evaluation, begun, evolve, groups_of
from palmette.search.expensive.belief import Belief
from palmette.search.expensive.known import Known
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS

Floats = NDArray[np.float64]

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
        cls,
        known: Known,
        belief: Belief,
        seed: Sequence[int],
        evaluations: int = EVALUATIONS,
        start: Codes | None = None,
        told: Callable[[int, Floats], None] | None = None,
    ) -> Pool:
        """Search for candidates.

        Args:
            known: of the space.
            belief: over its accuracies.
            seed: of the searches.
            evaluations: of each of them.
            start: codes (n, genes) that they begin with.
            told: called after each generation with the evaluations of all searches so far, and the
                objectives (n, 2) that the one under way has found.
        """
        groups = groups_of([gene.name for gene in known.space.genes])
        word = int(np.random.SeedSequence(seed).generate_state(1)[0])
        fronts = []
        for done, optimism in enumerate(OPTIMISM):

            def report(_: int, count: int, found: Floats, before: int = done * evaluations) -> None:
                if told is not None:
                    told(before + count, found)

            stage = Optimistic(known, belief, optimism)
            fronts.append(
                evolve(
                    stage,
                    evaluations=evaluations,
                    seed=word,
                    groups=groups,
                    start=None if start is None else begun(stage, start, evaluations),
                    on_generation=report,
                )
            )
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
