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
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palmette.space.errors import expect

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay."""

    asks: int
    """Networks that were asked for again."""
    queued: int
    """Of these, networks that waited in the study, which no sampler chose."""
    cut_off: int
    """Trials whose driver died in the middle of the ask: taken as they are."""
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
        left_out = f"; {self.cut_off} cut off in the ask left out" if self.cut_off else ""
        return (
            f"replay: all {self.asks} asks give the recorded network"
            f" ({self.asks - self.queued} chosen, {self.queued} queued{left_out})"
        )


def replay(recorded: optuna.Study, sampler: optuna.samplers.BaseSampler) -> Replay:
    """Repeat the asks and tells of a study in memory, up to the first ask that differs.

    Args:
        recorded: the study; it is only read.
        sampler: made as the one of its run was.

    Raises:
        InputError: the study has no record of its order.
    """
    import optuna

    trials = recorded.get_trials(deepcopy=False)
    expect(
        any("told_before" in trial.user_attrs for trial in trials),
        f"the study {recorded.study_name!r} can't be replayed: its trials do not say which others"
        " were told before them",
    )
    study = optuna.create_study(
        study_name=recorded.study_name, directions=recorded.directions, sampler=sampler
    )
    return _Repeated(study, trials).run()


class _Repeated:
    """A study in the course of its replay.

    Trials come in the order of their numbers. A network that the sampler chose is asked for when
    none waits, so what waited before it may be taken up as soon as it is queued.
    """

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials
        told = (trial for trial in trials if "order" in trial.user_attrs)
        self._tells = deque(sorted(told, key=lambda trial: trial.user_attrs["order"]))
        self._repairs = [trial for trial in trials if "repaired_at" in trial.user_attrs]
        self._under_way: dict[int, Trial] = {}
        self._told = self._asks = self._queued = self._cut_off = 0

    def run(self) -> Replay:
        differs = ""
        for trial in self._trials:
            if _queued(trial):
                self._study.enqueue_trial(trial.system_attrs["fixed_params"])
                self._ask(trial)
                self._queued += 1
            elif "told_before" in trial.user_attrs:
                self._tell(trial.user_attrs["told_before"])
                self._repair(trial.number)
                differs = self._ask(trial)
            elif trial.state.is_finished():  # imported, or cut off in the ask
                self._study.add_trial(trial)
                self._cut_off += "repaired_at" in trial.user_attrs
            else:
                break  # the ask that a driver is at
            if differs:
                break
        return Replay(self._asks, self._queued, self._cut_off, differs)

    def _ask(self, recorded: FrozenTrial) -> str:
        """What differs in one ask from its record."""
        trial = self._study.ask(recorded.distributions)
        self._under_way[trial.number] = trial
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
        for recorded in self._repairs:
            if recorded.user_attrs["repaired_at"] <= created:
                self._end(recorded)

    def _end(self, recorded: FrozenTrial) -> None:
        from optuna.trial import TrialState

        trial = self._under_way.pop(recorded.number, None)
        if trial is None:
            return
        for key, value in recorded.constraints.items():
            trial.set_constraint(key, value)
        for key, value in recorded.user_attrs.items():
            trial.set_user_attr(key, value)
        done = recorded.state == TrialState.COMPLETE
        self._study.tell(trial, recorded.values if done else None, recorded.state)


def _queued(trial: FrozenTrial) -> bool:
    """Whether it was put in the queue, and not chosen by the sampler."""
    return "fixed_params" in trial.system_attrs
