"""The main job: search a space for the most accurate networks that fit a target.

The networks that are looked at closely become trials of an Optuna study, one architecture each
(`search.proposals`), in the run's folder or in a database. A run that was killed goes on where its
study ends: what is proposed follows from the finished trials and the seed, and these are kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.latency import parse_target
from palmette.search.accuracy import PRIOR
from palmette.search.compute import Compute
from palmette.search.config import SearchConfig
from palmette.search.front_table import check_finished, front_of
from palmette.search.objectives.goal import Goal, Join
from palmette.search.posing import full_space, identity, problem_of, reopen
from palmette.search.problem import SearchProblem
from palmette.search.proposals import Proposals, Told
from palmette.search.run_folder import STUDY, RunFolder
from palmette.search.start import import_measured
from palmette.search.trials.bracket import halve_shortlist
from palmette.search.trials.driver import AllFailed, Driver, told_trials
from palmette.search.trials.failures import Failures
from palmette.search.trials.function import file_of
from palmette.search.trials.rungs import PriorEvaluator
from palmette.space import Architecture, CompiledSpace, InputError
from palmette.space.files import write_bytes, write_text
from palmette.train import AccuracyPrior
from palmette.train.datasets import anywhere

if TYPE_CHECKING:
    import optuna

    from palmette.search.ledger.lease import Lease
    from palmette.search.trials.task import Executor


@dataclass(frozen=True)
class Run:
    """A finished search: the front (a data frame, fastest first), its folder, and how it ran."""

    config: SearchConfig
    folder: RunFolder
    front: pd.DataFrame
    problem: SearchProblem = field(repr=False)
    failures: Failures = field(default=Failures(), repr=False)
    """Trials that could not be measured."""

    @property
    def pick(self) -> Architecture:
        """The network to take: the fastest of those that tie with the best score."""
        row = self.front.loc[self.front["pick"]].iloc[0]
        return Architecture.from_text(str(row["architecture"]))

    def _repr_html_(self) -> str:
        from palmette.search.shown import run_html  # for notebooks alone

        return run_html(self)

    @property
    def guards(self) -> dict[str, Any]:
        """What kept the search honest: choices barred, and the guards of the accuracy prior."""
        prior, networks = AccuracyPrior.load(), list[Architecture]()
        if self.problem.accuracy.rung == PRIOR:
            networks = [Architecture.from_text(str(text)) for text in self.front["architecture"]]
        widened: dict[str, list[float]] = {}
        for network in networks:
            for row in prior.widened(network):
                widened.setdefault(row["family"], []).append(row["share"])
        return {
            "barred_choices": list(self.problem.barred),
            "refused_choices": list(self.problem.refused),
            "ops_refused_on_front": int((self.front["ops_refused"] > 0).sum()),
            "ops_at_risk_on_front": int((self.front["ops_at_risk"] > 0).sum()),
            "guards_on_front": sorted({g for a in networks for g in prior.active_guards(a)}),
            "widened_families": {name: max(shares) for name, shares in sorted(widened.items())},
            "outside_timed": int(self.front["outside_timed"].sum()),
        }


def run(
    target: str,
    budget_ms: float,
    out: Path | str,
    *,
    compute: Compute | None = None,
    told: Told | None = None,
    **options: Any,
) -> Run:
    """Search for the most accurate networks inside a latency budget.

    Args:
        target: full name or alias, such as `iphone-13/ane`.
        budget_ms: milliseconds of one image, to be held at the confidence.
        out: folder for the run; it must be new or empty.
        compute: workers and storage; by default this process and the folder.
        told: called with the state of things, after every generation and every trial.
        options: the other fields of `SearchConfig`.

    Raises:
        InputError: unknown target, space or option, an impossible budget, a folder in use.
    """
    config = SearchConfig(str(parse_target(target)), float(budget_ms), **options)
    return run_config(config, out, compute=compute, told=told)


def run_joined(
    goals: Sequence[Goal],
    out: Path | str,
    *,
    join: Join = "worst",
    compute: Compute | None = None,
    told: Told | None = None,
    **options: Any,
) -> Run:
    """Search for the most accurate networks inside the budgets of several targets at once.

    Args:
        goals: targets with their budgets.
        join: how their times become one, see `search.objectives.joined`.
        out, compute, told, options: see `run`.

    Raises:
        InputError: see `run`; targets that can't be joined so.
    """
    config = SearchConfig.of_goals(goals, join, **options)
    return run_config(config, out, compute=compute, told=told)


def run_config(
    config: SearchConfig,
    out: Path | str,
    *,
    compute: Compute | None = None,
    told: Told | None = None,
    compiled: CompiledSpace | None = None,
) -> Run:
    """Search as a config says; see `run`, and `reopen` for `compiled`."""
    config, compute = absolute(config), compute or Compute()
    folder = RunFolder(Path(out))
    folder.check_free()
    compute.probe()
    problem = problem_of(config, folder, compiled)
    with folder.driver():
        folder.begin(config.to_dict(), identity(problem) | compute.kept(folder.path))
        _copy_inputs(config, folder)
        return _search(config, problem, folder, compute, told, new=True)


def resume(
    out: Path | str,
    *,
    compute: Compute | None = None,
    told: Told | None = None,
    compiled: CompiledSpace | None = None,
) -> Run:
    """Go on with the run in a folder, whatever ended it; a finished run is only read again.

    Args:
        out: folder of the run.
        compute: workers and storage, as `run` takes them; they may be others than before.
        told: see `run`.
        compiled: see `reopen`.

    Raises:
        InputError: no run there, a corrupt one, or another process at work in it.
    """
    folder, compute = RunFolder(Path(out)), compute or Compute()
    compute.probe(compute.place(folder.read_config()[1], folder.journal, folder.config))
    config, problem = reopen(folder, compiled)
    with folder.driver():
        return _search(config, problem, folder, compute, told)


def absolute(config: SearchConfig) -> SearchConfig:
    """The config with whole paths of what is measured by and on: a resume may be from elsewhere."""
    kind, _, name = config.accuracy.partition(":")
    accuracy, file = config.accuracy, file_of(config.accuracy)
    if kind == "supernet" and name:
        accuracy = f"{kind}:{Path(name).absolute()}"
    elif file is not None:
        accuracy = f"{kind}:{file.absolute()}:{name.rpartition(':')[2]}"
    data = None if config.data is None else anywhere(config.data)
    return replace(config, accuracy=accuracy, data=data)


def _copy_inputs(config: SearchConfig, folder: RunFolder) -> None:
    space = config.space if config.space.endswith(".toml") else None
    for given, kept in (
        (space, folder.space),
        (config.predictor, folder.predictor),
        (config.start, folder.start),
        (file_of(config.accuracy), folder.function),
    ):
        if given:
            write_bytes(kept, Path(given).read_bytes())


def _search(
    config: SearchConfig,
    problem: SearchProblem,
    folder: RunFolder,
    compute: Compute,
    told: Told | None,
    new: bool = False,
) -> Run:
    proposals = Proposals(config, problem, told)
    driver: Driver | None = None

    def in_vain(error: InputError) -> bool:
        """Whether nothing of the run is worth keeping."""
        return new and not _goes_on(error, driver)

    try:
        with opened(problem, folder, compute, proposals, in_vain) as (study, lease):
            check_finished(study, problem.space, folder.kept_in)
            with ExitStack() as working:
                executor = None
                if not proposals.finished(study):
                    # before the search over the predictors: it would be in vain where none works
                    executor = working.enter_context(_executor(config, problem, folder, compute))
                proposals.prepare(study)
                import_measured(study, problem)
                planned = proposals.count(study)
                driver = Driver(study, problem, lease, executor, seed=config.seed, told=told)
                if driver.finished < planned:
                    if config.halving:
                        _halve(driver, proposals, folder)
                    driver.run(planned)
            front = front_of(study, problem)
            failures = Failures.of(told_trials(study), problem.space)
    except InputError as error:
        gone = in_vain(error)
        if gone:
            folder.discard()
        if isinstance(error, AllFailed):
            first = "" if gone else f" remove {folder.path},"
            raise AllFailed(f"{error}; mend that,{first} and search again") from None
        raise
    return written(Run(config, folder, front, problem, failures))


def _goes_on(error: InputError, driver: Driver | None) -> bool:
    """Whether a new run that ends so keeps its folder, for a resume."""
    from palmette.search.ledger.guarded import StorageLost
    from palmette.search.ledger.lease import LeaseLost

    if isinstance(error, (LeaseLost, StorageLost)):
        return True
    if driver is None or driver.executor is None:
        return False
    return driver.measured or not isinstance(error, AllFailed)


def _halve(driver: Driver, proposals: Proposals, folder: RunFolder) -> None:
    """Train the shortlist in rungs; their table goes into the folder."""
    evaluator: Any = driver.problem.accuracy.evaluator  # `SearchConfig` allows those with epochs
    planned = proposals.count(driver.study)
    table = halve_shortlist(driver, proposals.shortlist, planned, evaluator.epochs)
    if table is not None:
        write_text(folder.rungs, table.to_csv(index=False, lineterminator="\n"))


def written(run: Run) -> Run:
    """The run, its front written as a table and as a page."""
    from palmette.search.figure import front_page  # plotly is slow to import

    write_text(run.folder.front, run.front.to_csv(index=False, lineterminator="\n"))
    write_text(run.folder.page, front_page(run))
    return run


@contextmanager
def opened(
    problem: SearchProblem,
    folder: RunFolder,
    compute: Compute,
    proposals: Proposals,
    in_vain: Callable[[InputError], bool] | None = None,
) -> Iterator[tuple[optuna.Study, Lease]]:
    """The run's study, with the right to drive it.

    Args:
        in_vain: see `open_study`.

    Raises:
        InputError: see `open_study`.
    """
    from palmette.search.ledger.place import masked
    from palmette.search.ledger.storage import open_study

    settings, about = folder.read_config()
    kept = identity(problem)
    place = compute.place(about, folder.journal, folder.config)
    if place != folder.journal:  # others may have a study of that name there
        text = json.dumps(settings, sort_keys=True)
        kept["config_id"] = hashlib.sha256(text.encode()).hexdigest()[:12]
    name = str(about.get("study", STUDY))
    with open_study(
        place,
        sampler=proposals.sampler,
        name=name,
        about=kept,
        genes=[gene.name for gene in problem.space.genes],
        made=folder.in_database.is_file(),
        in_vain=in_vain,
        notice=logging.getLogger("palmette").warning,
    ) as found:
        if place != folder.journal:
            write_text(folder.in_database, f"{name} in {masked(place)}\n")
        yield found


def _executor(
    config: SearchConfig, problem: SearchProblem, folder: RunFolder, compute: Compute
) -> AbstractContextManager[Executor | None]:
    """What measures; nothing where accuracies are free and no workers were asked for."""
    if problem.accuracy.evaluator is not None:
        return compute.executor(problem.accuracy.evaluator)
    if not compute.apart:
        return nullcontext()
    return compute.executor(PriorEvaluator(full_space(config, folder), config.recipe))
