"""Worker processes of one machine, which a timeout can kill and whose death is noticed.

Each has a pipe of its own, so that no lock is left behind by one that was killed at any moment
(pebble's pool, whose workers share one, broke when an idle worker was killed).
"""

from __future__ import annotations

import logging
import os
import pickle
import time
import weakref
from multiprocessing import connection
from typing import Any, Self

from palmette.search.trials.measuring import in_one_line
from palmette.search.trials.task import Evaluator, Outcome, Task, WorkerHealth
from palmette.search.trials.worker_process import Ended, Ready, Unfit, WorkerProcess
from palmette.space.errors import InputError

MOST_STARTS = 3
"""In a row that end before a worker is ready."""
START_SECONDS = 180.0
"""For a worker to open the evaluator; after that the others go on alone."""


class Processes:
    """An executor of processes on this machine; each opens the evaluator once and keeps it.

    The cores are shared out to the workers' threads, unless the environment says otherwise.

    Args:
        evaluator: what measures; it must pickle.
        workers: how many, from 1.
        timeout_s: of a task, seconds; None: no limit.

    Raises:
        InputError: workers can't open the evaluator; they die as they start.
    """

    def __init__(self, evaluator: Evaluator, workers: int, timeout_s: float | None = None) -> None:
        self.timeout_s = timeout_s
        try:
            self._evaluator = pickle.dumps(evaluator)
        except Exception as error:
            raise InputError(
                f"what measures accuracy can't be sent to workers ({in_one_line(error)}); it must"
                " be importable, with plain values"
            ) from None
        self._threads = max(1, _cores() // workers)
        self._main = type(evaluator).__module__ == "__main__"
        self._late_told = False
        self._workers: list[WorkerProcess] = []
        self._failed_starts = 0
        self._ended: list[tuple[float, Outcome]] = []
        self._finalizer = weakref.finalize(self, _end, self._workers)  # also as Python exits
        try:
            for _ in range(workers):
                self._workers.append(self._started())
            while not any(worker.ready for worker in self._workers):
                self._listen(1.0)
                self._stop_late()
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """See `Executor`."""
        return len(self._workers)

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        free = [worker for worker in self._workers if worker.task is None]
        assert free, "more tasks than workers"
        next((worker for worker in free if worker.ready), free[0]).begin(task)

    def wait(self, seconds: float) -> list[Outcome]:
        """See `Executor`.

        Raises:
            InputError: workers can no longer open the evaluator, or die as they start.
        """
        end = time.monotonic() + seconds
        while True:
            self._listen(max(0.0, min(end - time.monotonic(), self._patience_s())))
            self._stop_late()
            if self._ended or time.monotonic() >= end:
                break
        found = [outcome for _, outcome in sorted(self._ended, key=lambda ended: ended[0])]
        self._ended.clear()
        return found

    def health(self) -> list[WorkerHealth]:
        """See `Executor`."""
        return [
            WorkerHealth(w.name, w.task, w.seconds(), w.done, w.restarts) for w in self._workers
        ]

    def close(self) -> None:
        """See `Executor`."""
        _end(self._workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self, seconds: float) -> None:
        """Wait for a word or a death, and take note of all that came."""
        heard: list[Any] = [worker.pipe for worker in self._workers]
        heard += [worker.process.sentinel for worker in self._workers]
        came = connection.wait(heard, seconds)
        for place, worker in enumerate(self._workers):
            if worker.pipe in came or worker.process.sentinel in came:
                for message in worker.messages():
                    self._note(worker, message)
            if worker.process.sentinel in came:
                self._replace(place, "lost", "its worker died")

    def _note(self, worker: WorkerProcess, message: Ready | Unfit | Ended) -> None:
        if isinstance(message, Unfit):
            raise InputError(message.reason)
        if isinstance(message, Ready):
            worker.ready, worker.since = True, time.monotonic()
            self._failed_starts = 0
        else:
            self._ended.append((message.at, message.outcome))
            worker.task, worker.done = None, worker.done + 1

    def _stop_late(self) -> None:
        self._look_at_starts()
        for place, worker in enumerate(self._workers):
            if self.timeout_s is not None and worker.seconds() > self.timeout_s:
                self._replace(place, "timeout", f"took longer than {self.timeout_s:g} s")

    def _look_at_starts(self) -> None:
        """Say that a worker takes long to be ready; the others go on without it, if there are."""
        now = time.monotonic()
        if all(w.ready or now - w.since <= START_SECONDS for w in self._workers):
            return
        said = (
            f"a worker was not ready after {START_SECONDS:.0f} s; what it imports hangs, or the"
            " machine is too busy"
        )
        if not any(worker.ready for worker in self._workers):
            raise InputError(said)
        if not self._late_told:
            self._late_told = True
            logging.getLogger("palmette").warning("%s; the others go on", said)

    def _started(self, restarts: int = 0, done: int = 0) -> WorkerProcess:
        return WorkerProcess(self._evaluator, self._threads, restarts, done, self._main)

    def _replace(self, place: int, fate: Any, reason: str) -> None:
        """End a worker, with its task, and start another in its place."""
        old = self._workers[place]
        seconds, how = old.seconds(), old.end()
        if fate == "lost":
            reason = f"{reason} ({how})"
        if old.task is not None:
            outcome = Outcome(old.task, fate, reason=reason, seconds=seconds, worker=old.name)
            self._ended.append((time.monotonic(), outcome))
        self._failed_starts += not old.ready
        if self._failed_starts >= MOST_STARTS:
            guard = "; a script must search under if __name__ == '__main__':" if self._main else ""
            raise InputError(f"workers die as they start ({how}, {MOST_STARTS} in a row){guard}")
        done = old.done + (old.task is not None)
        self._workers[place] = self._started(old.restarts + 1, done)

    def _patience_s(self) -> float:
        """Until the next task is late."""
        if self.timeout_s is None:
            return 3600.0
        busy = [worker.seconds() for worker in self._workers if worker.task and worker.ready]
        return max(0.0, self.timeout_s - max(busy)) + 0.01 if busy else self.timeout_s


def _end(workers: list[WorkerProcess]) -> None:
    while workers:
        workers.pop().end()


def _cores() -> int:
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known is not None else os.cpu_count() or 1
