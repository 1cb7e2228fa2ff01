"""Successive halving of a search's shortlist, before its belief chooses what to measure.

Each network of the shortlist waits in the study's queue, and keeps what its rungs came to among its
own attributes (`rung_1`, `rung_3`, ...). What waits costs nothing at a driver's death: the next one
tells the bracket what is on record and trains the rest. At the end each network becomes a trial:
complete with the value of its whole training, pruned, or failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from palmette.search.expensive.halving import Contender, Halving, rungs_of
from palmette.search.expensive.known import key_of
from palmette.search.trials.driver import Driver, FailedInARow
from palmette.search.trials.params import codes_of, params_of
from palmette.search.trials.progress import Snapshot
from palmette.search.trials.task import Outcome, Task
from palmette.search.trials.work import run_work
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    import pandas as pd

HALVING = "halving"
CONTENDER, CONTENDERS, KNOWN = "contender", "contenders", "known"
"""Attributes: place of a network in the shortlist; of the study, how many; of an imported trial."""


def halve_shortlist(
    driver: Driver, shortlist: Callable[[], Codes], planned: int, epochs: int
) -> pd.DataFrame | None:
    """Train the shortlist in rungs, the best third of each going on; a row for each rung of each.

    What an earlier driver trained is only read. None where there is nothing to train.

    Args:
        driver: of the study, with an executor; it has begun no trial of its own.
        shortlist: makes codes (n, genes), the same whenever it is called.
        planned: trials of the whole search; no more begin.
        epochs: of a whole training.

    Raises:
        InputError: nothing but failures, or what the storage or the executor raises.
    """
    _queue(driver, shortlist, planned)
    bracket = _Bracket(driver, epochs)
    if not bracket.trials:
        return None
    bracket.train()
    bracket.settle()
    return bracket.halving.frame()


class _Bracket:
    """The shortlist of a study in the course of its halving."""

    def __init__(self, driver: Driver, epochs: int) -> None:
        self.driver, every = driver, driver.study.get_trials(deepcopy=False)
        self.trials = {t.number: t for t in every if CONTENDER in t.user_attrs}
        self._known = sum(KNOWN in trial.user_attrs for trial in every)
        self._in_a_row, self._failed = FailedInARow(lambda: driver.measured), 0
        if not self.trials:
            return
        self.halving = Halving(self._contenders(), rungs_of(epochs), seed=driver.seed)
        for outcome in self._recorded():
            self.halving.tell(outcome)
            self._count(outcome)
        sizes = [len(self.trials)]
        for _ in self.halving.rungs[1:]:
            sizes.append(-(-sizes[-1] // self.halving.eta))
        self._planned = sum(sizes)

    def train(self) -> None:
        """Train what is left to train, and keep each outcome as it arrives."""
        assert self.driver.executor is not None
        run_work(self.halving, self.driver.executor, self._keep, self._tell)

    def settle(self) -> None:
        """Make a finished trial of each network that waits, in the order of the queue."""
        while self._waiting():
            trial = self.driver.take()
            first = self._first(trial.number)
            assert first is not None  # the queue gives out the oldest first
            rungs = self.halving.results(first)
            spent = sum(outcome.seconds for outcome in rungs)
            task = replace(rungs[-1].task, trial=trial.number)
            order = self._known + int(self.trials[first].user_attrs[CONTENDER])
            stopped = task.epochs != self.halving.rungs[-1]
            self.driver.end(replace(rungs[-1], task=task, seconds=spent), order, stopped)

    def _contenders(self) -> list[Contender]:
        problem, numbers = self.driver.problem, list(self.trials)
        params = [self.trials[number].system_attrs["fixed_params"] for number in numbers]
        codes = codes_of(problem.space, params)
        texts = [network.to_text() for network in problem.space.decode_batch(codes)]
        ms = problem.costs(codes)[0].tolist()
        return [Contender(*row) for row in zip(numbers, texts, ms, strict=True)]

    def _recorded(self) -> list[Outcome]:
        """Outcomes that the study has, rung by rung."""
        found = []
        for epochs in self.halving.rungs:
            for number, trial in self.trials.items():
                kept = trial.user_attrs.get(_key(epochs))
                if kept is not None:
                    text = self.halving.contenders[number].architecture
                    about = {k: v for k, v in kept.items() if k != "attempt"}
                    task = Task(number, text, self.driver.seed, epochs, kept["attempt"])
                    found.append(Outcome(task, **about))
        return found

    def _keep(self, outcome: Outcome) -> None:
        self.driver.lease.check()
        trial = self.trials[outcome.task.trial]
        storage, key = self.driver.study._storage, _key(outcome.task.epochs or 0)
        storage.set_trial_user_attr(trial._trial_id, key, _plain(outcome))
        self._count(outcome)
        self._in_a_row.count(outcome)

    def _count(self, outcome: Outcome) -> None:
        self.driver.rungs += outcome.fate == "done"
        self._failed += outcome.fate != "done"

    def _tell(self) -> None:
        driver = self.driver
        if driver.told is None or driver.executor is None:
            return
        health = tuple(driver.executor.health())
        running = sum(worker.task is not None for worker in health)
        counts = driver.rungs, self._planned, self._failed, running
        driver.told(Snapshot(HALVING, *counts, workers=health))

    def _waiting(self) -> bool:
        """Whether a network of the shortlist waits for its end."""
        every = self.driver.study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in every if trial.state.name == "WAITING"]
        return any(self._first(number) is not None for number in waiting)

    def _first(self, number: int | None) -> int | None:
        """The network's trial that has its rungs: a trial may repeat one whose driver died."""
        every = self.driver.study.get_trials(deepcopy=False)
        while number is not None and number not in self.trials:
            number = every[number].user_attrs.get("retry_of")
        return number


def _queue(driver: Driver, shortlist: Callable[[], Codes], planned: int) -> None:
    """Let the shortlist wait in the study, as far as it does not; what is known is left out."""
    study, problem = driver.study, driver.problem
    trials = study.get_trials(deepcopy=False)
    queued = sum(CONTENDER in trial.user_attrs for trial in trials)
    count = study.user_attrs.get(CONTENDERS)
    if count is not None and queued >= count:
        return
    known = [trial for trial in trials if KNOWN in trial.user_attrs]
    taken = {key_of(code) for code in codes_of(problem.space, [t.params for t in known])}
    codes = [code for code in shortlist() if key_of(code) not in taken]
    codes = codes[: max(planned - len(known), 0)]
    if count is None:
        study.set_user_attr(CONTENDERS, len(codes))
    for place in range(queued, len(codes)):
        params = params_of(problem.space, codes[place])
        study.enqueue_trial(params, user_attrs={CONTENDER: place})


def _key(epochs: int) -> str:
    return f"rung_{epochs}"


def _plain(outcome: Outcome) -> dict[str, Any]:
    """What is kept of an outcome; numbers that it lacks are left out."""
    names = ("fate", "top1", "sigma", "reason", "seconds", "worker")
    values = {name: getattr(outcome, name) for name in names}
    kept = {k: v for k, v in values.items() if not (isinstance(v, float) and math.isnan(v))}
    return {**kept, "attempt": outcome.task.attempt}
