"""How much of the exact Pareto front our search finds, beside pymoo's and Optuna's NSGA-II.

The exact front of a space of 10^15 networks is known where both objectives are sums over stages.
Milliseconds are: the target's own compiled cost table (where a predictor blends several forms, the
mean of their sums; its constant moves all networks alike and is left out). Accuracy is not, so this
benchmark takes a made score that is: every stage saturates in random diminishing steps along the
ordered choices of its genes, and resolution, activation and squeeze-and-excitation count in every
stage. The real prior is not additive; what is measured is the search, not the prior.

The score counts in thousandths of a point, so dynamic programming over the stages is exact: per
combination of the choices that all stages share, the least milliseconds for each width and score.
All fronts are compared by hypervolume in the box of the exact front's ideal and nadir, as a share
of its hypervolume. Our search gets the evaluations of the demo; the others, the wall time that it
took with the same seed. Every network that they evaluate counts, not just their last population;
pymoo runs with two sizes of population, and the better one counts. The last row gives our search no
more evaluations than the better pymoo made: what it gains, it gains by speed. A network beyond the
exact front would be an error and ends the benchmark.

    python benchmarks/search_quality.py [--target T] [--evaluations N] [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency import find_target, load_predictor
from palmette.search.config import EVALUATIONS
from palmette.search.evolution import Evaluation, evolve, groups_of
from palmette.search.front import covered, hypervolume_share, non_dominated
from palmette.space import CompiledSpace, InputError, OpTable, SearchSpace, compile_space
from palmette.space.compiled import Slot, SpaceTable
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPACE = "mobilenet_v2"
TARGET = "iphone-13/ane"
SEEDS = (0, 1, 2)
SCORE_SEED = 0
GRID = 1000  # scores are whole thousandths of a point
PYMOO_POPULATIONS = (100, 200)
OPTUNA_POPULATION = 50
RESULTS = Path(__file__).resolve().parents[1] / "results" / "search_quality.json"


@dataclass(frozen=True, slots=True)
class AdditiveProblem:
    """Milliseconds and score as sums over the slots of a space; the `Problem` of all searches.

    `table` has two channels: ms, and minus the score in thousandths of a point.
    """

    compiled: CompiledSpace
    table: SpaceTable

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


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one search found: objectives (n, 2), how many evaluations it made, and its seconds."""

    objectives: Floats
    evaluations: int
    seconds: float


def ours(problem: AdditiveProblem, evaluations: int, seed: int) -> Attempt:
    """Our search with a number of evaluations."""
    groups = groups_of([gene.name for gene in problem.compiled.space.genes])
    start = time.perf_counter()
    front = evolve(problem, evaluations=evaluations, seed=seed, groups=groups)
    return Attempt(front.objectives, evaluations, time.perf_counter() - start)


def pymoo_nsga2(problem: AdditiveProblem, seconds: float, seed: int, population: int) -> Attempt:
    """pymoo's vectorised NSGA-II for a wall time.

    Uniform crossover, and one random new choice per child on average; duplicates stay. Of what was
    tried this did best, pymoo's own operators for integers (simulated binary crossover, polynomial
    mutation, rounded) included.
    """
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.sampling.rnd import IntegerRandomSampling

    cardinalities = problem.cardinalities
    found: list[Floats] = []

    class Additive(Problem):
        def __init__(self) -> None:
            genes, high = len(cardinalities), cardinalities - 1
            super().__init__(n_var=genes, n_obj=2, xl=0, xu=high, vtype=int)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = problem.evaluate(x.astype(np.int64)).objectives
            found.append(out["F"])

    class NewChoice(Mutation):
        def _do(self, problem: Any, x: Any, *_: Any, random_state: Any, **__: Any) -> Any:
            chosen = random_state.random(x.shape) < 1 / x.shape[1]
            return np.where(chosen, random_state.integers(0, cardinalities, size=x.shape), x)

    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(),
        mutation=NewChoice(),
        eliminate_duplicates=False,
    )
    algorithm.setup(Additive(), seed=seed, termination=("n_gen", sys.maxsize))
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        algorithm.next()
    return Attempt(np.concatenate(found), sum(map(len, found)), time.perf_counter() - start)


def optuna_nsga2(problem: AdditiveProblem, seconds: float, seed: int) -> Attempt:
    """Optuna's NSGA-II for a wall time, by ask and tell, storage in memory."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=OPTUNA_POPULATION, seed=seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    genes: dict[str, BaseDistribution] = {
        str(gene): CategoricalDistribution(range(int(count)))
        for gene, count in enumerate(problem.cardinalities)
    }
    found: list[Floats] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        trial = study.ask(genes)
        code = np.array([[trial.params[name] for name in genes]], dtype=np.int64)
        found.append(problem.evaluate(code).objectives)
        study.tell(trial, found[-1][0].tolist())
    return Attempt(np.concatenate(found), len(found), time.perf_counter() - start)


def share_of_exact(attempt: Attempt, exact: Floats) -> float:
    """Hypervolume of an attempt over that of the exact front.

    Raises:
        RuntimeError: a network that is better than the exact front, which is then not exact.
    """
    # sums in another order differ in their last digits
    if not covered(exact - 1e-9, attempt.objectives).all():
        raise RuntimeError("a search found a network beyond the exact front")
    return hypervolume_share(attempt.objectives, exact)


def measure(
    space: SearchSpace, target: str, evaluations: int, seeds: tuple[int, ...] = SEEDS
) -> dict[str, Any]:
    """All metrics of a space on a target."""
    compiled = compile_space(space)
    score = score_table(compiled, SCORE_SEED)
    problem = additive_problem(compiled, cost_table(target, compiled), score)
    start = time.perf_counter()
    exact = exact_front(problem)
    exact_seconds = time.perf_counter() - start
    searches = _searches(problem, evaluations, seeds)
    rows = {name: _row(attempts, exact) for name, attempts in searches.items()}
    sizes = [f"pymoo_{population}" for population in PYMOO_POPULATIONS]
    best = max(sizes, key=lambda name: rows[name]["mean"])
    few = round(rows[best]["evaluations"])
    rows["ours_as_few"] = _row([ours(problem, few, seed) for seed in seeds], exact)
    return {
        "hypervolume_ratio": rows["ours"]["mean"],
        "hypervolume_ratio_pymoo": rows[best]["mean"],
        "hypervolume_ratio_optuna_nsga2": rows["optuna_nsga2"]["mean"],
        "hypervolume_ratio_as_few_evaluations_as_pymoo": rows["ours_as_few"]["mean"],
        "target": str(find_target(target)),
        "space": space.name,
        "space_size": compiled.space.size,
        "exact_points": len(exact),
        "exact_seconds": exact_seconds,
        "evaluations": evaluations,
        "evaluations_per_second": rows["ours"]["evaluations"] / rows["ours"]["seconds"],
        "searches": rows,
    }


def _searches(
    problem: AdditiveProblem, evaluations: int, seeds: tuple[int, ...]
) -> dict[str, list[Attempt]]:
    """Attempts of every search, one per seed; the others take as long as ours did."""
    searches: dict[str, list[Attempt]] = {}
    for seed in seeds:
        own = ours(problem, evaluations, seed)
        found = {"ours": own, "optuna_nsga2": optuna_nsga2(problem, own.seconds, seed)}
        for population in PYMOO_POPULATIONS:
            name = f"pymoo_{population}"
            found[name] = pymoo_nsga2(problem, own.seconds, seed, population)
        for name, attempt in found.items():
            searches.setdefault(name, []).append(attempt)
    return searches


def _row(attempts: list[Attempt], exact: Floats) -> dict[str, float]:
    shares = [share_of_exact(attempt, exact) for attempt in attempts]
    return {
        "mean": float(np.mean(shares)),
        "lowest": min(shares),
        "highest": max(shares),
        "evaluations": float(np.mean([attempt.evaluations for attempt in attempts])),
        "seconds": float(np.mean([attempt.seconds for attempt in attempts])),
    }


def show(metrics: dict[str, Any]) -> None:
    """Print a table of the searches."""
    print(
        f"{metrics['target']}, space '{metrics['space']}' of {metrics['space_size']:.2g} networks;"
        f" exact front: {metrics['exact_points']} points in {metrics['exact_seconds']:.1f} s"
    )
    print(f"{'hypervolume / exact':<22}{'mean':>9}  {'[lowest - highest]':<22}", end="")
    print(f"{'missing':>9}{'evaluations':>13}{'seconds':>9}")
    for name, row in metrics["searches"].items():
        extent = f"[{row['lowest']:.5f} - {row['highest']:.5f}]"
        print(f"{name:<22}{row['mean']:9.5f}  {extent:<22}", end="")
        print(f"{1 - row['mean']:9.1e}{row['evaluations']:13,.0f}{row['seconds']:9.2f}")


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", default=TARGET, help="whose cost table, such as iphone-13/ane")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS, help="of our search")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        expect(
            arguments.evaluations > 0,
            f"--evaluations: needs 1 or more, got {arguments.evaluations}",
        )
        space = SearchSpace.preset(SPACE)
        metrics = measure(space, arguments.target, arguments.evaluations)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    about = {
        "command": f"python benchmarks/search_quality.py --target {arguments.target}"
        f" --evaluations {arguments.evaluations}",
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "optuna", "pymoo")},
    }
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
