"""Successive halving of training epochs for two objectives: many begin, the promising go on.

After each rung the best share 1/eta by Pareto rank of (milliseconds, accuracy so far) goes on to
the next, from where it stands. Optuna has no pruning for more than one objective. Synchronous: a
rung ends before the next begins (Jamieson & Talwalkar 2016). Asynchronous, for many workers: what
is among the best 1/eta of those seen at a rung goes on at once (ASHA, Li et al. 2020).

The state is a function of the outcomes that were told, so a search that was killed is told what was
finished, and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from palmette.search.expensive.pareto_rank import best
from palmette.search.front import Floats
from palmette.search.trials.task import Executor, Outcome, Task
from palmette.search.trials.work import run_work
from palmette.space.errors import expect
from palmette.train import TIE_POINTS

if TYPE_CHECKING:
    import pandas as pd

ETA = 3


def rungs_of(last: int, eta: int = ETA, first: int = 1) -> tuple[int, ...]:
    """Epochs of the rungs, each `eta` times the one before, rounded, up to the last.

    Raises:
        InputError: a number out of range.
    """
    expect(eta >= 2, f"halving: eta must be at least 2, got {eta}")
    expect(1 <= first <= last, f"halving: the first rung must be 1 to {last} epochs, got {first}")
    found, epochs = [last], last / eta
    while epochs >= first:
        found.append(round(epochs))
        epochs /= eta
    return tuple(sorted(set(found)))


@dataclass(frozen=True, slots=True)
class Contender:
    """A network at the start."""

    trial: int
    architecture: str
    ms: float


class Halving:
    """One bracket: what to train next, given what came of it so far.

    Args:
        contenders: networks with different trial numbers, in the order in which they begin.
        rungs: epochs after which the best share goes on, rising; the last is the whole training.
        eta: one of so many goes on.
        budget_ms: of a network; those above it go on last.
        tie_points: accuracies this close tie.
        asynchronous: do not wait for a rung to end.
        seed: of the trainings.

    Raises:
        InputError: no networks, a number that occurs twice, or rungs that do not rise.
    """

    def __init__(
        self,
        contenders: Sequence[Contender],
        rungs: Sequence[int],
        *,
        eta: int = ETA,
        budget_ms: float = math.inf,
        tie_points: float = TIE_POINTS,
        asynchronous: bool = False,
        seed: int = 0,
    ) -> None:
        numbers = [contender.trial for contender in contenders]
        rising = all(a < b for a, b in zip(rungs, rungs[1:], strict=False))
        expect(bool(numbers), "halving: needs at least one network")
        expect(len(set(numbers)) == len(numbers), "halving: a trial occurs twice")
        expect(bool(rungs) and rising, f"halving: rungs must rise, got {tuple(rungs)}")
        expect(eta >= 2, f"halving: eta must be at least 2, got {eta}")
        self.contenders = {contender.trial: contender for contender in contenders}
        self.rungs, self.eta, self.seed = tuple(rungs), eta, seed
        self.budget_ms, self.tie_points, self.asynchronous = budget_ms, tie_points, asynchronous
        self._given: list[dict[int, None]] = [{} for _ in rungs]  # in the order of their begin
        self._told: list[dict[int, Outcome]] = [{} for _ in rungs]

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing is left to train."""
        return not self._next(1) and self._waiting() == 0

    @property
    def spent(self) -> int:
        """Epochs of all trainings so far, each going on from where its last rung ended."""
        reached: dict[int, int] = {}
        for epochs, told in zip(self.rungs, self._told, strict=True):
            reached |= dict.fromkeys(told, epochs)
        return sum(reached.values())

    def next_tasks(self, count: int) -> list[Task]:
        """At most so many tasks to begin now; none where all depends on what still runs."""
        tasks = []
        for rung, trial in self._next(count):
            self._given[rung][trial] = None
            text = self.contenders[trial].architecture
            tasks.append(Task(trial, text, self.seed, self.rungs[rung]))
        return tasks

    def tell(self, outcome: Outcome) -> None:
        """Take the end of a task, also of one that an earlier process began.

        Raises:
            InputError: its trial or its epochs are none of these.
        """
        trial, epochs = outcome.task.trial, outcome.task.epochs
        expect(
            trial in self.contenders and epochs in self.rungs,
            f"halving: an outcome of trial {trial} at {epochs} epochs, which is none of its rungs"
            f" {self.rungs}",
        )
        rung = self.rungs.index(epochs or 0)
        self._given[rung].setdefault(trial)
        self._told[rung][trial] = outcome

    def results(self, trial: int) -> list[Outcome]:
        """What came of a network, rung by rung."""
        return [told[trial] for told in self._told if trial in told]

    def whole(self) -> list[Outcome]:
        """Networks that were trained to the last epoch."""
        return [outcome for outcome in self._told[-1].values() if outcome.fate == "done"]

    def frame(self) -> pd.DataFrame:
        """A row for each rung of each network: what it reached, and whether it went on."""
        import pandas as pd

        rows = [
            {
                "trial": trial,
                "rung": rung,
                "epochs": self.rungs[rung],
                "ms": self.contenders[trial].ms,
                "top1": outcome.top1,
                "sigma": outcome.sigma,
                "promoted": rung + 1 < len(self.rungs) and trial in self._given[rung + 1],
                "fate": outcome.fate,
                "reason": outcome.reason,
                "architecture": self.contenders[trial].architecture,
            }
            for rung, told in enumerate(self._told)
            for trial, outcome in sorted(told.items())
        ]
        return pd.DataFrame(rows)

    def _waiting(self) -> int:
        """Tasks that were given out, and not told of."""
        pairs = zip(self._given, self._told, strict=True)
        return sum(len(given.keys() - told.keys()) for given, told in pairs)

    def _next(self, count: int) -> list[tuple[int, int]]:
        """(rung, trial) of what may begin, the highest rungs first."""
        found: list[tuple[int, int]] = []
        members, closed = list(self.contenders), True
        for rung, (given, told) in enumerate(zip(self._given, self._told, strict=True)):
            found += [(rung, trial) for trial in members if trial not in given]
            # no more networks can come to the rung, and what came of all is known
            closed = closed and {*members, *given} <= told.keys()
            members = self._promoted(rung, closed)
        return sorted(found, key=lambda item: -item[0])[:count]

    def _promoted(self, rung: int, closed: bool) -> list[int]:
        """Who goes on from a rung, best first, as far as is known."""
        told = self._told[rung]
        quota = -(-len(told) // self.eta) if closed else 0
        if self.asynchronous:
            quota = max(quota, len(told) // self.eta)
        trials = [trial for trial in sorted(told) if told[trial].fate == "done"]
        ms = np.array([self.contenders[trial].ms for trial in trials])
        top1 = np.array([told[trial].top1 for trial in trials])
        return [trials[at] for at in self._best(ms, top1, quota)]

    def _best(self, ms: Floats, top1: Floats, quota: int) -> list[int]:
        if not quota or not len(ms):
            return []
        limits = {"budget_ms": self.budget_ms, "tie_points": self.tie_points}
        found: list[int] = best(ms, top1, quota, **limits).tolist()
        return found


def halve(halving: Halving, executor: Executor) -> pd.DataFrame:
    """Run a bracket to its end, see `run_work`; what came of it, see `Halving.frame`."""
    run_work(halving, executor)
    return halving.frame()
