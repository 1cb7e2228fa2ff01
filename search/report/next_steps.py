"""What to do with a finished run: command lines that take it further."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from palmette.search.accuracy import PRIOR
from palmette.search.problem import SearchProblem
from palmette.search.report.opened import FINISHED, OpenedRun
from palmette.search.trials.function import FUNCTION

Step = tuple[str, str]
"""What it is for, and the command."""


def next_steps(opened: OpenedRun) -> Iterator[Step]:
    """Commands in the order in which they are of use; none before the run is finished.

    `IMAGES` and `FILE` stand for what the reader has to name.
    """
    if opened.state == FINISHED and len(opened.front):
        yield from steps(opened.folder.path, opened.problem)


def steps(run: Path, problem: SearchProblem) -> Iterator[Step]:
    """Commands that take a finished run further, by its folder; see `next_steps`."""
    folder = shlex.quote(str(run))
    if problem.joined is None:
        yield (
            "Ship it: a Core ML package with fresh weights, to be timed on a phone",
            f"palmette search --resume {folder} --export",
        )
        yield (
            "Believe it: train networks of the front, and see whether the order holds",
            f"palmette train --run {folder}{_images(problem)}",
        )
    if problem.joined is None and problem.reward is None:
        yield (
            "Time it: what to measure on your own phone, the pick and its neighbours first",
            f"palmette latency plan --run {folder} --out FILE.csv",
        )


def _images(problem: SearchProblem) -> str:
    """The option that names images, where the run has none of its own."""
    own = problem.accuracy.rung in (PRIOR, FUNCTION)
    return " --data IMAGES" if own else ""
