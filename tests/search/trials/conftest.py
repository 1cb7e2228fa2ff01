"""What tests of executors share."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.search.trials.task import Executor, Outcome, Task

PATIENCE_S = 240.0
Collect = Callable[[Executor, int], list[Outcome]]


@pytest.fixture(scope="session")
def collect() -> Collect:
    """Waits for a number of outcomes."""

    def wait(executor: Executor, count: int) -> list[Outcome]:
        found: list[Outcome] = []
        end = time.monotonic() + PATIENCE_S
        while len(found) < count and time.monotonic() < end:
            found += executor.wait(1.0)
        return found

    return wait


@pytest.fixture(scope="session")
def runs() -> Callable[[int], bool]:
    """Whether a process runs."""

    def look(process: int) -> bool:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"

    return look


@pytest.fixture(scope="session")
def finish() -> Callable[[Executor, list[Task], Callable[[int], None]], list[Outcome]]:
    """Runs tasks to their end as a driver does: what was lost is submitted again."""

    def run(executor: Executor, tasks: list[Task], told: Callable[[int], None]) -> list[Outcome]:
        waiting, found, flying = list(reversed(tasks)), [], 0
        end = time.monotonic() + PATIENCE_S
        while (waiting or flying) and time.monotonic() < end:
            while waiting and flying < executor.workers:
                executor.submit(waiting.pop())
                flying += 1
            for outcome in executor.wait(0.5):
                flying -= 1
                if outcome.fate == "lost" and outcome.task.attempt < 5:
                    again = outcome.task.attempt + 1
                    waiting.append(
                        Task(outcome.task.trial, outcome.task.architecture, 0, None, again)
                    )
                else:
                    found.append(outcome)
            told(len(found))
        return found

    return run
