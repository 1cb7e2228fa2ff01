"""What to time after a search: picks of its front, and networks beside them that may be better.

A search takes the best of very many estimates, so its picks are estimated too well. Timed, they
show by how much; and their neighbours, one gene away, show whether the order was right where it
mattered.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette.latency.drift.noise import LEAST_DOF
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.planning.seconds import timing_seconds
from palmette.latency.suite.order import ANCHOR, run_order
from palmette.search.problem import Candidates, SearchProblem
from palmette.search.run import Run, resume
from palmette.search.run_folder import RunFolder
from palmette.search.trained_front import along
from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]

PICKS = 10
NEIGHBOURS = 3
"""Of each pick."""
ANCHORS = LEAST_DOF
"""First rows that are timed again and again: twice each, and the table tells its own noise."""


def finished_run(folder: Path) -> Run:
    """The finished run of a folder.

    Raises:
        InputError: no run, or one that is not finished.
    """
    found = RunFolder(folder)
    found.read_config()
    expect(
        found.front.is_file(),
        f"{folder}: its search is not finished; go on with palmette search --resume {folder}",
    )
    run = resume(folder)
    run.config.expect_one_target(str(folder))
    return run


def retime_plan(run: Run, picks: int = PICKS, neighbours: int = NEIGHBOURS) -> Plan:
    """Picks of a run's front and their neighbours, as a plan: the pick first, then by turns.

    The first of them are anchors too, in rows behind the others.

    Args:
        run: a finished one.
        picks: networks of the front, the pick among them, the others spread along it.
        neighbours: at most so many of each pick.

    Raises:
        InputError: no pick, or fewer than no neighbours.
    """
    expect(picks >= 1, f"picks: at least 1, got {picks}")
    expect(neighbours >= 0, f"neighbours: must not be negative, got {neighbours}")
    front = along(run.front, picks)
    # whoever stops early has timed the pick and what is nearest to it
    order = np.argsort(np.abs(np.arange(len(front)) - int(np.flatnonzero(front["pick"])[0])))
    front = front.iloc[order]
    known = set(run.front["id"])
    rows = []
    for text in front["architecture"]:
        pick = Architecture.from_text(str(text))
        rows.append(_planned(run, pick, "pick"))
        for network in _beside(run, pick, known, neighbours):
            known.add(network.id)
            rows.append(_planned(run, network, "neighbour"))
    first = rows[:ANCHORS]
    # as anchors they replace their rows, so these seconds are those of the repeats
    repeats = len(run_order(rows[ANCHORS:], first, 0)) - len(rows)
    again = repeats / len(first)
    anchors = (replace(row, role=ANCHOR, seconds=again * row.seconds) for row in first)
    return Plan((*rows, *anchors))


def _planned(run: Run, network: Architecture, role: str) -> Planned:
    problem = run.problem
    codes = problem.compiled_codes.full(problem.space.encode(network)[None, :])
    target, ms = problem.latency.predictor.model_.target, float(problem.latency.ms(codes)[0])
    seconds = timing_seconds(target, "network", ms)
    return Planned("network", network.to_text(), role, run.config.target, seconds)


def _beside(run: Run, pick: Architecture, known: set[str], count: int) -> list[Architecture]:
    """Neighbours of a pick that may be better than what the front has, the likeliest first."""
    problem = run.problem
    codes = problem.space.neighbours(problem.space.encode(pick))
    if not len(codes) or not count:
        return []
    found = unbudgeted(problem, codes)
    gap, reach = gaps(run.front, problem, found), found.ms / found.lower_ms
    close = (found.violation == 0) & (gap <= reach)
    chosen: list[Architecture] = []
    for at in np.argsort(gap, kind="stable"):
        network = problem.space.decode(codes[at])
        if close[at] and network.id not in known and len(chosen) < count:
            chosen.append(network)
    return chosen


def unbudgeted(problem: SearchProblem, codes: Codes) -> Candidates:
    """Estimates of codes (n, genes) whose violation leaves the budget out."""
    free = replace(problem, limits=replace(problem.limits, budget_ms=math.inf))
    return free.candidates(codes)


def gaps(front: pd.DataFrame, problem: SearchProblem, found: Candidates) -> Floats:
    """How much too slow networks are for the front, as factors of their predicted time, (n,).

    That is over the time of the fastest network of the front whose score is as good; of a score
    that the front does not reach, over the budget.
    """
    ms, score = front["ms"].to_numpy(np.float64), front["score"].to_numpy(np.float64)
    own = found.top1 - problem.limits.lam * found.sigma
    # the front is sorted by both; behind its last row stands the budget
    places = np.searchsorted(score, own, side="left")
    return np.asarray(found.ms / np.append(ms, problem.limits.budget_ms)[places])
