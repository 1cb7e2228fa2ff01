"""The evolutionary search with one objective, two, three and four: against brute force."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from palmette.search.evolution import Evaluation, Settings, evolve, generations
from palmette.search.front import hypervolume_share, non_dominated

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Each objective and the violation is a sum over genes and over pairs of neighbouring ones."""

    counts: tuple[int, ...]
    width: int
    seed: int
    limit: float = np.inf
    whole: bool = False
    """Whole numbers, so that many codes tie."""

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        return np.array(self.counts, dtype=np.int64)

    def evaluate(self, codes: Codes) -> Evaluation:
        rng = np.random.default_rng(self.seed)
        sums = np.zeros((len(codes), self.width + 1))
        for gene, count in enumerate(self.counts):
            before = self.counts[gene - 1] if gene else 1
            table = rng.random((before, count, self.width + 1))
            table = np.round(3 * table) if self.whole else table
            sums += table[codes[:, gene - 1] if gene else 0, codes[:, gene]]
        return Evaluation(sums[:, :-1], np.maximum(sums[:, -1] - self.limit, 0))

    def everything(self) -> Codes:
        return np.array(list(itertools.product(*map(range, self.counts))), dtype=np.int64)

    def exact(self) -> Floats:
        """The front of all codes, by comparing each with each."""
        found = self.evaluate(self.everything())
        points = np.unique(found.objectives[found.violation == 0], axis=0)
        better = [np.all(points <= p, axis=1) & np.any(points < p, axis=1) for p in points]
        return points[[not mask.any() for mask in better]]


problems = st.builds(
    Sums,
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    width=st.integers(1, 4),
    seed=st.integers(0, 1000),
    limit=st.sampled_from([np.inf, 2.0, 1.0]),
    whole=st.booleans(),
)


@given(problems)
@settings(max_examples=80)
def test_a_space_within_the_budget_has_the_exact_front(problem: Sums) -> None:
    front = evolve(problem, evaluations=4**4, seed=0, settings=Settings(batch=16))
    exact = problem.exact()
    assert np.array_equal(np.unique(front.objectives, axis=0), exact)
    assert len(front) == len(exact)
    if len(front):
        assert np.array_equal(problem.evaluate(front.codes).objectives, front.objectives)
        assert np.all(problem.evaluate(front.codes).violation == 0)
        assert np.all(np.diff(front.objectives[:, 0]) >= 0)


@pytest.mark.parametrize("limit", [np.inf, 4.0])
def test_the_best_code_is_found_with_a_tenth_of_all(limit: float) -> None:
    problem = Sums((4, 3, 5, 2, 4, 3, 4, 5), 1, 0, limit)  # 28,800 codes
    front = evolve(problem, evaluations=2_880, seed=0)
    found = problem.evaluate(problem.everything())
    assert front.objectives.tolist() == [[found.objectives[found.violation == 0].min()]]


@pytest.mark.parametrize("limit", [np.inf, 4.0])
def test_nearly_all_of_a_front_of_three_objectives_is_found(limit: float) -> None:
    problem = Sums((4, 3, 5, 2, 4, 3, 4, 5), 3, 0, limit)  # 28,800 codes
    found = problem.evaluate(problem.everything())
    feasible = found.objectives[found.violation == 0]
    exact = feasible[non_dominated(feasible)]
    assert len(exact) > 50
    front = evolve(problem, evaluations=8_000, seed=0)
    assert hypervolume_share(front.objectives, exact) > 0.99


@pytest.mark.parametrize("width", [1, 3])
def test_a_stopped_search_goes_on_as_if_it_had_not_been(width: int) -> None:
    problem = Sums((4,) * 20, width, 0, limit=9.0)
    options = Settings(batch=100, islands=3)
    states = list(generations(problem, evaluations=3_000, seed=5, settings=options))
    resumed = evolve(
        problem, evaluations=3_000, seed=5, settings=options, start=states[len(states) // 2]
    )
    last = states[-1].front()
    assert np.array_equal(resumed.codes, last.codes)
    assert np.array_equal(resumed.objectives, last.objectives)
    assert np.array_equal(states[-1].objectives(), last.objectives)
    assert np.array_equal(non_dominated(last.objectives), np.arange(len(last)))


def test_nothing_feasible_gives_an_empty_front_of_as_many_objectives() -> None:
    front = evolve(Sums((4,) * 10, 3, 0, limit=-1.0), evaluations=500, seed=0)
    assert front.codes.shape == (0, 10) and front.objectives.shape == (0, 3)
