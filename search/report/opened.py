"""A run as it stands, read without a right to drive it: finished, under way or cut off."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from palmette.search.config import SearchConfig
from palmette.search.front_table import check_finished, front_of
from palmette.search.ledger.watched import watched_run
from palmette.search.posing import reopen
from palmette.search.problem import SearchProblem
from palmette.search.proposals import Proposals
from palmette.search.report.importance import Importance, importance
from palmette.search.run_folder import RunFolder
from palmette.search.target_runs import expect_one_run
from palmette.search.trials.driver import learn_trial, told_trials
from palmette.search.trials.failures import Failures
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
    def failures(self) -> Failures:
        """Trials whose measurement failed for good."""
        return Failures.of(self.trials, self.problem.space)

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
    expect_one_run(path)
    folder = RunFolder(path)
    config, problem = reopen(folder)
    about = folder.read_config()[1]
    if "storage" not in about and not folder.journal.is_file():
        raise InputError(
            f"{path}: is incomplete: {folder.journal.name}, which holds its trials, is missing;"
            " copy the whole folder, or search again"
        )
    running = _driven(folder.lock)
    with watched_run(folder, storage) as study:
        check_finished(study, problem.space, folder.kept_in)
        trials = told_trials(study)
        for trial in trials:
            learn_trial(problem, trial)
        proposals, front = Proposals(config, problem, None), _front(study, problem)
        written = folder.front.is_file() or not len(front)  # nothing to write of an empty one
        ended = FINISHED if proposals.finished(study) and written else CUT_OFF
        return OpenedRun(
            folder,
            config,
            about,
            problem,
            front,
            tuple(trials),
            proposals.decided(study),
            RUNNING if running else ended,
            importance(study),
        )


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
