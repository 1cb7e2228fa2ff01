"""What is known of networks before one is measured: milliseconds, limits, what a prior expects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.search.problem import SearchProblem
from palmette.search.trials.params import codes_of, params_of
from palmette.search.trials.task import UsedUp
from palmette.space import SearchSpace
from palmette.space.search_space import Codes
from palmette.train import PriorBatch

Floats = NDArray[np.float64]
Costs = Callable[[Codes], tuple[Floats, Floats]]
"""From codes (n, genes) to ms (n,) and violation of the limits (n,), 0 where they are kept."""
Prior = Callable[[Codes], PriorBatch]

ENUMERATED = 100_000
"""Networks of a space that are all looked at, where no other way finds one."""
_RANDOM, _DESCENTS = 1000, 20


@dataclass(frozen=True, slots=True)
class Known:
    """Codes are codes of `space`. All functions are vectorised and cheap."""

    space: SearchSpace
    costs: Costs
    prior: Prior | None = None
    """Top-1 that is expected, of any level and slope; None where no prior can judge the space."""

    @classmethod
    def of(cls, problem: SearchProblem) -> Known:
        """What a problem's predictors know; where accuracies are free, what these bar, too."""
        if problem.accuracy.evaluator is not None:
            return cls(problem.space, problem.costs, problem.expected)

        def costs(codes: Codes) -> tuple[Floats, Floats]:
            found = problem.evaluate(codes)
            return found.objectives[:, 0], found.violation

        return cls(problem.space, costs, problem.expected)

    def feasible(self, codes: Codes) -> NDArray[np.bool_]:
        """Mask of the codes (n, genes) that keep all limits."""
        kept: NDArray[np.bool_] = self.costs(codes)[1] <= 0
        return kept

    def params(self, code: Codes) -> dict[str, Any]:
        """Parameters of a trial: gene name to choice."""
        return params_of(self.space, code)

    def code(self, params: dict[str, Any]) -> Codes | None:
        """Code (genes,) of a trial's parameters; None where one is missing or no choice."""
        try:
            found: Codes = codes_of(self.space, [params])[0]
        except (KeyError, ValueError):
            return None
        return found

    def nearest(self, code: Codes, taken: set[bytes]) -> Codes:
        """A code that keeps all limits and is not taken, by descent from one, or from elsewhere.

        Raises:
            UsedUp: there is none (in a small space), or none was found.
        """
        found = self._descended(code, taken)
        if found is not None:
            return found
        if self.space.size <= ENUMERATED:
            whole = [np.arange(count) for count in self.space.cardinalities]
            codes = np.stack(np.meshgrid(*whole, indexing="ij"), axis=-1).reshape(-1, len(whole))
            count = int(self.feasible(codes).sum())
            return self._free(codes, code, taken, f"all {count} networks that keep the limits are")
        codes = self._elsewhere(taken)
        words = "a search found no more networks that keep the limits, and those that do are"
        return self._free(codes, code, taken, words)

    def _descended(self, code: Codes, taken: set[bytes]) -> Codes | None:
        """The end of a descent; None where it is none that is feasible and free.

        Each step goes to the neighbour that breaks the limits least; once they are kept, or where
        no step is better, to the fastest neighbour that is not taken.
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
                return None
            here = around[best]
        return None

    def _elsewhere(self, taken: set[bytes]) -> Codes:
        """Random codes, ends of descents from some of them, and neighbours of feasible taken ones.

        Networks that keep a tight limit are neighbours of each other, as a rule.
        """
        random = self.space.sample(_RANDOM, np.random.default_rng(len(taken)))
        ends = [self._descended(code, taken) for code in random[:_DESCENTS]]
        tried = [np.frombuffer(key, dtype=np.int64) for key in sorted(taken)[:_RANDOM]]
        around = [self.space.neighbours(code) for code in tried if self.feasible(code[None])[0]]
        return np.concatenate([random, *(end[None] for end in ends if end is not None), *around])

    def _free(self, codes: Codes, code: Codes, taken: set[bytes], words: str) -> Codes:
        """Of some codes that are feasible and not taken, the nearest to one, and the fastest."""
        ms, violation = self.costs(codes)
        good = np.flatnonzero(violation <= 0)
        good = good[[key_of(codes[index]) not in taken for index in good]]
        if not len(good):
            raise UsedUp(f"{words} measured, or being measured")
        apart = (codes[good] != code).sum(axis=1)
        found: Codes = codes[good[np.lexsort((ms[good], apart))[0]]]
        return found


def key_of(code: Codes) -> bytes:
    """A code as a key of sets."""
    return np.ascontiguousarray(code, dtype=np.int64).tobytes()
