"""The driver's loop: asks the sampler, keeps the workers busy, tells the study what came back.

One process runs it, the only one that sees the study. Tells go in the order in which results
arrive; each trial keeps that order, and how many results were known when it was asked, so that a
run whose workers raced can be replayed (`search.ledger.replay`).

What it needs of finished trials it counts as they come: looking through a study of 50,000 trials at
every ask would make the last trial hundreds of times as dear as the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.search.trials.params import codes_of, distributions
from palmette.search.trials.progress import Snapshot, Tracker
from palmette.search.trials.task import ATTEMPTS, Executor, Outcome, Task, UsedUp
from palmette.space.errors import InputError

if TYPE_CHECKING:
    import optuna

    from palmette.search.ledger.lease import Lease
    from palmette.search.problem import SearchProblem
    from palmette.space.search_space import Codes

FAILURES = 10
"""Failed trials in a row after which a run stops: what fails is not the network then."""
CAUTIOUS = 3
"""Networks after which it is told what speaks against all their values: others may take days."""
POLL_S = 0.5
NETWORKS = "networks"
"""Attribute of a study whose networks are used up: trials that it has then."""
_LOG = logging.getLogger("palmette")


class AllFailed(InputError):
    """A run that measured nothing, with the reason: there is nothing to go on with."""


class Driver:
    """Drives a study of networks to a number of finished trials.

    A trial that failed for good counts as finished.

    Args:
        study: with the sampler that is to be asked.
        problem: what the trials are networks of; it learns what they measure.
        lease: checked before everything that is written.
        executor: what measures; None where `problem` knows all accuracies itself.
        seed: of the measurements.
        told: called after every trial, and now and then while none ends.
    """

    def __init__(
        self,
        study: optuna.Study,
        problem: SearchProblem,
        lease: Lease,
        executor: Executor | None = None,
        *,
        seed: int = 0,
        told: Callable[[Snapshot], None] | None = None,
    ) -> None:
        self.study, self.problem, self.lease, self.executor = study, problem, lease, executor
        self.seed, self.told = seed, told
        # of a reward, which has no hard budget, its time
        self.tracker = Tracker(0, min(problem.limits.budget_ms, problem.reward_ms))
        self.distributions = distributions(problem.space)
        self.networks: int | None = study.user_attrs.get(NETWORKS)
        """Trials after which no network was left to measure."""
        self.orders = 0
        """Trials told, those of earlier sessions too."""
        self.rungs = 0
        """Outcomes of halving that came to a value."""
        self._flying: dict[int, optuna.Trial] = {}
        self._in_a_row = FailedInARow(lambda: self.measured)
        for trial in told_trials(study):
            self._remember(trial)

    @property
    def finished(self) -> int:
        """Trials that are complete, or failed for good."""
        return self.tracker.done + self.tracker.failed

    @property
    def measured(self) -> bool:
        """Whether there is anything that workers measured."""
        return self.executor is not None and self.tracker.done + self.rungs > 0

    def run(self, planned: int) -> None:
        """Drive until as many trials as planned are finished, or no network is left.

        Args:
            planned: trials in all, those of earlier sessions too.

        Raises:
            InputError: nothing but failures, or what the storage or the executor raises.
        """
        while self.finished < self._most(planned):
            while self._room(self._most(planned)):
                self._begin()
            self.tracker.planned = self._most(planned)
            arrived = self._arrived()
            for outcome in arrived:
                self._arrive(outcome)
                self._tell()
            if not arrived:
                self._tell()

    def _most(self, planned: int) -> int:
        """Trials in all: as many as planned, or as there are networks to measure."""
        return planned if self.networks is None else min(planned, self.networks)

    def _room(self, planned: int) -> bool:
        """Whether one more trial is to begin."""
        flying = len(self._flying)
        workers = self.executor.workers if self.executor else 1
        return flying < workers and self.finished + flying < planned

    def take(self) -> optuna.Trial:
        """The next network of the study, as a trial that runs; nothing measures it yet.

        Raises:
            UsedUp: no network is left; the trial that asked has none, and runs.
        """
        self.lease.check()
        trial = self.study.ask(self.distributions)
        self._flying[trial.number] = trial
        if self.executor is not None:
            trial.set_user_attr("told_before", self.orders)
        return trial

    def _begin(self) -> None:
        try:
            trial = self.take()
        except UsedUp as end:
            self._end_early(str(end))
            return
        if self.executor is not None:
            network = self.problem.space.decode(self._codes(trial)[0])
            attempt = int(trial.user_attrs.get("attempt", 1))
            text = network.to_text()
            self.executor.submit(Task(trial.number, text, seed=self.seed, attempt=attempt))

    def _end_early(self, words: str) -> None:
        """Ask for no more, in this session and in later ones: no network is left."""
        from optuna.trial import TrialState

        asked = self.study.get_trials(deepcopy=False)[-1].number
        self.networks = self.finished + len(self._flying)
        self.study.set_user_attr(NETWORKS, self.networks)
        self.study.tell(asked, state=TrialState.FAIL)
        _LOG.warning("the search ends after %d trials: %s", self.networks, words)

    def _arrived(self) -> list[Outcome]:
        """What ended; where nothing needs measuring, all that flies."""
        if self.executor is not None:
            return self.executor.wait(POLL_S)
        return [Outcome(Task(number, ""), "done") for number in self._flying]

    def _arrive(self, outcome: Outcome) -> None:
        """End the trial of an outcome, or begin it again if its worker died."""
        self.lease.check()
        task = outcome.task
        if outcome.fate == "lost" and task.attempt < ATTEMPTS and self.executor is not None:
            self.executor.submit(replace(task, attempt=task.attempt + 1))
            return
        self.end(outcome, self.orders)
        self._in_a_row.count(outcome)

    def end(self, outcome: Outcome, order: int, stopped: bool = False) -> None:
        """Tell the study what came of a trial that was taken.

        Args:
            outcome: with the trial's number in its task.
            order: place among all tells.
            stopped: whether it is the value of a part of its training, after which it was stopped.
        """
        self.lease.check()
        trial = self._flying[outcome.task.trial]
        if self.executor is not None:
            for name, value in _account(outcome, order, stopped).items():
                trial.set_user_attr(name, value)
        if outcome.fate != "done":
            self._fail(trial)
        elif stopped:
            self._stop(trial)
        else:
            self._complete(trial, outcome)
        self.orders = max(self.orders, order + 1)
        del self._flying[outcome.task.trial]

    def _complete(self, trial: optuna.Trial, outcome: Outcome) -> None:
        codes = self._codes(trial)
        if self.executor is not None:
            self.problem.learn(codes, np.array([outcome.top1]), np.array([outcome.sigma]))
        found = self.problem.evaluate(codes)
        violation, (ms, minus_score) = float(found.violation[0]), found.objectives[0].tolist()
        trial.set_constraint("limits", violation)
        self.study.tell(trial, [ms, -minus_score])
        kept = violation <= 0
        self.tracker.finished(ms, -minus_score, feasible=kept, seconds=outcome.seconds)
        if self.tracker.done == CAUTIOUS and self.problem.accuracy.caution:
            _LOG.warning("%s", self.problem.accuracy.caution)

    def _fail(self, trial: optuna.Trial) -> None:
        import optuna

        self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        self.tracker.gave_up()

    def _stop(self, trial: optuna.Trial) -> None:
        import optuna

        self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        self.tracker.stopped()

    def _remember(self, trial: optuna.trial.FrozenTrial) -> None:
        """Count a trial of an earlier session in, and what it measured."""
        attributes = trial.user_attrs
        self.tracker.failed += failed_for_good(trial)
        if "repaired_at" in attributes:
            return  # its driver died, perhaps amid the tell
        self.orders = max(self.orders, int(attributes.get("order", -1)) + 1)
        if trial.state.name == "FAIL":
            return
        if trial.state.name == "PRUNED":
            self.tracker.stopped()
            return
        learn_trial(self.problem, trial)
        kept = all(value <= 0 for value in trial.constraints.values())
        seconds = float(attributes.get("seconds", np.nan))
        self.tracker.finished(trial.values[0], trial.values[1], feasible=kept, seconds=seconds)

    def _codes(self, trial: optuna.Trial) -> Codes:
        return codes_of(self.problem.space, [trial.params])

    def _tell(self) -> None:
        if self.told is None:
            return
        workers = self.executor.workers if self.executor else 1
        health = self.executor.health() if self.executor else ()
        self.told(self.tracker.snapshot(len(self._flying), workers, health))


class FailedInARow:
    """Counts failed outcomes between two that are done.

    Args:
        measured: whether the run has anything to go on with.
    """

    def __init__(self, measured: Callable[[], bool]) -> None:
        self._count, self._measured = 0, measured

    def count(self, outcome: Outcome) -> None:
        """Take the next one; raises InputError at the tenth that failed (`FAILURES`)."""
        self._count = 0 if outcome.fate == "done" else self._count + 1
        if self._count < FAILURES:
            return
        said = f"{FAILURES} trials in a row failed, the last because: {outcome.reason}"
        if not self._measured():
            raise AllFailed(said)
        raise InputError(
            f"{said}; mend what is around the function or the data, and go on with --resume; a"
            " function that is itself changed needs a new search"
        )


def _account(outcome: Outcome, order: int, stopped: bool) -> dict[str, Any]:
    """User attributes of a trial that was measured, stopped, or could not be measured."""
    about = {
        "order": order,
        "attempt": outcome.task.attempt,
        "seconds": outcome.seconds,
        "worker": outcome.worker,
    }
    if stopped:  # what it came to stands in its rungs: a part of a training is no result
        return about
    if outcome.fate == "done":
        return about | {"top1": outcome.top1, "sigma": outcome.sigma}
    return about | {"reason": outcome.reason or outcome.fate}


def learn_trial(problem: SearchProblem, trial: optuna.trial.FrozenTrial) -> None:
    """Teach a problem what a complete trial measured, if it measured anything."""
    if trial.state.name == "COMPLETE" and "top1" in trial.user_attrs:
        top1, sigma = (np.array([trial.user_attrs[name]]) for name in ("top1", "sigma"))
        problem.learn(codes_of(problem.space, [trial.params]), top1, sigma)


def failed_for_good(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial failed and nothing repeats it.

    One whose driver died waits again, or was never begun, unless it was given up; it has its
    `order` where that happened between this and the tell.
    """
    about = trial.user_attrs
    kept = "given_up" in about if "repaired_at" in about else "order" in about
    return trial.state.name == "FAIL" and kept


def told_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that are complete, stopped or failed, in the order in which they were told."""
    from optuna.trial import TrialState

    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    trials = study.get_trials(deepcopy=False, states=states)
    return sorted(trials, key=lambda trial: (trial.user_attrs.get("order", -1), trial.number))


def finished_count(study: optuna.Study) -> int:
    """Trials that a driver would count as finished."""
    told = told_trials(study)
    return sum(trial.state.name != "FAIL" or failed_for_good(trial) for trial in told)
