"""One measurement: what a worker is told, what comes back, and what runs it.

An evaluator is a pure function of its task, so that it may run anywhere, and again after a worker
died. The driver alone asks the sampler, keeps the study and counts attempts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from palmette.space.errors import InputError

ATTEMPTS = 3
"""Times that a network is begun whose worker or driver dies of it; then it is given up."""

Fate = Literal["done", "failed", "timeout", "lost"]
"""`failed`: the evaluator raised, or gave no finite number; `lost`: its worker died."""


class UsedUp(InputError):
    """No network is left to measure; a search ends with those that it has."""


@dataclass(frozen=True, slots=True)
class Task:
    """One network to be measured."""

    trial: int
    """Number of its trial."""
    architecture: str
    """The network's text."""
    seed: int = 0
    """Of the training, where there is one."""
    epochs: int | None = None
    """Length of the training; None: the evaluator's own."""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task."""

    task: Task
    fate: Fate
    top1: float = math.nan
    """In %; finite if done."""
    sigma: float = math.nan
    """Standard deviation of it, points; finite if done."""
    reason: str = ""
    """In one line, why there is no value."""
    seconds: float = math.nan
    worker: str = ""
    """`host:pid`."""


class Evaluator(Protocol):
    """What measures a network; it travels to workers, so it must pickle and be light.

    Heavy parts are opened at the first call and kept by the process.
    """

    @property
    def id(self) -> str:
        """Hash of everything that its answers depend on."""
        ...

    def __call__(self, task: Task) -> tuple[float, float]:
        """Top-1 in % and its standard deviation in points; may raise anything."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """What one worker does."""

    worker: str
    task: Task | None
    seconds: float
    """On this task."""
    done: int
    restarts: int


class Executor(Protocol):
    """What runs tasks. A context manager; when it is left, nothing of it runs any more."""

    @property
    def workers(self) -> int:
        """Tasks that may run at once, at present."""
        ...

    def submit(self, task: Task) -> None:
        """Begin a task; at most `workers` are submitted and not yet returned by `wait`."""
        ...

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes since the last call, in the order they ended; none if none ends in time."""
        ...

    def health(self) -> Sequence[WorkerHealth]:
        """All workers."""
        ...

    def close(self) -> None:
        """Stop what runs, at once."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, *_: object) -> None: ...
