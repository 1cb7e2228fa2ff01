"""From what `run.toml` says to the problem that is solved, the same whenever it is posed again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from palmette.latency import LATENCY, LatencyPredictor, load_predictor
from palmette.latency.predictor import expect_target
from palmette.search.accuracy import PRIOR
from palmette.search.config import SearchConfig
from palmette.search.objectives.pose_joined import pose_joined
from palmette.search.objectives.reward import reward_of
from palmette.search.problem import SearchProblem, pose
from palmette.search.run_folder import RunFolder
from palmette.search.source import Source
from palmette.search.start import read_start
from palmette.space import CompiledSpace, SearchSpace
from palmette.space.errors import expect


def reopen(
    folder: RunFolder, compiled: CompiledSpace | None = None
) -> tuple[SearchConfig, SearchProblem]:
    """Config and problem of a run that was begun, the same as then.

    Args:
        folder: of the run.
        compiled: its full space, where another problem compiled that already.

    Raises:
        InputError: no run there, a corrupt one, or its space or predictor is another by now.
    """
    search, about = folder.read_config()
    config = SearchConfig.from_dict(search, str(folder.config))
    problem = problem_of(config, folder, compiled)
    for name, value in identity(problem).items():
        expect(
            about.get(name) == value,
            f"{folder.config}: {name} is {about.get(name)!r}, but what would be searched now has"
            f" {value!r}; resume with the files and version of palmette that it began with",
        )
    return config, problem


def full_space(config: SearchConfig, folder: RunFolder) -> SearchSpace:
    """The space of a run before choices are barred; a user's file from the folder if it has it."""
    if config.space.endswith(".toml"):
        kept, given = folder.space, Path(config.space)
        return replace(SearchSpace.read(kept if kept.is_file() else given), name=given.stem)
    return SearchSpace.preset(config.space)


def problem_of(
    config: SearchConfig, folder: RunFolder, compiled: CompiledSpace | None = None
) -> SearchProblem:
    """The problem of a config; files that it names are read from the run's folder if it has them.

    A folder without them is that of a new run.

    Raises:
        InputError: a file that can't be read, or limits that no network keeps.
    """
    space = full_space(config, folder)
    limits = config.limits
    accuracy = None
    if config.accuracy != PRIOR:
        kept = folder.trainings if config.halving else None
        about = config.accuracy, config.data, space, config.seed, kept, config.epochs
        source = Source(*about, function=folder.function)
        space, accuracy = source.space, source.accuracy
    common: dict[str, Any] = {
        "recipe": config.recipe,
        "accuracy": accuracy,
        "extrapolate": config.extrapolate,
        "exportable": config.exportable,
        "precisions": config.precisions,
        "compiled": compiled,
    }
    if config.goals:
        goals = [(goal, load_predictor(goal.target)) for goal in config.goals]
        problem = pose_joined(space, goals, config.join, limits, joint=config.joint, **common)
    else:
        problem = pose(space, _predictor(config, folder), limits, **common)
    if config.start is not None:
        file = folder.start if folder.start.is_file() else Path(config.start)
        problem = replace(problem, start=read_start(file))
    if config.reward is None:
        return problem
    return replace(problem, reward=reward_of(config.reward), reward_ms=config.budget_ms)


def _predictor(config: SearchConfig, folder: RunFolder) -> LatencyPredictor:
    """The one target's predictor; a user's file from the folder if it has it."""
    if not config.predictor:
        return load_predictor(config.target)
    kept, given = folder.predictor, Path(config.predictor)
    predictor = LatencyPredictor.read(kept if kept.is_file() else given)
    expect_target(predictor, config.target, given)
    _expect_quantity(predictor.quantity_, config.budget, given)
    return predictor


def _expect_quantity(predicted: str, budget: str, where: Path) -> None:
    """Raise InputError unless a predictor predicts what the budget is of."""
    expect(
        predicted == budget,
        f"{where}: predicts {predicted} milliseconds, but the budget is of {budget} ones; give"
        f" --budget {predicted}, or a predictor of `palmette latency fit"
        + (f" --{budget}`" if budget != LATENCY else "`"),
    )


def identity(problem: SearchProblem) -> dict[str, str]:
    """Hashes of what `run.toml` only names; a run must go on with the same.

    Keys `space_id`, `predictor_id`, `accuracy_id` if accuracies are measured, and `start_id` if
    networks were given to begin with.
    """
    predictor = "".join(
        json.dumps(latency.predictor.to_dict(), sort_keys=True) for latency in problem.latencies
    )
    measured = problem.accuracy.id
    return {
        **({"accuracy_id": measured} if measured else {}),
        **({"start_id": problem.start.id} if problem.start.networks else {}),
        "space_id": problem.space.id,
        "predictor_id": hashlib.sha256(predictor.encode()).hexdigest()[:12],
    }
