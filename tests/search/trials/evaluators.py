"""Evaluators that do what users' functions do on bad days; workers import them from here."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from dataclasses import dataclass

from palmette.search.trials.task import Task
from palmette.space import Architecture, InputError


@dataclass(frozen=True)
class Scripted:
    """Does what the architecture's text says: a number, or one of the words below."""

    id: str = "scripted"

    def __call__(self, task: Task) -> tuple[float, float]:
        word, _, rest = task.architecture.partition(" ")
        if word == "raise":
            raise ValueError(f"first line\n{rest}")
        if word == "exit":
            raise SystemExit(3)
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            time.sleep(600)
        if word == "parent":
            subprocess.run(["sleep", "600"])
        if word == "sleep":
            time.sleep(float(rest))
            return float(os.getpid()), 0.0
        if word == "later":
            time.sleep(0.5)
            return float(rest), 0.0
        if word == "nan":
            return math.nan, 0.1
        if word == "none":
            return None  # type: ignore[return-value]
        if word == "threads":
            return float(os.environ["OMP_NUM_THREADS"]), 0.0
        return float(word), 0.25


@dataclass(frozen=True)
class Unprepared(Scripted):
    """Can measure nowhere but in the process that made it."""

    id: str = "unprepared"
    home: int = 0

    def prepare(self) -> None:
        if os.getpid() != self.home:
            raise InputError("FILE.py:NAME: can't be imported by a worker (no module 'x')")


def width(architecture: Architecture) -> float:
    """A function as a user would write it."""
    return float(architecture.stem.channels)
