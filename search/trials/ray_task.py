"""What Ray runs: a task as a pure function, and the board on which workers note that they begin."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any

from palmette.search.trials.measuring import in_one_line, measured, name, prepared
from palmette.search.trials.task import Evaluator, Outcome, Task

Key = int
"""Number of a submission: trials of two studies may share theirs."""
_opened: dict[str, Evaluator] = {}
"""One evaluator of this process, by id: Ray's processes are used for task after task."""


class Board:
    """Which worker began which task, and how long ago; by the board's own clock."""

    def __init__(self) -> None:
        self._begun: dict[Key, tuple[str, float]] = {}

    def begin(self, key: Key, worker: str) -> None:
        """Note that a worker begins."""
        self._begun[key] = worker, time.monotonic()

    def read(self, keys: list[Key]) -> dict[Key, tuple[str, float]]:
        """Worker and seconds of the tasks asked about, as far as they have begun; forget others."""
        self._begun = {key: self._begun[key] for key in keys if key in self._begun}
        now = time.monotonic()
        return {key: (worker, now - since) for key, (worker, since) in self._begun.items()}


def measure(held: list[Any], id: str, folder: str, board: Any, key: Key, task: Task) -> Outcome:
    """Outcome of a task.

    Args:
        held: reference of the evaluator, fetched only where it is not open.
        id: of the evaluator.
        folder: working folder of the driver, taken where it exists.
        board: told of the begin.
        key: by which it is told.
        task: to be measured.
    """
    try:
        evaluator = _open(held, id, folder)
    except Exception as error:
        return Outcome(task, "failed", reason=in_one_line(error), worker=name())
    board.begin.remote(key, name())
    return measured(evaluator, task)


def check(held: list[Any], id: str, folder: str) -> None:
    """Open the evaluator in a worker; raises what that raises."""
    _open(held, id, folder)


def _open(held: list[Any], id: str, folder: str) -> Evaluator:
    if id not in _opened:
        import ray

        with suppress(OSError):
            os.chdir(folder)
        evaluator = prepared(ray.get(held[0]))
        _opened.clear()  # one's data at a time
        _opened[id] = evaluator
    return _opened[id]
