"""A run as it stands, read without a right to drive it: finished, under way or cut off."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.search.compute import Compute
from palmette.search.config import PALMETTE, SearchConfig
from palmette.search.front_table import check_finished, front_of
from palmette.search.ledger.place import masked
from palmette.search.ledger.watched import watched
from palmette.search.posing import reopen
from palmette.search.problem import SearchProblem
from palmette.search.report.importance import Importance, importance
from palmette.search.run_folder import STUDY, RunFolder
from palmette.search.target_runs import is_target_runs
from palmette.search.trials.driver import told_trials
from palmette.search.trials.params import codes_of
from palmette.space import InputError

if TYPE_CHECKING:
    import optuna

FINISHED, RUNNING, CUT_OFF = "finished", "running", "cut off"


@dataclass(frozen=True)
class OpenedRun:
    """What is known of a run by now."""

    folder: RunFolder
    config: SearchConfig
    about: dict[str, Any]
    """Table `run` of `run.toml`: versions and hashes."""
    problem: SearchProblem
    """Has learnt what the trials measured."""
    front: pd.DataFrame
    """As `front_of` gives it; no rows where no trial keeps all limits yet."""
    trials: tuple[optuna.trial.FrozenTrial, ...]
    """Complete and failed ones, in the order in which they were told."""
    planned: int | None
    """Trials in all; None where the search over the predictors has not decided it yet."""
    state: str
    importance: Importance

    @property
    def complete(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that have values."""
        return [trial for trial in self.trials if trial.state.name == "COMPLETE"]

    @property
    def failed(self) -> int:
        """Trials whose measurement failed for good."""
        return sum(
            trial.state.name == "FAIL" and "order" in trial.user_attrs for trial in self.trials
        )

    @property
    def standing(self) -> str:
        """In words, how far the run is; blank where it is finished."""
        if self.state == FINISHED:
            return ""
        planned = "a number not decided yet" if self.planned is None else f"{self.planned:,}"
        done = f"{len(self.complete):,} trials of {planned} are finished"
        if self.state == RUNNING:
            return f"This run is still under way: {done}. Below is what it has found so far."
        return (
            f"This run is incomplete: {done}. Below is what it had found; go on with palmette"
            f" search --resume {self.folder.path}"
        )


def open_run(path: Path, storage: str | None = None) -> OpenedRun:
    """A run, its trials only read.

    Args:
        path: its folder.
        storage: URL of its database, where one keeps its trials and asks for a password.

    Raises:
        InputError: no run there, a corrupt or older one, or one whose trials are missing.
    """
    import optuna

    _expect_one_run(path)
    folder = RunFolder(path)
    config, problem = reopen(folder)
    about = folder.read_config()[1]
    place = Compute(storage=storage).place(about, folder.journal, folder.config)
    if isinstance(place, Path) and not place.is_file():
        raise InputError(
            f"{path}: is incomplete: {place.name}, which holds its trials, is missing; copy the"
            " whole folder, or search again"
        )
    running = _driven(folder.lock)
    with watched(place) as kept:
        try:
            study = optuna.load_study(study_name=str(about.get("study", STUDY)), storage=kept)
        except KeyError:
            raise InputError(f"{masked(place)}: does not hold the study of {path}") from None
        check_finished(study, problem.space, folder.kept_in)
        trials = told_trials(study)
        _learn(problem, trials)
        planned = _planned(study, config, problem)
        front = _front(study, problem)
        whole = planned is not None and len(trials) >= planned
        ended = FINISHED if whole and folder.front.is_file() else CUT_OFF
        return OpenedRun(
            folder,
            config,
            about,
            problem,
            front,
            tuple(trials),
            planned,
            RUNNING if running else ended,
            importance(study),
        )


def _expect_one_run(path: Path) -> None:
    """Raise InputError for a folder of runs for several targets, which are reported one by one."""
    if is_target_runs(path):
        names = sorted(one.parent.name for one in path.glob("*/run.toml"))
        raise InputError(f"{path}: holds a run for each target; name one: {', '.join(names)}")


def _learn(problem: SearchProblem, trials: list[optuna.trial.FrozenTrial]) -> None:
    """Teach the problem what trials measured, as their driver did."""
    import numpy as np

    for trial in trials:
        if trial.state.name == "COMPLETE" and "top1" in trial.user_attrs:
            top1, sigma = (np.array([trial.user_attrs[key]]) for key in ("top1", "sigma"))
            problem.learn(codes_of(problem.space, [trial.params]), top1, sigma)


def _planned(study: optuna.Study, config: SearchConfig, problem: SearchProblem) -> int | None:
    """Trials in all, as `Proposals.count` says, without a search."""
    if problem.accuracy.evaluator is None and config.sampler == PALMETTE:
        return study.user_attrs.get("shortlist")
    return min(config.trials, problem.space.size)


def _front(study: optuna.Study, problem: SearchProblem) -> pd.DataFrame:
    try:
        return front_of(study, problem)
    except InputError:  # no trial keeps all limits, or none is finished
        return pd.DataFrame()


def _driven(lock: Path) -> bool:
    """Whether a process of this machine drives the run."""
    try:
        handle = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
