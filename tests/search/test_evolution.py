"""The evolutionary search: against brute force, by its invariants, and stopped and resumed."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from palmette.search.evolution import (
    Evaluation,
    Front,
    Settings,
    State,
    evolve,
    generations,
    groups_of,
)
from palmette.search.front import non_dominated
from palmette.search.moves import Moves

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass
class Additive:
    """Two objectives and a violation, each a sum of one random number per gene and choice.

    Every pair of neighbouring genes adds one of its own, so that genes cannot be chosen apart.
    Keeps every batch that it evaluated.
    """

    counts: tuple[int, ...]
    seed: int
    limit: float = np.inf
    batches: list[Codes] = field(default_factory=list)

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        return np.array(self.counts, dtype=np.int64)

    def evaluate(self, codes: Codes) -> Evaluation:
        self.batches.append(codes)
        return self.true(codes)

    def true(self, codes: Codes) -> Evaluation:
        rng = np.random.default_rng(self.seed)
        sums = np.zeros((len(codes), 3))
        for gene, count in enumerate(self.counts):
            sums += rng.random((count, 3))[codes[:, gene]]
            if gene:
                table = 0.3 * rng.random((self.counts[gene - 1], count, 3))
                sums += table[codes[:, gene - 1], codes[:, gene]]
        return Evaluation(sums[:, :2], np.maximum(sums[:, 2] - self.limit, 0))

    def everything(self) -> Codes:
        return np.array(list(itertools.product(*map(range, self.counts))), dtype=np.int64)


def best_of(problem: Additive, codes: Codes) -> Floats:
    """Non-dominated objectives of the feasible among codes, by brute force."""
    found = problem.true(codes)
    objectives = found.objectives[found.violation == 0]
    return objectives[non_dominated(objectives)]


def same(one: Front, two: Front) -> bool:
    return np.array_equal(one.codes, two.codes) and np.array_equal(one.objectives, two.objectives)


problems = st.builds(
    Additive,
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple),
    seed=st.integers(0, 1000),
    limit=st.sampled_from([np.inf, 2.0, 1.0]),
)
MEDIUM = (4, 3, 5, 2, 4, 3, 4, 5, 3, 4)  # 345,600 codes
LARGE = (4,) * 20


@given(problems, st.integers(1, 400))
@settings(max_examples=60)
def test_the_front_is_what_is_best_of_all_that_was_evaluated(
    problem: Additive, budget: int
) -> None:
    front = evolve(problem, evaluations=budget, seed=1, settings=Settings(batch=16, islands=3))
    seen = np.concatenate(problem.batches)
    assert np.array_equal(front.objectives, best_of(problem, seen))
    assert np.array_equal(front.objectives, problem.true(front.codes).objectives)


@given(problems, st.integers(1, 400))
@settings(max_examples=60)
def test_codes_are_valid_feasible_and_as_many_as_the_budget(problem: Additive, budget: int) -> None:
    front = evolve(problem, evaluations=budget, seed=2, settings=Settings(batch=16, islands=2))
    seen = np.concatenate(problem.batches)
    assert len(seen) == min(budget, int(np.prod(problem.counts)))
    assert np.all((seen >= 0) & (seen < problem.cardinalities))
    assert np.all(problem.true(front.codes).violation == 0)


@given(problems)
@settings(max_examples=60)
def test_a_space_within_the_budget_is_evaluated_once_and_its_front_exact(problem: Additive) -> None:
    everything = problem.everything()
    front = evolve(problem, evaluations=5**6, seed=0)
    seen = np.concatenate(problem.batches)
    assert len(seen) == len(np.unique(seen, axis=0)) == len(everything)
    assert np.array_equal(front.objectives, best_of(problem, everything))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limit", [np.inf, 5.0])
def test_the_exact_front_of_a_space_is_found_with_a_tenth_of_its_codes(
    seed: int, limit: float
) -> None:
    problem = Additive(MEDIUM, seed, limit)
    front = evolve(problem, evaluations=34_000, seed=seed)
    exact = best_of(problem, problem.everything())
    assert len(exact) > 5
    assert np.array_equal(front.objectives, exact)


def test_no_neighbour_of_the_front_is_better_than_the_front() -> None:
    problem = Additive(LARGE, 0)
    front = evolve(problem, evaluations=60_000, seed=0)
    neighbours = np.repeat(front.codes, 20 * 3, axis=0).reshape(len(front), 20, 3, 20)
    gene = np.arange(20)
    neighbours[:, gene, :, gene] += np.arange(1, 4)  # the other three choices
    both = np.concatenate([front.codes, (neighbours % 4).reshape(-1, 20)])
    assert len(front) > 50
    assert np.allclose(best_of(problem, both), front.objectives)


def test_the_same_seed_repeats_every_evaluation_and_another_does_not() -> None:
    runs = [Additive(LARGE, 3) for _ in range(3)]
    fronts = [
        evolve(problem, evaluations=5_000, seed=seed)
        for problem, seed in zip(runs, (7, 7, 8), strict=True)
    ]
    assert same(fronts[0], fronts[1])
    first, second, third = (np.concatenate(problem.batches) for problem in runs)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


@pytest.mark.parametrize("stop", [1, 20, 45])
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(stop: int) -> None:
    options = {"evaluations": 5_000, "seed": 5, "settings": Settings(batch=100, islands=4)}
    problem = Additive(LARGE, 4)
    states = list(generations(problem, **options))  # type: ignore[arg-type]
    assert len(states) > 45
    resumed = evolve(problem, start=states[stop], **options)  # type: ignore[arg-type]
    assert same(resumed, states[-1].front())


def test_an_interrupt_loses_one_generation_and_spoils_no_state() -> None:
    class Interrupted(Additive):
        def evaluate(self, codes: Codes) -> Evaluation:
            if len(self.batches) == 10:
                self.batches.append(codes)
                raise KeyboardInterrupt
            return super().evaluate(codes)

    options = {"evaluations": 3_000, "seed": 5}
    problem = Interrupted(LARGE, 4)
    states: list[State] = []
    with pytest.raises(KeyboardInterrupt):
        states.extend(generations(problem, **options))  # type: ignore[arg-type]
    assert states[-1].generation == 10
    resumed = evolve(problem, start=states[-1], **options)  # type: ignore[arg-type]
    assert same(resumed, evolve(Additive(LARGE, 4), **options))  # type: ignore[arg-type]


def test_states_are_not_changed_by_what_follows() -> None:
    kept = []
    for state in generations(Additive(LARGE, 1), evaluations=4_000, seed=0):
        kept.append((state, [a.codes.copy() for a in state.islands], state.objectives()))
    for state, codes, objectives in kept:
        assert all(np.array_equal(a.codes, c) for a, c in zip(state.islands, codes, strict=True))
        assert np.array_equal(state.objectives(), objectives)


def test_every_generation_is_reported_with_its_front() -> None:
    reports: list[tuple[int, int, Floats]] = []
    front = evolve(
        Additive(LARGE, 0, limit=11.0),
        evaluations=3_000,
        seed=0,
        settings=Settings(islands=3),
        on_generation=lambda *report: reports.append(report),
    )
    numbers, evaluations, objectives = zip(*reports, strict=True)
    assert list(numbers) == list(range(1, len(reports) + 1))
    assert all(b > a for a, b in itertools.pairwise(evaluations))
    assert evaluations[-1] == 3_000
    assert np.array_equal(objectives[-1], front.objectives)


def test_islands_are_merged_into_one() -> None:
    states = list(
        generations(Additive(LARGE, 0), evaluations=4_000, seed=0, settings=Settings(islands=5))
    )
    counts = [len(state.islands) for state in states]
    assert counts[0] == 5 and counts[-1] == 1
    merged = counts.index(1)
    assert counts == [5] * merged + [1] * (len(counts) - merged)
    assert states[merged - 1].evaluations >= 0.7 * 4_000 > states[merged - 2].evaluations


def test_feasible_codes_are_found_where_chance_finds_none() -> None:
    problem = Additive(LARGE, 0, limit=5.6)
    rng = np.random.default_rng(0)
    chance = problem.true(rng.integers(0, 4, size=(20_000, 20)))
    assert not np.any(chance.violation == 0)
    front = evolve(problem, evaluations=20_000, seed=0)
    assert len(front) > 0
    assert np.all(problem.true(front.codes).violation == 0)


def test_nothing_feasible_gives_an_empty_front() -> None:
    front = evolve(Additive(LARGE, 0, limit=-1.0), evaluations=1_000, seed=0)
    assert len(front) == 0
    assert front.codes.shape == (0, 20) and front.objectives.shape == (0, 2)


def test_children_without_mutation_take_whole_groups_from_a_mate() -> None:
    moves = Moves.of(np.full(6, 2), [0, 0, 1, 1, 2, 2])
    parents = np.array([[0] * 6, [1] * 6])
    children = moves.children(parents, 4_000, np.random.default_rng(0)).reshape(-1, 3, 2)
    changed = (children[:, :, 0] != children[:, :, 1]).sum(axis=1)
    whole = children[changed == 0, :, 0]
    # crossed children that no mutation changed: every mixture of the two parents' groups
    assert {tuple(row) for row in whole} == set(itertools.product((0, 1), repeat=3))
    assert (changed == 0).mean() > 0.25
    assert changed.max() <= 3


def test_mutations_change_genes_by_at_most_three_and_all_choices_occur() -> None:
    moves = Moves.of(np.array([1, 2, 7, 3, 1]), None)
    parent = np.array([[0, 1, 3, 0, 0]])
    children = moves.children(parent, 5_000, np.random.default_rng(1))
    differing = (children != parent).sum(axis=1)
    assert set(differing) == {0, 1, 2, 3}
    assert [len(np.unique(column)) for column in children.T] == [1, 2, 7, 3, 1]


def test_groups_follow_the_text_before_the_dot() -> None:
    names = ["network.se", "stem.channels", "stage1.kernel", "stage1.depth", "stem.act"]
    assert groups_of(names) == [0, 1, 2, 2, 1]


@pytest.mark.parametrize(
    ("evaluations", "batch", "islands"),
    [(1, 100, 1), (50_000, 250, 1), (200_000, 1_000, 2), (1_000_000, 4_000, 12)],
)
def test_batch_and_islands_grow_with_the_budget(evaluations: int, batch: int, islands: int) -> None:
    assert Settings().fill(evaluations) == (batch, islands)
    assert Settings(batch=7, islands=3).fill(evaluations) == (7, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"islands": -1},
        {"merge_at": 0.95},
        {"polish_at": 1.1},
        {"merge_at": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="settings"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_a_budget_of_nothing_and_wrong_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="evaluations must be positive"):
        evolve(Additive(LARGE, 0), evaluations=0, seed=0)
    with pytest.raises(ValueError, match="one number per gene"):
        evolve(Additive(LARGE, 0), evaluations=10, seed=0, groups=[0, 1])
    with pytest.raises(ValueError, match="cardinalities"):
        evolve(Additive((3, 0), 0), evaluations=10, seed=0)


@pytest.mark.parametrize(
    ("objectives", "violation", "message"),
    [
        (np.zeros((3, 2)), np.zeros(3), "needs objectives"),
        (np.zeros((100, 2)), np.zeros((100, 1)), "needs objectives"),
        (np.zeros((100, 2)), np.full(100, -1.0), "must be 0 or positive"),
        (np.zeros((100, 2)), np.full(100, np.nan), "must be 0 or positive"),
        (np.full((100, 2), np.nan), np.zeros(100), "is NaN"),
    ],
)
def test_broken_evaluations_are_refused(
    objectives: Floats, violation: Floats, message: str
) -> None:
    class Broken(Additive):
        def evaluate(self, codes: Codes) -> Evaluation:
            return Evaluation(objectives, violation)

    with pytest.raises(ValueError, match=message):
        evolve(Broken(LARGE, 0), evaluations=100, seed=0)


def test_infeasible_codes_may_be_of_unknown_worth() -> None:
    class Partial(Additive):
        def true(self, codes: Codes) -> Evaluation:
            found = super().true(codes)
            found.objectives[found.violation > 0] = np.nan
            return found

    problem = Partial(LARGE, 0, limit=9.0)
    front = evolve(problem, evaluations=3_000, seed=0)
    assert len(front) > 0
    assert np.array_equal(front.objectives, best_of(problem, np.concatenate(problem.batches)))
