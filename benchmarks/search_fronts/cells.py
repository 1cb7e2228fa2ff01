"""Our search and its peers on several spaces and targets, evaluation by evaluation.

A cell is a space on a target, without the choices that the target's timings cannot identify. Its
exact front comes from dynamic programming (`additive.py`). Ours runs anew for every number of
evaluations, as it spends its budget by its size; a peer runs once, and is looked at when the times
of ours have passed. All run in turn, in one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmette.latency import load_predictor
from palmette.search.problem import identified
from palmette.space import SearchSpace, compile_space
from search_fronts.additive import AdditiveProblem, additive_problem, cost_table, score_table
from search_fronts.attempts import (
    PYMOO_POPULATIONS,
    Floats,
    Searched,
    optuna_nsga2,
    ours,
    pymoo_nsga2,
    share_of_exact,
)

SPACES = ("mobilenet_v2", "mobilenet_v4", "fbnet")
"""Choices shared by all stages and widths that link two; blocks to choose from and widths that many
stages share; nearly every layer by itself, in fixed widths."""

TARGETS = ("iphone-13/ane", "iphone-xs/ane", "iphone-11/cpu", "iphone-x/gpu")
"""Three units, and runtimes of iOS 12, 13 and 16."""

STEPS = (10_000, 100_000, 1_000_000, 3_000_000)
SEEDS = (0, 1, 2)
PEER_SEEDS = (0,)
PEER_STEP = 1_000_000
"""The last step whose time the peers get."""
SCORE_SEED = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One search of one cell: what it found in the time that ours takes for `step` evaluations."""

    space: str
    target: str
    seed: int
    search: str
    step: int
    evaluations: int
    seconds: float
    hypervolume_ratio: float


def cell(space: str, target: str) -> AdditiveProblem:
    """The additive problem of a preset on a target."""
    searched, _ = identified(SearchSpace.preset(space), load_predictor(target))
    compiled = compile_space(searched)
    return additive_problem(
        compiled, cost_table(target, compiled), score_table(compiled, SCORE_SEED)
    )


def rows(
    name: tuple[str, str],
    problem: Searched,
    exact: Floats,
    steps: Sequence[int] = STEPS,
    seeds: Sequence[int] = SEEDS,
) -> Iterator[Row]:
    """All searches of one cell, seed by seed; `name` is its space and target.

    Seeds that the peers do not run with get the last step alone.
    """
    for seed in seeds:
        compared = seed in PEER_SEEDS
        own = [ours(problem, step, seed) for step in (steps if compared else steps[-1:])]
        found = {"ours": own}
        if compared:
            seconds = [a.seconds for a in own if a.evaluations <= max(PEER_STEP, steps[0])]
            seconds = np.maximum.accumulate(seconds).tolist()
            found["optuna_nsga2"] = optuna_nsga2(problem, seconds, seed)
            for size in PYMOO_POPULATIONS:
                found[f"pymoo_{size}"] = pymoo_nsga2(problem, seconds, seed, size)
        for search, attempts in found.items():
            for step, attempt in zip(steps if compared else steps[-1:], attempts, strict=False):
                ratio = share_of_exact(attempt, exact)
                yield Row(*name, seed, search, step, attempt.evaluations, attempt.seconds, ratio)


def worst(found: Sequence[Row]) -> Row:
    """The row of the least hypervolume."""
    return min(found, key=lambda row: row.hypervolume_ratio)


def curve(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Mean and least hypervolume by search and step; of pymoo, the better population of a cell."""
    return [
        {"search": search, "step": step, **_spread([r for r in best if r.step == step])}
        for search in ("ours", "pymoo", "optuna_nsga2")
        for best in [_best_population(found) if search == "pymoo" else _of(found, search)]
        for step in sorted({row.step for row in best})
    ]


def _of(found: Sequence[Row], search: str) -> list[Row]:
    return [row for row in found if row.search == search]


def _best_population(found: Sequence[Row]) -> list[Row]:
    """Rows of pymoo with the population that is better on average, for each cell and step."""
    kept = []
    known = [row for row in found if row.search.startswith("pymoo")]
    for name in dict.fromkeys((row.space, row.target, row.step) for row in known):
        sizes = [
            [r for r in _of(found, f"pymoo_{size}") if (r.space, r.target, r.step) == name]
            for size in PYMOO_POPULATIONS
        ]
        kept += max(sizes, key=lambda group: np.mean([r.hypervolume_ratio for r in group]))
    return kept


def _spread(found: Sequence[Row]) -> dict[str, float]:
    ratios = [row.hypervolume_ratio for row in found]
    return {
        "mean": float(np.mean(ratios)),
        "lowest": min(ratios),
        "evaluations": float(np.mean([row.evaluations for row in found])),
        "seconds": float(np.mean([row.seconds for row in found])),
    }
