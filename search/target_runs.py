"""One front for each of several targets, from one command: a folder with a run for each.

The runs are ordinary ones, so that everything that takes a run takes each of them. They are made
one after another over one compiled space. Each begins with what the earlier ones found: networks
of their fronts, and, where accuracies are measured, all that was measured, with the milliseconds of
its own target. So a network is measured once, whatever the number of targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from palmette.search.compute import Compute
from palmette.search.config import LEAST_TRIALS, SearchConfig
from palmette.search.expensive.measured import MeasuredAccuracy
from palmette.search.objectives.goal import Goal, check_goals
from palmette.search.posing import full_space, problem_of
from palmette.search.proposals import Told
from palmette.search.run import Run, absolute, resume, run_config
from palmette.search.run_folder import RunFolder
from palmette.search.start import Start, known_of
from palmette.space import Architecture, CompiledSpace, InputError, compile_space
from palmette.space.errors import expect
from palmette.space.files import write_bytes, write_text
from palmette.space.lock import held
from palmette.space.run_file import read_run_file, write_run_file

FORMAT = "palmette/target-runs@1"
LEAST_OWN = 0.25
"""Share of a target's trials that are its own, however much is known from others: their budgets led
elsewhere."""
_OWN = ("target", "budget_ms", "start")
"""Fields of a config that differ from target to target."""


@dataclass(frozen=True, slots=True)
class TargetRuns:
    """Folder of the runs for several targets."""

    path: Path

    @property
    def config(self) -> Path:
        """Targets, budgets and everything that the runs have in common."""
        return self.path / "targets.toml"

    def run_folder(self, goal: Goal) -> RunFolder:
        """Where the run of a target is."""
        return RunFolder(self.path / goal.slug)

    @property
    def inputs(self) -> Path:
        """A copy of the space's TOML file, if it is the user's, and `start` of each target."""
        return self.path / "inputs"

    def start(self, goal: Goal) -> Path:
        """What the run of a target begins with."""
        return self.inputs / f"{goal.slug}.csv"

    def discard(self) -> None:
        """Take back what was written before any search could begin; as the folder's driver."""
        if self.inputs.is_dir():
            for file in self.inputs.iterdir():
                file.unlink()
            self.inputs.rmdir()
        self.config.unlink(missing_ok=True)

    def placed(self, compute: Compute, about: Mapping[str, Any]) -> Compute:
        """Where the runs keep their trials: all of them in the place that the first had.

        Args:
            about: what `targets.toml` says of the storage.

        Raises:
            InputError: see `Compute.place`.
        """
        place = compute.place(about, self.path, self.config)
        if isinstance(place, Path):
            return compute
        return replace(compute, storage=place, study=str(about["study"]))

    @contextmanager
    def driver(self) -> Iterator[None]:
        """Hold the folder for this process."""
        with held(self.path, "driver.lock", "search", self.config.is_file):
            yield


def is_target_runs(folder: Path) -> bool:
    """Whether a folder is one of runs for several targets."""
    return TargetRuns(folder).config.is_file()


def expect_one_run(folder: Path) -> None:
    """Raise InputError where a folder is one of runs for several targets, and name these."""
    runs = sorted(str(found.parent) for found in folder.glob("*/run.toml"))
    expect(
        not is_target_runs(folder),
        f"{folder}: holds runs for several targets; name one of them:"
        f" {', '.join(runs) or 'none is begun yet'}",
    )


def run_targets(
    goals: Sequence[Goal],
    out: Path | str,
    *,
    compute: Compute | None = None,
    told: Told | None = None,
    **options: Any,
) -> list[Run]:
    """Search for a front for each target.

    Args:
        goals: targets with their budgets; searched in this order.
        out: folder for the runs; it must be new or empty.
        compute: see `run`; in a database each run has a study of its own.
        told: see `run`.
        options: fields of `SearchConfig` that all runs have.

    Raises:
        InputError: see `run`; raised before the first search where a later target is the reason.
    """
    check_goals(goals)
    folder = TargetRuns(Path(out))
    RunFolder(folder.path).check_free()
    compute = compute or Compute()
    compute.probe()
    if options.get("start") is not None:  # for targets that begin after a resume
        options["start"] = str(Path(options["start"]).absolute())
    configs = [absolute(SearchConfig(g.target, g.budget_ms, **options)) for g in goals]
    for config in configs:
        expect(
            config.predictor is None,
            "predictor: is of one target; search the targets one by one to use your own",
        )
    compiled = _compiled(configs[0], folder.path)
    for goal, config in zip(goals, configs, strict=True):
        problem_of(config, folder.run_folder(goal), compiled)
    with folder.driver():
        common = {k: v for k, v in configs[0].to_dict().items() if k not in _OWN}
        budgets = {goal.target: goal.budget_ms for goal in goals}
        table = {"budgets_ms": budgets, "start": configs[0].start, **common}
        if _is_file(configs[0].space):
            folder.inputs.mkdir(exist_ok=True)
            given = Path(configs[0].space)
            write_bytes(folder.inputs / given.name, given.read_bytes())
            table["space"] = given.name
        kept = compute.kept(folder.path)
        write_run_file(folder.config, FORMAT, "search", table, ("palmette",), kept)
        compute = folder.placed(compute, kept)
        try:
            return _Searches(folder, compiled, compute, told).all(goals, configs)
        except InputError:
            if not any(folder.run_folder(goal).config.is_file() for goal in goals):
                folder.discard()
            raise


def resume_targets(
    out: Path | str, *, compute: Compute | None = None, told: Told | None = None
) -> list[Run]:
    """Go on with the runs in a folder, whatever ended them; finished ones are only read again.

    Raises:
        InputError: no such runs there, corrupt ones, or another process at work on them.
    """
    folder = TargetRuns(Path(out))
    expect(folder.config.is_file(), f"{out}: holds no runs ({folder.config.name} is missing)")
    table, about = read_run_file(folder.config, FORMAT, "search")
    compute = folder.placed(compute or Compute(), about)
    budgets, where = table.pop("budgets_ms", None), str(folder.config)
    expect(
        isinstance(budgets, dict) and all(type(ms) in (int, float) for ms in budgets.values()),
        f"{where}: budgets_ms must be a table of milliseconds by target, got {budgets!r}",
    )
    assert isinstance(budgets, dict)
    if _is_file(str(table.get("space", ""))):
        table["space"] = str(folder.inputs / Path(table["space"]).name)
    goals = [Goal(target, ms) for target, ms in budgets.items()]
    check_goals(goals)
    configs = [
        SearchConfig.from_dict({"target": g.target, "budget_ms": g.budget_ms, **table}, where)
        for g in goals
    ]
    with folder.driver():
        compiled = _compiled(configs[0], folder.path)
        return _Searches(folder, compiled, compute, told).all(goals, configs)


@dataclass(frozen=True, slots=True)
class _Searches:
    """What all searches of a folder have in common."""

    folder: TargetRuns
    compiled: CompiledSpace
    compute: Compute
    told: Told | None

    def all(self, goals: Sequence[Goal], configs: Sequence[SearchConfig]) -> list[Run]:
        """The runs, one after another; each is begun, gone on with, or read."""
        runs: list[Run] = []
        for goal, config in zip(goals, configs, strict=True):
            own, compute = self.folder.run_folder(goal), self._compute(goal)
            more: Any = {"compute": compute, "told": self.told, "compiled": self.compiled}
            if own.config.is_file():
                runs.append(resume(own.path, **more))
                continue
            if runs:
                config = self._started(config, goal, found_by(runs), runs[0])
            runs.append(run_config(config, own.path, **more))
        return runs

    def _started(self, config: SearchConfig, goal: Goal, start: Start, known: Run) -> SearchConfig:
        """The config of a search that begins with what earlier ones found.

        What is known there already is not to be measured again, and spares as many trials.
        """
        self.folder.inputs.mkdir(exist_ok=True)
        write_text(self.folder.start(goal), start.to_csv())
        config = replace(config, start=str(self.folder.start(goal).absolute()))
        problem = problem_of(config, self.folder.run_folder(goal), self.compiled)
        if problem.accuracy.evaluator is None:
            return config
        expect(
            problem.accuracy.id == known.problem.accuracy.id,
            f"{self.folder.config}: {config.accuracy} or its data changed since {known.folder.path}"
            " was searched by it; restore them, or begin anew",
        )
        codes, _ = known_of(problem)
        inside = int((problem.costs(codes)[1] <= 0).sum()) if len(codes) else 0
        least = max(math.ceil(LEAST_OWN * config.trials), LEAST_TRIALS)
        return replace(config, trials=max(config.trials - inside, least))

    def _compute(self, goal: Goal) -> Compute:
        """Where the run of a target keeps its trials: in a database, under its own name."""
        if self.compute.study is None:
            return self.compute
        return replace(self.compute, study=f"{self.compute.study}-{goal.slug}")


def _is_file(space: str) -> bool:
    return space.endswith(".toml")


def _compiled(config: SearchConfig, out: Path) -> CompiledSpace:
    """The space that all runs have, read where the first of them would."""
    return compile_space(full_space(config, RunFolder(out)))


def found_by(runs: Sequence[Run]) -> Start:
    """What finished runs found: networks of their fronts and starts, and all that they measured."""
    networks: dict[Architecture, tuple[float, float] | None] = {}
    for run in runs:
        began = run.problem.start
        for network, value in zip(began.networks, began.measured, strict=True):
            networks[network] = networks.get(network) or value
        for text in run.front["architecture"]:
            networks.setdefault(Architecture.from_text(str(text)), None)
        networks.update(measured_by(run))
    return Start(tuple(networks), tuple(networks.values()))


def measured_by(run: Run) -> dict[Architecture, tuple[float, float]]:
    """Networks that a finished run knows to be measured, with top-1 and sigma; no estimates."""
    accuracy = run.problem.accuracy
    if not isinstance(accuracy, MeasuredAccuracy):
        return {}
    results = accuracy.results
    networks = accuracy.space.decode_batch(results.codes)
    values = zip(results.top1.tolist(), results.sigma.tolist(), strict=True)
    return dict(zip(networks, values, strict=True))
