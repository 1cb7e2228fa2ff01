"""What is known of networks before one is measured: milliseconds, limits, what a prior expects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.search.problem import SearchProblem
from palmette.space import SearchSpace
from palmette.space.search_space import Codes
from palmette.train import PriorBatch

Floats = NDArray[np.float64]
Costs = Callable[[Codes], tuple[Floats, Floats]]
"""From codes (n, genes) to ms (n,) and violation of the limits (n,), 0 where they are kept."""
Prior = Callable[[Codes], PriorBatch]


@dataclass(frozen=True, slots=True)
class Known:
    """Codes are codes of `space`. All functions are vectorised and cheap."""

    space: SearchSpace
    costs: Costs
    prior: Prior | None = None
    """Top-1 that is expected, of any level and slope; None where no prior can judge the space."""

    @classmethod
    def of(cls, problem: SearchProblem) -> Known:
        """What a problem's predictors know."""
        return cls(problem.space, problem.costs, problem.expected)

    def feasible(self, codes: Codes) -> NDArray[np.bool_]:
        """Mask of the codes (n, genes) that keep all limits."""
        kept: NDArray[np.bool_] = self.costs(codes)[1] <= 0
        return kept

    def params(self, code: Codes) -> dict[str, Any]:
        """Parameters of a trial: gene name to choice."""
        genes = self.space.genes
        return {gene.name: gene.choices[int(i)] for gene, i in zip(genes, code, strict=True)}

    def code(self, params: dict[str, Any]) -> Codes | None:
        """Code (genes,) of a trial's parameters; None where one is missing or no choice."""
        try:
            found = [gene.choices.index(params[gene.name]) for gene in self.space.genes]
        except (KeyError, ValueError):
            return None
        return np.array(found, dtype=np.int64)

    def nearest(self, code: Codes, taken: set[bytes]) -> Codes:
        """A code that keeps all limits and is not taken, by descent from one.

        Each step goes to the neighbour that breaks the limits least; once they are kept, or where
        no step is better, to the fastest neighbour that is not taken. At worst the code itself.
        """
        here = code
        for _ in range(4 * len(self.space.genes)):
            around = np.concatenate([here[None], self.space.neighbours(here)])
            ms, violation = self.costs(around)
            free = np.array([key_of(row) not in taken for row in around])
            good = np.flatnonzero(free & (violation <= 0))
            if len(good):
                found: Codes = around[good[np.argmin(ms[good])]]
                return found
            best = int(np.lexsort((ms, violation))[0])
            if best == 0:
                return code
            here = around[best]
        return code


def key_of(code: Codes) -> bytes:
    """A code as a key of sets."""
    return np.ascontiguousarray(code, dtype=np.int64).tobytes()
