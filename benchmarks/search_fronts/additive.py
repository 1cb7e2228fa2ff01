"""Two objectives that are sums over a space's slots, and their exact front by dynamic programming.

Milliseconds are such a sum: the target's own compiled cost table (where a predictor blends several
forms, the mean of their sums; its constant moves all networks alike and is left out). Accuracy is
not, so a made score stands for it that is: every stage saturates in random diminishing steps along
the ordered choices of its genes, and what all stages share counts in every stage.

The score counts in thousandths of a point, so the dynamic programming is exact: per combination of
the choices that more than two slots share, the least milliseconds for each width and score. That
holds for any space whose other genes belong to one slot or link two neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from palmette.latency import find_target, load_predictor
from palmette.search.evolution import Evaluation
from palmette.search.front import non_dominated
from palmette.space import CompiledSpace, OpTable, SearchSpace
from palmette.space.compiled import Slot, SpaceTable
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GRID = 1000  # scores are whole thousandths of a point


@dataclass(frozen=True, slots=True)
class AdditiveProblem:
    """Milliseconds and score as sums over the slots of a space; the `Problem` of all searches.

    `table` has two channels: ms, and minus the score in thousandths of a point.
    """

    compiled: CompiledSpace
    table: SpaceTable

    @property
    def space(self) -> SearchSpace:
        """Whose codes these are."""
        return self.compiled.space

    @property
    def cardinalities(self) -> Ints:
        """Number of choices of each gene."""
        return self.compiled.space.cardinalities

    def evaluate(self, codes: Codes) -> Evaluation:
        """Objectives of codes (n, genes); all are feasible."""
        return Evaluation(self.table.sums(codes), np.zeros(len(codes)))


def cost_table(target: str, compiled: CompiledSpace) -> SpaceTable:
    """Milliseconds of a target as one additive channel."""
    model = load_predictor(str(find_target(target))).model_

    def op_ms(ops: OpTable) -> Floats:
        forms = [component.op_ms(ops) for component in model.states[-1].components]
        mean: Floats = np.mean(forms, axis=0)
        return mean[:, None]

    return compiled.cost_table(op_ms)


def score_table(compiled: CompiledSpace, seed: int) -> SpaceTable:
    """A made accuracy score: one channel of whole numbers, in thousandths of a point.

    In every slot, each gene but the width before it adds random steps that get smaller along its
    choices; their sum s scores c (1 - exp(-s / c)) with a random ceiling c.
    """
    rng = np.random.default_rng(seed)
    known: set[int] = set()
    shared = set(Layout.of(compiled).shared)

    def slot_score(slot: Slot) -> Floats:
        total = np.zeros(len(slot))
        for column, weight in zip(slot.columns, slot.radix, strict=True):
            count = int(compiled.space.cardinalities[column])
            steps = np.sort(rng.exponential(1.0, count - 1))[::-1]
            if column in shared or column not in known:  # else the width before this slot
                value = np.concatenate([[0.0], np.cumsum(steps)])
                total += value[np.arange(len(slot)) // weight % count]
        known.update(slot.columns)
        ceiling = max(total.max(), 1.0) * rng.uniform(0.4, 1.2)
        score: Floats = np.round(GRID * ceiling * (1 - np.exp(-total / ceiling)))
        return score[:, None]

    return compiled.table(slot_score)


def additive_problem(
    compiled: CompiledSpace, cost: SpaceTable, score: SpaceTable
) -> AdditiveProblem:
    """The problem of a cost table and a score table."""
    values = np.concatenate([cost.values, -score.values], axis=1)
    return AdditiveProblem(compiled, SpaceTable(values, cost.radix, cost.starts))


@dataclass(frozen=True, slots=True)
class Layout:
    """Genes that more than two slots share, and genes that link a slot to the next.

    Raises:
        ValueError: a gene in two slots that are not neighbours; these are no chain of slots.
    """

    shared: tuple[int, ...]
    links: tuple[int, ...]

    @classmethod
    def of(cls, compiled: CompiledSpace) -> Layout:
        """Layout of a compiled space."""
        places: dict[int, list[int]] = {}
        for index, slot in enumerate(compiled.slots):
            for column in slot.columns:
                places.setdefault(column, []).append(index)
        links = sorted(column for column, where in places.items() if len(where) == 2)
        for column in links:
            if places[column][1] != places[column][0] + 1:
                raise ValueError(f"gene {column} is in slots {places[column]}, not in neighbours")
        shared = sorted(column for column, where in places.items() if len(where) > 2)
        return cls(tuple(shared), tuple(links))


def exact_front(problem: AdditiveProblem) -> Floats:
    """Objectives of the exact front, shape (n, 2), by dynamic programming over the slots.

    State: the width so far and the score so far; value: the least milliseconds.
    """
    layout = Layout.of(problem.compiled)
    cardinalities = problem.compiled.space.cardinalities
    fronts = []
    for choices in product(*(range(int(cardinalities[column])) for column in layout.shared)):
        fixed = dict(zip(layout.shared, choices, strict=True))
        least = np.zeros((1, 1))  # ms by width and score
        for matrix in _slot_matrices(problem, layout.links, fixed):
            least = _step(least, matrix)
        ms = least.min(axis=0)
        scores = np.flatnonzero(np.isfinite(ms))
        objectives = np.stack([ms[scores], -scores.astype(np.float64)], axis=1)
        fronts.append(objectives[non_dominated(objectives)])
    objectives = np.concatenate(fronts)
    return objectives[non_dominated(objectives)]


Matrix = list[list[Floats]]


def _slot_matrices(
    problem: AdditiveProblem, links: tuple[int, ...], fixed: dict[int, int]
) -> Iterator[Matrix]:
    """Entries (n, 2) of each slot by width before and width after, for fixed shared choices.

    Of entries with the same widths only the non-dominated ones can lie on the front.
    """
    starts = problem.table.starts.astype(np.int64)
    previous: tuple[int, ...] = ()
    for start, slot in zip(starts, problem.compiled.slots, strict=True):
        counts = problem.cardinalities[list(slot.columns)]
        values = problem.table.values[start : start + len(slot)].reshape(*counts, 2)
        values = values[tuple(fixed.get(column, slice(None)) for column in slot.columns)]
        free = [column for column in slot.columns if column not in fixed]
        before = [column for column in links if column in free and column in previous]
        after = [column for column in links if column in free and column not in previous]
        own = [column for column in free if column not in links]
        values = values.transpose(*(free.index(c) for c in (*before, *after, *own)), len(free))
        rows, columns = (int(np.prod(problem.cardinalities[c])) for c in (before, after))
        entries = values.reshape(rows, columns, -1, 2)
        previous = slot.columns
        yield [[cell[non_dominated(cell)] for cell in row] for row in entries]


def _step(least: Floats, matrix: Matrix) -> Floats:
    """Least ms by width and score after one more slot."""
    top = max(int(-cell[:, 1].min()) for row in matrix for cell in row)
    length = least.shape[1]
    after = np.full((len(matrix[0]), length + top), np.inf)
    for before, row in enumerate(matrix):
        for width, cell in enumerate(row):
            for ms, negative_score in cell:
                shift = int(-negative_score)
                reached = after[width, shift : shift + length]
                np.minimum(reached, least[before] + ms, out=reached)
    return after
