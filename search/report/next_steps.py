"""What to do with a finished run: command lines that take it further."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.search.accuracy import PRIOR
from palmette.search.expensive.fresh import UNSEEDED, confirmed_pick
from palmette.search.problem import SearchProblem
from palmette.search.report.opened import FINISHED, OpenedRun
from palmette.search.trials.function import FUNCTION

if TYPE_CHECKING:
    import pandas as pd

Step = tuple[str, str]
"""What it is for, and the command."""
BELIEVE = "Believe it"
"""What steps are for that put the accuracies to the proof."""


def next_steps(opened: OpenedRun) -> Iterator[Step]:
    """Commands in the order in which they are of use; none before the run is finished.

    `IMAGES` and `FILE` stand for what the reader has to name.
    """
    if opened.state == FINISHED and len(opened.front):
        yield from steps(opened.folder.path, opened.problem, opened.front)


def steps(run: Path, problem: SearchProblem, front: pd.DataFrame) -> Iterator[Step]:
    """Commands that take a finished run with a front further, by its folder; see `next_steps`."""
    folder = shlex.quote(str(run))
    if problem.joined is None:
        yield (
            "Ship it: a Core ML package with fresh weights, to be timed on a phone",
            f"palmette search --resume {folder} --export",
        )
    if problem.accuracy.rung not in UNSEEDED and not confirmed_pick(front):
        yield (
            f"{BELIEVE}: train the winners anew, with seeds that nothing was selected by",
            f"palmette confirm {folder}",
        )
    if problem.joined is None:
        yield (
            f"{BELIEVE}: train networks of the front, and see whether the order holds",
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
