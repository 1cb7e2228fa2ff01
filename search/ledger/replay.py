"""Asks a study's questions again: does the sampler answer as it did?

With several workers, what a sampler knew at an ask depends on which measurements had come back.
So a trial keeps how many had (`told_before`), and its own place among them (`order`). With these
the asks and tells can be repeated in the order that they had, with the recorded results, and each
network compared with the one that was asked for then.

Trials that a driver left at its death were failed by the next one (`repaired_at`: how many trials
the study had by then), and their networks queued anew; both are repeated too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.space.errors import expect

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay."""

    asks: int
    """Networks that were asked for again."""
    queued: int
    """Of these, networks that waited in the study, which no sampler chose."""
    cut_off: int
    """Trials that ran when their driver died, or run now: what they knew is not on record."""
    differs: str
    """The first network that another one was asked for instead, in one line; empty if none."""

    @property
    def same(self) -> bool:
        """Whether each ask gave the network that is recorded."""
        return not self.differs

    @property
    def words(self) -> str:
        """The result in one line."""
        if self.differs:
            return f"replay: differs after {self.asks} asks that agree: {self.differs}"
        left_out = f"; {self.cut_off} cut off left out" if self.cut_off else ""
        return (
            f"replay: all {self.asks} asks give the recorded network"
            f" ({self.asks - self.queued} chosen, {self.queued} queued{left_out})"
        )


def replay_run(run: Path, storage: str | None = None) -> Replay:
    """Replay a run, as its folder describes it.

    Args:
        run: folder of the run; it may be under way.
        storage: URL of its database, where one keeps its trials and asks for a password.

    Raises:
        InputError: no run there, a corrupt one, or one that can't be replayed.
    """
    from palmette.search.ledger.watched import watched_run
    from palmette.search.posing import reopen
    from palmette.search.proposals import Proposals
    from palmette.search.run_folder import RunFolder
    from palmette.search.target_runs import expect_one_run
    from palmette.search.trials.driver import learn_trial

    expect_one_run(run)
    folder = RunFolder(run)
    config, problem = reopen(folder)
    proposals = Proposals(config, problem, None)
    if config.warm_start:
        proposals.shortlist()  # as it was before the problem learnt anything

    def sampler() -> optuna.samplers.BaseSampler:
        return proposals.anew().sampler

    with watched_run(folder, storage) as study:
        return replay(study, sampler, lambda trial: learn_trial(problem, trial))


def replay(
    recorded: optuna.Study,
    sampler: Callable[[], optuna.samplers.BaseSampler],
    learn: Callable[[FrozenTrial], None] | None = None,
) -> Replay:
    """Repeat the asks and tells of a study in memory, up to the first ask that differs.

    A study without an order on record is taken as one whose trials were measured one by one.

    Args:
        recorded: the study; it is only read.
        sampler: makes the sampler of the run; called again where a driver died, as the next driver
            began with a new one.
        learn: called with each complete trial before it is told, where what the sampler asks has to
            learn of it from others than the study.

    Raises:
        InputError: the study has no trial that was asked for.
    """
    import optuna

    trials = recorded.get_trials(deepcopy=False)
    order = _Order.of(trials)
    expect(
        bool(order.before),
        f"the study {recorded.study_name!r} holds no finished trial that could be asked for again",
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=recorded.study_name, directions=recorded.directions, sampler=sampler()
    )
    return _Repeated(study, trials, order, sampler, learn).run()


@dataclass(frozen=True, slots=True)
class _Order:
    """How many trials had been told when each was asked for, and which came when."""

    before: dict[int, int]
    told: list[FrozenTrial]

    @classmethod
    def of(cls, trials: list[FrozenTrial]) -> _Order:
        from optuna.trial import TrialState

        # a repaired one was not told, even if its driver died as it began to
        told = [
            trial
            for trial in trials
            if "order" in trial.user_attrs and "repaired_at" not in trial.user_attrs
        ]
        if told:
            known = (trial for trial in trials if "told_before" in trial.user_attrs)
            return cls(
                {trial.number: trial.user_attrs["told_before"] for trial in known},
                sorted(told, key=lambda trial: trial.user_attrs["order"]),
            )
        one_by_one = [t for t in trials if t.state == TrialState.COMPLETE and t.params]
        return cls({trial.number: index for index, trial in enumerate(one_by_one)}, one_by_one)


class _Repeated:
    """A study in the course of its replay.

    Trials come in the order of their numbers. A network that the sampler chose is asked for when
    none waits, so what waited before it may be taken up as soon as it is queued.
    """

    def __init__(
        self,
        study: optuna.Study,
        trials: list[FrozenTrial],
        order: _Order,
        sampler: Callable[[], optuna.samplers.BaseSampler],
        learn: Callable[[FrozenTrial], None] | None,
    ) -> None:
        self._study = study
        self._trials = trials
        self._before, self._tells = order.before, deque(order.told)
        self._sampler = sampler
        self._learn = learn
        self._repairs = [trial for trial in trials if "repaired_at" in trial.user_attrs]
        self._under_way = set[int]()
        self._told = self._asks = self._queued = self._cut_off = 0

    def run(self) -> Replay:
        differs = ""
        for trial in self._trials:
            if _queued(trial):
                self._study.enqueue_trial(trial.system_attrs["fixed_params"])
                self._ask(trial)
                self._queued += 1
            elif trial.number in self._before:
                self._tell(self._before[trial.number])
                self._repair(trial.number)
                differs = self._ask(trial)
            else:
                self._take(trial)
            if differs:
                break
        return Replay(self._asks, self._queued, self._cut_off, differs)

    def _ask(self, recorded: FrozenTrial) -> str:
        """What differs in one ask from its record."""
        trial = self._study.ask(recorded.distributions)
        self._under_way.add(trial.number)
        for gene, choice in recorded.params.items():
            if trial.params[gene] != choice:
                return (
                    f"trial {recorded.number} has {gene} {choice!r} on record, and"
                    f" {trial.params[gene]!r} now"
                )
        self._asks += 1
        return ""

    def _tell(self, count: int) -> None:
        """Tell results until there are so many."""
        while self._told < count and self._tells:
            self._end(self._tells.popleft())
            self._told += 1

    def _repair(self, created: int) -> None:
        """Fail what a driver left that died before there were so many trials."""
        due = [t for t in self._repairs if t.user_attrs["repaired_at"] <= created]
        if due:
            self._study.sampler = self._sampler()
        for recorded in due:
            self._repairs.remove(recorded)
            self._end(recorded)

    def _take(self, recorded: FrozenTrial) -> None:
        """Take over a trial that was imported, or that ran when its driver died or runs now."""
        from optuna.trial import TrialState, create_trial

        if recorded.state.is_finished() and "repaired_at" not in recorded.user_attrs:
            self._study.add_trial(recorded)
            return
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=recorded.params,
                distributions=recorded.distributions,
            )
        )
        self._under_way.add(recorded.number)
        self._cut_off += 1

    def _end(self, recorded: FrozenTrial) -> None:
        """Tell what came of a trial, unless that was told."""
        from optuna.trial import TrialState

        if recorded.number not in self._under_way:
            return
        self._under_way.remove(recorded.number)
        storage = self._study._storage
        trial_id = storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id, recorded.number
        )
        for key, value in recorded.user_attrs.items():
            storage.set_trial_user_attr(trial_id, key, value)
        for key, value in recorded.system_attrs.items():
            if key.startswith("constraints"):
                storage.set_trial_system_attr(trial_id, key, value)
        done = recorded.state == TrialState.COMPLETE
        if done and self._learn is not None:
            self._learn(recorded)
        self._study.tell(recorded.number, recorded.values if done else None, recorded.state)


def _queued(trial: FrozenTrial) -> bool:
    """Whether it was put in the queue, and not chosen by the sampler."""
    return "fixed_params" in trial.system_attrs
