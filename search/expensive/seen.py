"""What the trials of a study have tried and found; each finished trial is read once."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from palmette.search.expensive.known import Known, key_of
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from optuna.study import Study

Floats = NDArray[np.float64]

MOST = 400
"""Results that a belief is made of: the cost of a choice does not grow beyond."""
_READING = threading.Lock()  # of the module: what holds a lock could not be pickled


@dataclass(frozen=True, slots=True)
class Results:
    """Finished trials in the order in which they were told; arrays of n rows."""

    codes: Codes
    top1: Floats
    sigma: Floats

    def __len__(self) -> int:
        return len(self.codes)

    def chosen(self, index: NDArray[np.int64]) -> Results:
        """Some of them."""
        return Results(self.codes[index], self.top1[index], self.sigma[index])

    def joined(self, more: Results) -> Results:
        """These and more."""
        both = zip(
            (self.codes, self.top1, self.sigma), (more.codes, more.top1, more.sigma), strict=True
        )
        return Results(*(np.concatenate(pair) for pair in both))

    @property
    def key(self) -> bytes:
        """Equal for equal results in equal order."""
        whole = b"".join(part.tobytes() for part in (self.codes, self.top1, self.sigma))
        return hashlib.sha256(whole).digest()

    def first(self, count: int) -> Results:
        """The first ones."""
        return Results(self.codes[:count], self.top1[:count], self.sigma[:count])


def near_front(ms: Floats, top1: Floats) -> NDArray[np.int64]:
    """Indices of at most `MOST` results: half nearest to the front, half the latest others."""
    count = len(ms)
    if count <= MOST:
        return np.arange(count)
    order = np.lexsort((-top1, ms))
    short = np.empty(count)
    short[order] = np.maximum.accumulate(top1[order]) - top1[order]
    near = np.argsort(short, kind="stable")[: MOST // 2]
    others = np.setdiff1d(np.arange(count), near)[-(MOST - MOST // 2) :]
    return np.sort(np.concatenate([near, others]))


@dataclass(frozen=True, slots=True)
class Tried:
    """Everything that a study has on networks, but for one trial."""

    results: Results
    ms: Floats
    """First value of each result's trial (n,)."""
    running: Codes
    """Codes that are measured now or wait for it (n, genes)."""
    taken: set[bytes]
    """Keys of all codes that some trial has, whatever its state."""


class Seen:
    """Reads a study again and again; the work follows the trials that are new or open.

    One reader serves one study; for another study it begins anew.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._study = ""
        self._next = 0
        self._open: list[int] = []
        self._order: list[int] = []
        self._results, self._ms = self._none()
        self._finished: set[bytes] = set()

    def read(self, study: Study, trial: FrozenTrial) -> Tried:
        """What is there before a trial is asked for."""
        with _READING:
            trials = study.get_trials(deepcopy=False)
            if study.study_name != self._study or len(trials) < self._next:
                self.__init__(self._known)  # type: ignore[misc]
                self._study = study.study_name
            running = self._advance(trials, trial.number)
            taken = self._finished | {key_of(code) for code in running}
            open_codes = np.array(running, dtype=np.int64).reshape(-1, len(self._known.space.genes))
            return Tried(self._results, self._ms, open_codes, taken)

    def _none(self) -> tuple[Results, Floats]:
        codes = np.empty((0, len(self._known.space.genes)), np.int64)
        return Results(codes, np.empty(0), np.empty(0)), np.empty(0)

    def _advance(self, trials: list[FrozenTrial], asked: int) -> list[Codes]:
        """Take in what finished since; codes of the open trials but for the one asked for."""
        still, running, new = [], [], []
        for number in [*self._open, *range(self._next, len(trials))]:
            trial = trials[number]
            code = self._known.code({**trial.system_attrs.get("fixed_params", {}), **trial.params})
            if not trial.state.is_finished():
                still.append(number)
                if code is not None and number != asked:
                    running.append(code)
            elif code is not None:
                self._finished.add(key_of(code))
                if trial.state == TrialState.COMPLETE and len(trial.values or ()) == 2:
                    new.append((trial, code))
        self._open, self._next = still, len(trials)
        if new:
            self._add(new)
        return running

    def _add(self, new: list[tuple[FrozenTrial, Codes]]) -> None:
        """Put results in their place: by their order among the tells, else by their number."""
        attrs = [trial.user_attrs for trial, _ in new]
        values = [trial.values for trial, _ in new]
        more = Results(
            np.array([code for _, code in new]),
            np.array([float(a.get("top1", v[1])) for a, v in zip(attrs, values, strict=True)]),
            np.array([float(a.get("sigma", 0.0)) for a in attrs]),
        )
        results = self._results.joined(more)
        ms = np.append(self._ms, [float(value[0]) for value in values])
        order = [int(a.get("order", t.number)) for a, (t, _) in zip(attrs, new, strict=True)]
        self._order += order
        place = np.argsort(self._order, kind="stable")
        self._order = [self._order[index] for index in place]
        self._results, self._ms = results.chosen(place), ms[place]
