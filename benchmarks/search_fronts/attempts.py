"""Searches for a front, ours and the peers': what each found, and how much of the exact one it is.

Ours gets a number of evaluations; the peers get the times that it took, and stand with what they
had found by each. Seconds are those of the processor: each search is one thread, so on a machine
with nothing else to do they are wall time, and what a neighbour does favours none. Every feasible
network that a peer evaluated counts, not just its last population.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.search.evolution import Evaluation, evolve, groups_of
from palmette.search.front import covered, hypervolume_share, non_dominated
from palmette.space import SearchSpace
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PYMOO_POPULATIONS = (100, 200)
OPTUNA_POPULATION = 50


class Searched(Protocol):
    """What is searched: two objectives over the codes of a space."""

    @property
    def space(self) -> SearchSpace:
        """Whose codes are searched."""

    @property
    def cardinalities(self) -> Ints:
        """Number of choices of each gene."""

    def evaluate(self, codes: Codes) -> Evaluation:
        """Objectives and violation of codes (n, genes)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one search found: objectives (n, 2), how many evaluations it made, and its seconds."""

    objectives: Floats
    evaluations: int
    seconds: float


@dataclass(slots=True)
class _Record:
    """What a peer found as time goes by; an attempt for each of some rising times."""

    seconds: Sequence[float]
    start: float = field(default_factory=time.process_time)
    found: list[Floats] = field(default_factory=list)
    evaluations: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    def add(self, evaluation: Evaluation) -> None:
        self.found.append(evaluation.objectives[evaluation.violation == 0])
        self.evaluations += len(evaluation.violation)

    def goes_on(self) -> bool:
        """Whether time is left; notes an attempt for every time that has passed."""
        passed = time.process_time() - self.start
        while len(self.attempts) < len(self.seconds):
            if passed < self.seconds[len(self.attempts)]:
                return True
            together = np.concatenate(self.found)
            self.found = [together[non_dominated(together)]]
            self.attempts.append(Attempt(self.found[0], self.evaluations, passed))
        return False


def ours(problem: Searched, evaluations: int, seed: int) -> Attempt:
    """Our search with a number of evaluations."""
    groups = groups_of([gene.name for gene in problem.space.genes])
    start = time.process_time()
    front = evolve(problem, evaluations=evaluations, seed=seed, groups=groups)
    return Attempt(front.objectives, evaluations, time.process_time() - start)


def pymoo_nsga2(
    problem: Searched, seconds: Sequence[float], seed: int, population: int
) -> list[Attempt]:
    """pymoo's vectorised NSGA-II, by each of some rising times.

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
    limited = _limited(problem)

    class Posed(Problem):
        def __init__(self) -> None:
            genes, high = len(cardinalities), cardinalities - 1
            limits = {"n_ieq_constr": 1} if limited else {}
            super().__init__(n_var=genes, n_obj=2, xl=0, xu=high, vtype=int, **limits)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            evaluation = problem.evaluate(x.astype(np.int64))
            out["F"] = evaluation.objectives
            if limited:
                out["G"] = evaluation.violation[:, None]
            record.add(evaluation)

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
    algorithm.setup(Posed(), seed=seed, termination=("n_gen", sys.maxsize))
    record = _Record(seconds)
    algorithm.next()
    while record.goes_on():
        algorithm.next()
    return record.attempts


def optuna_nsga2(problem: Searched, seconds: Sequence[float], seed: int) -> list[Attempt]:
    """Optuna's NSGA-II by ask and tell, storage in memory, by each of some rising times."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.NSGAIISampler(population_size=OPTUNA_POPULATION, seed=seed)
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    genes: dict[str, BaseDistribution] = {
        str(gene): CategoricalDistribution(range(int(count)))
        for gene, count in enumerate(problem.cardinalities)
    }
    limited, record = _limited(problem), _Record(seconds)
    while not record.found or record.goes_on():
        trial = study.ask(genes)
        code = np.array([[trial.params[name] for name in genes]], dtype=np.int64)
        evaluation = problem.evaluate(code)
        record.add(evaluation)
        if limited:
            trial.set_constraint("limits", float(evaluation.violation[0]))
        study.tell(trial, evaluation.objectives[0].tolist())
    return record.attempts


def _limited(problem: Searched) -> bool:
    """Whether a thousand random networks break any limit."""
    codes = problem.space.sample(1000, np.random.default_rng(0))
    return bool(problem.evaluate(codes).violation.any())


def share_of_exact(attempt: Attempt, exact: Floats) -> float:
    """Hypervolume of an attempt over that of the exact front.

    Raises:
        RuntimeError: a network that is better than the exact front, which is then not exact.
    """
    # sums in another order differ in their last digits
    if not covered(exact - 1e-9, attempt.objectives).all():
        raise RuntimeError("a search found a network beyond the exact front")
    return hypervolume_share(attempt.objectives, exact)
