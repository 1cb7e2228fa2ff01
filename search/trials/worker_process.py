"""A worker process of this machine, from inside and from outside.

It leads a process group of its own: an interrupt at the terminal reaches the driver alone, and what
the evaluator started ends with its worker. It ends when its driver does, however that ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from types import ModuleType

from palmette.search.trials.measuring import in_one_line, measured, name, prepared
from palmette.search.trials.task import Outcome, Task
from palmette.space.errors import InputError

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
GONE = (EOFError, OSError, pickle.UnpicklingError)
"""What reading from a worker that was killed raises."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has opened the evaluator."""

    worker: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """A worker can't open the evaluator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A task ended."""

    at: float
    """Of the clock that processes of a machine share, seconds."""
    outcome: Outcome


Message = Ready | Unfit | Ended


class WorkerProcess:
    """One process, and what it is busy with.

    Args:
        evaluator: pickled.
        threads: of its numeric libraries, unless the environment says otherwise.
        restarts: of its place, so far.
        done: outcomes of its place, so far.
        main: whether it needs the driver's main module, which it then imports.
    """

    def __init__(
        self, evaluator: bytes, threads: int, restarts: int = 0, done: int = 0, main: bool = False
    ) -> None:
        self.pipe, theirs = get_context("spawn").Pipe()
        # not a daemon: those may have no children, and loading images is done by children
        self.process = get_context("spawn").Process(target=_work, args=(theirs, evaluator))
        with _environment(threads), nullcontext() if main else _no_main():
            self.process.start()
        theirs.close()
        self.name = f"{name().rpartition(':')[0]}:{self.process.pid}"
        self.task: Task | None = None
        self.ready = False
        self.since = time.monotonic()  # of its start, then of its task
        self.restarts, self.done = restarts, done

    def begin(self, task: Task) -> None:
        """Give it a task; if it is dead, `wait` will see."""
        self.task = task
        if self.ready:
            self.since = time.monotonic()
        with suppress(OSError):
            self.pipe.send(task)

    def seconds(self) -> float:
        """On its task, once it is ready."""
        return time.monotonic() - self.since if self.ready and self.task is not None else 0.0

    def messages(self) -> list[Message]:
        """What it has said, also just before it died."""
        found: list[Message] = []
        with suppress(*GONE):
            while self.pipe.poll():
                found.append(self.pipe.recv())
        return found

    def end(self) -> str:
        """Kill it, and whatever it started; how it had ended, in words, if it was dead before."""
        process = self.process.pid or 0
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process, signal.SIGKILL)
        if connection.wait([self.process.sentinel], 0) == []:
            self.process.kill()  # it has no group of its own yet
        self.process.join()
        self.pipe.close()
        code = self.process.exitcode or 0
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


def _work(pipe: Connection, evaluator: bytes) -> None:
    """Measure task after task, until the driver is gone."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    try:
        opened = prepared(pickle.loads(evaluator))  # our own driver pickled it
    except InputError as error:
        pipe.send(Unfit(str(error)))
        return
    except BaseException as error:
        pipe.send(
            Unfit(f"what measures accuracy can't be opened by a worker ({in_one_line(error)})")
        )
        return
    pipe.send(Ready(name()))
    with suppress(EOFError, OSError):
        while True:
            outcome = measured(opened, pipe.recv())
            pipe.send(Ended(time.monotonic(), outcome))


def _end_with_driver() -> None:
    driver = parent_process()
    if driver is not None:
        connection.wait([driver.sentinel])
        os.killpg(0, signal.SIGKILL)


@contextmanager
def _no_main() -> Iterator[None]:
    """Let a process that starts now not import the script again: it would search anew itself."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Environment of a process that starts now: libraries read it before our code could speak."""
    unset = [key for key in THREADS if key not in os.environ]
    os.environ.update(dict.fromkeys(unset, str(threads)))
    try:
        yield
    finally:
        for key in unset:
            os.environ.pop(key, None)
