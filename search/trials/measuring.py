"""One task, measured in the process at hand: whatever the evaluator does, an outcome comes of it.

Every executor ends here, so that a NaN or an exception reads the same wherever it happened.
"""

from __future__ import annotations

import math
import os
import platform
import time
from typing import Protocol, runtime_checkable

from palmette.search.trials.task import Evaluator, Outcome, Task

MOST_CHARACTERS = 300
"""Of a reason."""


@runtime_checkable
class Prepares(Protocol):
    """An evaluator that can tell at once whether a process is fit to measure."""

    def prepare(self) -> None:
        """Open what tasks need; called in a worker before its first task.

        Raises:
            InputError: no task can be measured in this process.
        """
        ...


def prepared(evaluator: Evaluator) -> Evaluator:
    """The evaluator, once it is ready for its first task."""
    if isinstance(evaluator, Prepares):
        evaluator.prepare()
    return evaluator


def measured(evaluator: Evaluator, task: Task) -> Outcome:
    """Outcome of a task: `done` with finite numbers, or `failed` with the reason."""
    begin = time.perf_counter()
    try:
        top1, sigma = evaluator(task)
        top1, sigma = float(top1), float(sigma)
        reason = "" if math.isfinite(top1) and math.isfinite(sigma) else _not_finite(top1, sigma)
    except (Exception, SystemExit) as error:
        reason = in_one_line(error)
    seconds = time.perf_counter() - begin
    if reason:
        return Outcome(task, "failed", reason=reason, seconds=seconds, worker=name())
    return Outcome(task, "done", top1, sigma, seconds=seconds, worker=name())


def in_one_line(error: BaseException) -> str:
    """Kind and last line of an error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    return (f"{kind}: {lines[-1]}" if lines else kind)[:MOST_CHARACTERS]


def name() -> str:
    """`host:pid` of this process."""
    return f"{platform.node() or 'localhost'}:{os.getpid()}"


def _not_finite(top1: float, sigma: float) -> str:
    return f"top-1 {top1} with standard deviation {sigma}: must be finite numbers"
