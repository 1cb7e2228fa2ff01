"""Work whose next tasks depend on what came of others, run to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from palmette.search.trials.task import ATTEMPTS, Executor, Outcome, Task

POLL_S = 1.0


class Work(Protocol):
    """Tasks that depend on what came of others."""

    def next_tasks(self, count: int) -> Sequence[Task]:
        """At most so many tasks to begin now; none at the end, or while all waits for others."""
        ...

    def tell(self, outcome: Outcome) -> None:
        """Take the end of a task, also of one that an earlier process began."""
        ...


def run_work(
    work: Work,
    executor: Executor,
    told: Callable[[Outcome], None] | None = None,
    looked: Callable[[], None] | None = None,
) -> None:
    """Run work to its end; a task whose worker died is given out again, three times in all.

    Args:
        work: is told of every outcome.
        executor: whose workers nobody else keeps busy.
        told: called with every outcome before the work is, to keep it.
        looked: called now and then, also while none ends.
    """
    running = 0
    while True:
        tasks = work.next_tasks(executor.workers - running)
        for task in tasks:
            executor.submit(task)
        running += len(tasks)
        if not running:
            return
        for outcome in executor.wait(POLL_S):
            if outcome.fate == "lost" and outcome.task.attempt < ATTEMPTS:
                executor.submit(replace(outcome.task, attempt=outcome.task.attempt + 1))
                continue
            running -= 1
            if told is not None:
                told(outcome)
            work.tell(outcome)
        if looked is not None:
            looked()
