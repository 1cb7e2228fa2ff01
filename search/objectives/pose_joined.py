"""The problem of a search for several targets at once.

What a target's timings can't identify, or its unit refuses, holds for all of them under `worst` and
`weighted`. Under `best` it bars the one unit: a choice stays as long as one target identifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from palmette.export.unit_rules import Era
from palmette.latency import LatencyPredictor
from palmette.search.accuracy import Accuracy, PriorAccuracy
from palmette.search.code_map import CodeMap
from palmette.search.exportable import level_table, without_refused
from palmette.search.limits import Limits
from palmette.search.objectives.goal import Goal, Join, check_join
from palmette.search.objectives.joined import JoinedTimes, TargetTime
from palmette.search.objectives.precision import HALF, value_bytes
from palmette.search.objectives.quantities import CompiledQuantities
from palmette.search.problem import (
    SearchProblem,
    check_possible,
    expect_choice,
    identified,
    tables_of,
)
from palmette.space import CompiledSpace, SearchSpace


def pose_joined(
    space: SearchSpace,
    goals: Sequence[tuple[Goal, LatencyPredictor]],
    join: Join,
    limits: Limits,
    *,
    joint: bool = False,
    recipe: str | None = None,
    accuracy: Callable[[CompiledSpace], Accuracy] | None = None,
    extrapolate: bool = False,
    exportable: bool = False,
    precisions: Sequence[str] = (HALF,),
    compiled: CompiledSpace | None = None,
) -> SearchProblem:
    """The problem of a search whose time is the joined load of several targets.

    Args:
        space: all choices.
        goals: targets with their budgets, each with its predictor.
        join: see `search.objectives.joined`.
        limits: what a network may cost; its budget is a load, 1 or infinite.
        joint: hold all budgets together at the confidence, not each.
        recipe, accuracy, extrapolate, exportable, precisions, compiled: see `problem.pose`.

    Raises:
        InputError: targets that can't be joined so, no choice of a gene is left, or no network of
            the space keeps all limits and budgets.
    """
    check_join([goal for goal, _ in goals], join, joint)
    predictors = [predictor for _, predictor in goals]
    barred, masks = list[str](), [tuple[NDArray[np.bool_], ...]()] * len(goals)
    searched = space
    if not extrapolate and join == "best":
        searched, barred, masks = _identified_by_any(space, predictors)
    elif not extrapolate:
        for predictor in predictors:
            searched, more = identified(searched, predictor)
            barred += more
    compiled = tables_of(space, searched, compiled)
    eras, refused = [Era.of(predictor.model_.target) for predictor in predictors], list[str]()
    if exportable and join != "best":
        for era in eras:
            searched, more = without_refused(compiled, searched, era)
            refused += more
        expect_choice(searched, space.name)
    levels = [level_table(compiled, era) for era in eras]
    times = tuple(
        TargetTime(goal, predictor.compile(compiled), table, mask)
        for (goal, predictor), table, mask in zip(goals, levels, masks, strict=True)
    )
    widest = max(value_bytes(predictor.model_.target) for _, predictor in goals)
    problem = SearchProblem(
        searched,
        CodeMap.between(searched, space),
        times[0].latency,
        PriorAccuracy(compiled, recipe) if accuracy is None else accuracy(compiled),
        CompiledQuantities.of(compiled, precisions, widest),
        limits,
        tuple(barred),
        times[0].levels,
        exportable,
        tuple(refused),
        JoinedTimes(times, join, joint, exportable),
    )
    check_possible(problem)
    return problem


def _identified_by_any(
    space: SearchSpace, predictors: Sequence[LatencyPredictor]
) -> tuple[SearchSpace, list[str], list[tuple[NDArray[np.bool_], ...]]]:
    """Space of the choices that some target identifies, names of the others, masks by target."""
    own = [identified(space, predictor)[0] for predictor in predictors]
    barred, searched = list[str](), space
    for gene in space.genes:
        kept = {c for one in own for c in one.sections[gene.section][gene.key]}
        barred += [f"{gene.name}={choice}" for choice in gene.choices if choice not in kept]
        searched = searched.restrict(gene.name, [c for c in gene.choices if c in kept])
    masks = [
        tuple(
            np.array([c in one.sections[gene.section][gene.key] for c in gene.choices])
            for gene in space.genes
        )
        for one in own
    ]
    return searched, barred, masks
