"""Evolutionary search over integer codes, millions of evaluations in seconds.

Everything happens in batches, so the cost is a few array operations a generation. Each island keeps
an archive, the front of all that it evaluated (`archive.py`), and breeds children from it
(`moves.py`). Islands search apart at first and are merged later: separate searches end in different
local optima, and crossing those repairs what one search alone keeps. At the end comes Pareto local
search (Paquete et al. 2004): every one-gene neighbour of every archived code, to a fixpoint as far
as the budget goes. Within a batch no code comes twice; between batches one may.

Two objectives are the fast case. With one, the front is the best code; with three and more, it is
thinned to `archive.MOST_KEPT` points.

The random numbers of a generation derive from seed and generation alone, and a `State` is never
changed: a search that is stopped anywhere goes on from its last state exactly as if it had not
been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.search.archive import Archive
from palmette.search.front import non_dominated
from palmette.search.moves import Moves

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a batch of codes is worth: `objectives` (n, k), all minimised, and `violation` (n,), 0
    for feasible codes and otherwise how far from it. One objective or more, always as many."""

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
    """Feasible codes (n, genes) and their objectives (n, k), sorted by the first objective."""

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
class State:
    """A search between two generations. Arrays are shared between states: do not write to them."""

    generation: int
    evaluations: int
    islands: tuple[Archive, ...]

    def objectives(self) -> Floats:
        """Objectives (n, k) of the front, sorted by the first; quicker than the whole front."""
        filled = [a for a in self.islands if len(a.codes)] or self.islands[:1]
        objectives = np.concatenate([a.objectives[a.feasible] for a in filled])
        return objectives[non_dominated(objectives)]

    def front(self) -> Front:
        """Feasible non-dominated codes found so far; empty while there are none."""
        merged = Archive.merged(self.islands)
        return Front(merged.codes[merged.front], merged.objectives[merged.front])


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
    """Pareto front of a problem, as far as a number of evaluations finds it; of one objective, the
    best code.

    Args:
        problem: what to search.
        evaluations: budget; the search ends when exactly so many codes were evaluated. If that is
            enough for every code of the space, each is evaluated once and the front is exact, but
            for the thinning.
        seed: of the random numbers; the same arguments give the same front.
        groups: a number for each gene; crossover exchanges genes of one number together. By default
            each gene is a group of its own.
        settings: how to spend the budget.
        start: a state of the same search to go on from.
        on_generation: called after each generation with its number, the evaluations so far and
            the objectives (n, k) of the front so far.

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


def begun(problem: Problem, codes: Codes, evaluations: int) -> State | None:
    """State of a search that knows some codes (n, genes) to begin with; None without any.

    They count as evaluations. Each island gets all of them: it keeps what is on its front.
    """
    if math.prod(np.asarray(problem.cardinalities).tolist()) <= evaluations or not len(codes):
        return None  # every code is looked at anyway
    codes = np.unique(codes, axis=0)
    archive = Archive.empty(codes.shape[1]).with_batch(codes, *_evaluated(problem, codes))
    return State(0, len(codes), (archive,) * Settings().fill(evaluations)[1])


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
    moves: Moves
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
        moves = Moves.of(np.asarray(problem.cardinalities, dtype=np.int64), groups)
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
            codes = self.moves.children(_in_order(archive, rng), self.batch, rng)
        else:
            codes = self.moves.random(self.batch, rng)
        codes = self.moves.distinct(codes)[: self.evaluations - state.evaluations]
        archive = archive.with_batch(codes, *_evaluated(self.problem, codes))
        return State(
            state.generation + 1,
            state.evaluations + len(codes),
            (*islands[:turn], archive, *islands[turn + 1 :]),
        )


def _in_order(archive: Archive, rng: np.random.Generator) -> Codes:
    """Codes of an archive along its front; one of many objectives has an order by each of them."""
    width = archive.objectives.shape[1]
    if width < 3:
        return archive.codes
    by = archive.objectives[:, rng.integers(width)]
    return archive.codes[np.argsort(by, kind="stable")]


def _evaluated(problem: Problem, codes: Codes) -> tuple[Floats, Floats]:
    """Objectives and violation of codes, checked."""
    made = problem.evaluate(codes)
    objectives, violation, count = made.objectives, made.violation, len(codes)
    whole = objectives.ndim == 2 and len(objectives) == count and objectives.shape[1] > 0
    if not whole or violation.shape != (count,):
        raise ValueError(
            f"evaluate: needs objectives ({count}, k) and violation ({count},), got"
            f" {objectives.shape} and {violation.shape}"
        )
    if not bool(np.all(violation >= 0)):
        raise ValueError("evaluate: violation must be 0 or positive, got a negative number or NaN")
    if bool(np.isnan(objectives[violation == 0]).any()):
        raise ValueError("evaluate: an objective of a feasible code is NaN")
    return objectives, violation
