"""Measuring in the driver's own process: one task at a time, which nothing can stop.

For evaluators that cost nothing, and for tests.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Self

from palmette.search.trials.measuring import measured, name, prepared
from palmette.search.trials.task import Evaluator, Outcome, Task, WorkerHealth


class Here:
    """An executor of one worker, this process; a task runs while `wait` is called.

    Args:
        evaluator: what measures.

    Raises:
        InputError: the evaluator can't measure in this process.
    """

    workers = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = prepared(evaluator)
        self._tasks: deque[Task] = deque()
        self._done = 0

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        self._tasks.append(task)

    def wait(self, seconds: float) -> list[Outcome]:
        """See `Executor`; a task is measured to its end, however long it takes."""
        if not self._tasks:
            time.sleep(seconds)
            return []
        self._done += 1
        return [measured(self.evaluator, self._tasks.popleft())]

    def health(self) -> list[WorkerHealth]:
        """See `Executor`."""
        return [WorkerHealth(name(), None, 0.0, self._done, 0)]

    def close(self) -> None:
        """See `Executor`."""
        self._tasks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
