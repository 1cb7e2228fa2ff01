"""Evolutionary search over integer codes for two objectives, millions of evaluations in seconds.

Everything happens in batches, so the cost is a few array operations a generation. Each island keeps
the archive of its non-dominated codes; children come from parents spread evenly along that front,
cross whole groups of genes with a mate that is near on the front (near points are alike, so what
they differ in can be exchanged), and change up to three genes. Islands search apart at first and
are merged later: separate searches end in different local optima, and crossing those repairs what
one search alone keeps. At the end comes Pareto local search (Paquete et al. 2004): every one-gene
neighbour of every archived code, to a fixpoint as far as the budget goes. Within a batch no code
comes twice; between batches one may.

The random numbers of a generation derive from seed and generation alone, and a `State` is never
changed: a search that is stopped anywhere goes on from its last state exactly as if it had not
been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.search.front import covered, non_dominated

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_NEAR = 0.02  # share of the front, to either side, that counts as near
_FAR = 0.1  # share of mates that come from anywhere: the way across the front
_CROSSED = 0.5  # share of children that have a mate
_MUTATIONS = (0.5, 0.3, 0.2)  # shares of one, two and three changed genes
_INFEASIBLE_KEPT = 200  # as long as nothing is feasible, the codes that come closest


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a batch of codes is worth: `objectives` (n, 2), both minimised, and `violation` (n,), 0
    for feasible codes and otherwise how far from it."""

    objectives: Floats
    violation: Floats


class Problem(Protocol):
    """What `evolve` needs: the number of choices of each gene, and a vectorised evaluation."""

    @property
    def cardinalities(self) -> Ints:
        """Choices of each gene, shape (genes,)."""

    def evaluate(self, codes: Codes) -> Evaluation:
        """Evaluate codes (n, genes)."""


@dataclass(frozen=True, slots=True)
class Front:
    """Feasible codes (n, genes) and their objectives (n, 2), sorted by the first objective."""

    codes: Codes
    objectives: Floats

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to spend the budget. The defaults adapt to it.

    Raises:
        ValueError: a number outside its range.
    """

    batch: int | None = None
    """Evaluations a generation; by default a 200th of the budget, from 100 to 4,000."""
    islands: int | None = None
    """Archives that search apart; by default one per 80,000 evaluations, from 1 to 12."""
    merge_at: float = 0.7
    """Share of the budget after which the islands are merged."""
    polish_at: float = 0.9
    """Share of the budget after which unexplored neighbours come first."""

    def __post_init__(self) -> None:
        if not 0 <= self.merge_at <= self.polish_at <= 1:
            raise ValueError(f"settings: needs 0 <= merge_at <= polish_at <= 1, got {self}")
        if any(count is not None and count < 1 for count in (self.batch, self.islands)):
            raise ValueError(f"settings: batch and islands must be positive, got {self}")

    def fill(self, evaluations: int) -> tuple[int, int]:
        """Batch and islands for a budget."""
        batch = self.batch or min(max(evaluations // 200, 100), 4_000)
        return batch, self.islands or min(max(evaluations // 80_000, 1), 12)


@dataclass(frozen=True, slots=True)
class Archive:
    """The front of some codes and the edge beyond it, sorted by the first objective.

    The edge: for each step of the front, the infeasible code that would improve the front there and
    violates least; the way to a good feasible code often leads over such. While nothing is
    feasible, the codes of least violation, sorted by it. `explored` marks codes whose neighbours
    were all evaluated.
    """

    codes: Codes
    objectives: Floats
    violation: Floats
    explored: Mask

    @classmethod
    def empty(cls, genes: int) -> Archive:
        """An archive of no codes."""
        none = np.empty(0)
        return cls(np.empty((0, genes), np.int64), none.reshape(0, 2), none, none.astype(np.bool_))

    @classmethod
    def merged(cls, parts: Sequence[Archive]) -> Archive:
        """The archive of all the codes of some archives."""
        codes, objectives, violation, explored = (
            np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__
        )
        feasible, beyond = np.flatnonzero(violation == 0), np.flatnonzero(violation)
        if len(feasible):
            front = feasible[non_dominated(objectives[feasible])]
            edge = beyond[_edge(objectives[front], objectives[beyond], violation[beyond])]
            kept = np.concatenate([front, edge])
            kept = kept[np.argsort(objectives[kept, 0], kind="stable")]
        else:
            kept = np.argsort(violation, kind="stable")[:_INFEASIBLE_KEPT]
        return cls(codes[kept], objectives[kept], violation[kept], explored[kept])

    def with_batch(self, codes: Codes, evaluation: Evaluation) -> Archive:
        """The archive after a batch was evaluated."""
        objectives, violation = evaluation.objectives, evaluation.violation
        new = ~covered(self.objectives[self.feasible], objectives)  # most is covered
        codes, objectives, violation = codes[new], objectives[new], violation[new]
        fresh = Archive(codes, objectives, violation, np.zeros(len(codes), dtype=np.bool_))
        return Archive.merged([self, fresh]) if len(codes) else self

    @property
    def feasible(self) -> Mask:
        """Mask of the feasible codes: the front."""
        mask: Mask = self.violation == 0
        return mask


def _edge(front: Floats, objectives: Floats, violation: Floats) -> Ints:
    """Indices of the infeasible codes to keep beside a front."""
    useful = np.flatnonzero(~(covered(front, objectives) | np.isnan(objectives).any(axis=1)))
    step = np.searchsorted(front[:, 0], objectives[useful, 0])
    order = np.lexsort((violation[useful], step))
    first = np.unique(step[order], return_index=True)[1]
    edge: Ints = useful[order[first]]
    return edge


@dataclass(frozen=True, slots=True)
class State:
    """A search between two generations. Arrays are shared between states: do not write to them."""

    generation: int
    evaluations: int
    islands: tuple[Archive, ...]

    def objectives(self) -> Floats:
        """Objectives (n, 2) of `front`, sorted by the first; quicker than the whole front."""
        objectives = np.concatenate([a.objectives[a.feasible] for a in self.islands])
        return objectives[non_dominated(objectives)]

    def front(self) -> Front:
        """Feasible non-dominated codes found so far; empty while there are none."""
        merged = Archive.merged(self.islands)
        return Front(merged.codes[merged.feasible], merged.objectives[merged.feasible])


def evolve(
    problem: Problem,
    *,
    evaluations: int,
    seed: int,
    groups: Sequence[int] | None = None,
    settings: Settings | None = None,
    start: State | None = None,
    on_generation: Callable[[int, int, Floats], None] | None = None,
) -> Front:
    """Pareto front of a problem, as far as a number of evaluations finds it.

    Args:
        problem: what to search.
        evaluations: budget; the search ends when exactly so many codes were evaluated. If that is
            enough for every code of the space, each is evaluated once and the front is exact.
        seed: of the random numbers; the same arguments give the same front.
        groups: a number for each gene; crossover exchanges genes of one number together. By default
            each gene is a group of its own.
        settings: how to spend the budget.
        start: a state of the same search to go on from.
        on_generation: called after each generation with its number, the evaluations so far and
            the objectives (n, 2) of the front so far.

    Raises:
        ValueError: groups or evaluations of a wrong shape; a violation that is negative or NaN, an
            objective of a feasible code that is NaN.
    """
    state = start
    for state in generations(
        problem,
        evaluations=evaluations,
        seed=seed,
        groups=groups,
        settings=settings,
        start=start,
    ):
        if on_generation is not None:
            on_generation(state.generation, state.evaluations, state.objectives())
    if state is None:
        raise ValueError(f"evaluations must be positive, got {evaluations}")
    return state.front()


def generations(
    problem: Problem,
    *,
    evaluations: int,
    seed: int,
    groups: Sequence[int] | None = None,
    settings: Settings | None = None,
    start: State | None = None,
) -> Iterator[State]:
    """The states of `evolve`, one after each generation; the arguments are the same."""
    search = _Search.of(problem, evaluations, seed, groups, settings or Settings())
    state = start or State(0, 0, (Archive.empty(search.moves.genes),) * search.islands)
    while state.evaluations < search.evaluations:
        state = search.step(state)
        yield state


def groups_of(names: Sequence[str]) -> list[int]:
    """Groups for `evolve` from gene names such as `stage3.kernel`: one per text before the dot."""
    sections = [name.partition(".")[0] for name in names]
    order = list(dict.fromkeys(sections))
    return [order.index(section) for section in sections]


@dataclass(frozen=True, slots=True)
class _Search:
    """What stays the same from generation to generation."""

    problem: Problem
    moves: _Moves
    seed: int
    evaluations: int
    settings: Settings
    batch: int
    islands: int
    whole: bool
    """Whether the budget is enough for every code there is."""

    @classmethod
    def of(
        cls,
        problem: Problem,
        evaluations: int,
        seed: int,
        groups: Sequence[int] | None,
        settings: Settings,
    ) -> _Search:
        moves = _Moves.of(np.asarray(problem.cardinalities, dtype=np.int64), groups)
        size = math.prod(moves.cardinalities.tolist())
        batch, islands = settings.fill(evaluations)
        if size <= evaluations:
            return cls(problem, moves, seed, size, settings, batch, 1, True)
        return cls(problem, moves, seed, evaluations, settings, batch, islands, False)

    def step(self, state: State) -> State:
        """The state one generation later."""
        rng = np.random.default_rng((self.seed, state.generation))
        share = state.evaluations / self.evaluations
        islands = state.islands
        if len(islands) > 1 and share >= self.settings.merge_at:
            islands = (Archive.merged(islands),)
        turn = state.generation % len(islands)
        archive = islands[turn]
        if self.whole:
            codes = self.moves.enumerated(state.evaluations, self.batch)
        elif share >= self.settings.polish_at and not archive.explored.all():
            archive, codes = self.moves.neighbours(archive, self.batch, rng)
        elif len(archive.codes):
            codes = self.moves.children(archive.codes, self.batch, rng)
        else:
            codes = self.moves.random(self.batch, rng)
        codes = self.moves.distinct(codes)[: self.evaluations - state.evaluations]
        archive = archive.with_batch(codes, _evaluated(self.problem, codes))
        return State(
            state.generation + 1,
            state.evaluations + len(codes),
            (*islands[:turn], archive, *islands[turn + 1 :]),
        )


@dataclass(frozen=True, slots=True)
class _Moves:
    """Ways from codes to new codes."""

    cardinalities: Ints
    free: Ints
    """Genes with more than one choice."""
    groups: Ints
    group_count: int
    step_gene: Ints
    """Gene and distance of each one-gene step."""
    step_by: Ints
    salt: NDArray[np.uint64]

    @classmethod
    def of(cls, cardinalities: Ints, groups: Sequence[int] | None) -> _Moves:
        genes = len(cardinalities)
        if cardinalities.ndim != 1 or genes == 0 or cardinalities.min() < 1:
            raise ValueError(f"cardinalities must be positive integers, got {cardinalities}")
        labels = np.arange(genes) if groups is None else np.asarray(groups)
        if labels.shape != (genes,):
            raise ValueError(f"groups must have one number per gene ({genes}), got {labels.shape}")
        known, number = np.unique(labels, return_inverse=True)
        steps = [np.arange(1, count) for count in cardinalities]
        odd = np.random.default_rng(0).integers(0, 2**63, genes, dtype=np.uint64) * 2 + 1
        return cls(
            cardinalities,
            np.flatnonzero(cardinalities > 1),
            number.astype(np.int64),
            len(known),
            np.repeat(np.arange(genes), cardinalities - 1),
            np.concatenate(steps),
            odd.astype(np.uint64),
        )

    @property
    def genes(self) -> int:
        """Length of a code."""
        return len(self.cardinalities)

    def random(self, count: int, rng: np.random.Generator) -> Codes:
        """Uniform random codes."""
        return rng.integers(0, self.cardinalities, size=(count, self.genes))

    def enumerated(self, start: int, count: int) -> Codes:
        """The next codes in counting order, last gene fastest."""
        stop = min(start + count, math.prod(self.cardinalities.tolist()))
        digits = np.unravel_index(np.arange(start, stop), self.cardinalities.tolist())
        return np.stack(digits, axis=1).astype(np.int64)

    def distinct(self, codes: Codes) -> Codes:
        """The codes, each once, in an order that only depends on the set."""
        # 64-bit hashes by multiplication: two codes of a batch share one in about 1e-12 of batches
        hashes = codes.astype(np.uint64) @ self.salt
        distinct: Codes = codes[np.unique(hashes, return_index=True)[1]]
        return distinct

    def neighbours(self, archive: Archive, count: int, rng: np.random.Generator) -> Explored:
        """Neighbours of as many unexplored codes as make about `count`, and those marked."""
        unexplored = np.flatnonzero(~archive.explored)
        steps = len(self.step_gene)
        chosen = rng.permutation(unexplored)[: max(1, count // max(1, steps))]
        codes = np.repeat(archive.codes[chosen, None, :], steps, axis=1)
        index = np.arange(steps)
        moved = codes[:, index, self.step_gene] + self.step_by
        codes[:, index, self.step_gene] = moved % self.cardinalities[self.step_gene]
        explored = archive.explored.copy()
        explored[chosen] = True
        return replace(archive, explored=explored), codes.reshape(-1, codes.shape[2])

    def children(self, codes: Codes, count: int, rng: np.random.Generator) -> Codes:
        """Children of codes (n, genes) that lie in the order of the front: (count, genes)."""
        parents, mates = self._pairs(len(codes), count, rng)
        crossed = rng.random(count) < _CROSSED
        # half of the mates give one group on average, half give half of the groups
        rate = np.where(rng.random(count) < 0.5, 1 / self.group_count, 0.5) * crossed
        taken = rng.random((count, self.group_count)) < rate[:, None]
        children = np.where(taken[:, self.groups], codes[mates], codes[parents])
        # half of the crossed children are left at that
        kept = crossed & (rng.random(count) < 0.5)
        changes = np.where(kept, 0, 1 + rng.choice(3, size=count, p=_MUTATIONS))
        for change in range(len(_MUTATIONS) if len(self.free) else 0):
            self._mutate(children, np.flatnonzero(changes > change), rng)
        return children

    def _pairs(self, size: int, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Places of parents and mates on a front of `size` codes."""
        parents = rng.integers(0, size, count)
        reach = max(2, int(_NEAR * size))
        mates = np.clip(parents + rng.integers(-reach, reach + 1, count), 0, size - 1)
        far = rng.random(count) < _FAR
        return parents, np.where(far, rng.integers(0, size, count), mates)

    def _mutate(self, codes: Codes, rows: Ints, rng: np.random.Generator) -> None:
        """Change one random gene in some rows: half to a next choice, half to any other one."""
        genes = self.free[rng.integers(0, len(self.free), len(rows))]
        choices = self.cardinalities[genes]
        old = codes[rows, genes]
        step = np.clip(old + rng.choice((-1, 1), len(rows)), 0, choices - 1)
        other = (old + 1 + rng.integers(0, choices - 1)) % choices
        codes[rows, genes] = np.where(rng.random(len(rows)) < 0.5, step, other)


Explored = tuple[Archive, Codes]


def _evaluated(problem: Problem, codes: Codes) -> Evaluation:
    """Evaluation of codes, checked."""
    made = problem.evaluate(codes)
    count = len(codes)
    if made.objectives.shape != (count, 2) or made.violation.shape != (count,):
        raise ValueError(
            f"evaluate: needs objectives ({count}, 2) and violation ({count},), got"
            f" {made.objectives.shape} and {made.violation.shape}"
        )
    if not bool(np.all(made.violation >= 0)):
        raise ValueError("evaluate: violation must be 0 or positive, got a negative number or NaN")
    if bool(np.isnan(made.objectives[made.violation == 0]).any()):
        raise ValueError("evaluate: an objective of a feasible code is NaN")
    return made
