"""How a search stands: counts, hypervolume and trend, and what of it is shown where."""

from __future__ import annotations

import io
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from palmette.cli.progress import display, line, shown
from palmette.search.front import hypervolume
from palmette.search.trials.progress import RECENT, Snapshot, Tracker, searching
from palmette.search.trials.task import Task, WorkerHealth

POINT = st.tuples(st.integers(1, 12), st.integers(-2, 12))


@settings(max_examples=60, deadline=None)
@given(st.lists(POINT, min_size=1, max_size=30))
def test_the_hypervolume_that_is_counted_on_is_the_exact_one(points: list[tuple[int, int]]) -> None:
    tracker = Tracker(100, 10.0)
    for ms, score in points:
        tracker.finished(float(ms), float(score))
    objectives = np.array([(ms, -score) for ms, score in points], dtype=np.float64)
    exact = hypervolume(objectives, np.array([10.0, 0.0]))
    assert tracker.snapshot().hypervolume == pytest.approx(exact)


def test_a_trial_outside_the_limits_counts_as_done_and_nowhere_else() -> None:
    tracker = Tracker(10, 8.0)
    tracker.finished(4.0, 70.0)
    tracker.finished(2.0, 75.0, feasible=False)
    tracker.gave_up()
    found = tracker.snapshot(running=3)
    assert (found.done, found.failed, found.running, found.planned) == (2, 1, 3, 10)
    assert found.best == 70.0 and found.hypervolume == 4.0 * 70.0


def test_the_trend_is_what_the_last_trials_added() -> None:
    tracker = Tracker(200, 10.0)
    tracker.finished(5.0, 60.0)  # 300
    for _ in range(RECENT - 1):
        tracker.finished(9.0, 1.0)
    assert tracker.snapshot().trend == 1.0  # everything is of the last ones
    tracker.finished(5.0, 61.0)  # adds 5
    assert tracker.snapshot().trend == pytest.approx(5 / 305)


def test_the_time_to_go_is_the_median_duration_of_what_is_left_over_the_workers() -> None:
    tracker = Tracker(11, 10.0)
    assert math.isnan(tracker.snapshot().eta_s)
    for seconds in (10.0, 20.0, 300.0, math.nan):
        tracker.finished(5.0, 60.0, seconds=seconds)
    tracker.gave_up()
    assert tracker.snapshot(workers=2).eta_s == 20.0 * 6 / 2
    assert searching(250, 1000, 1.0, 2.0).eta_s == 6.0


def test_fifty_thousand_trials_are_told_as_fast_as_the_first_ones() -> None:
    rng = np.random.default_rng(0)
    points = [(float(ms), 60 + 2 * ms + float(noise)) for ms, noise in rng.random((50_000, 2)) * 9]
    tracker, begin = Tracker(50_000, 10.0), time.process_time()
    for ms, score in points:
        tracker.finished(ms, score)
        tracker.snapshot()
    assert time.process_time() - begin < 20  # a second where nothing else runs
    assert tracker.snapshot().done == 50_000


def snapshot(**more: object) -> Snapshot:
    health = (
        WorkerHealth("host:1", Task(17, ""), 65.0, 4, 1),
        WorkerHealth("host:2", None, math.nan, 5, 0),
    )
    known = Snapshot("measuring", 1200, 5000, 3, 2, 812.34, 0.014, 71.234, 4000.0, health)
    return Snapshot(**{name: more.get(name, getattr(known, name)) for name in Snapshot.__slots__})


def test_a_line_says_what_is_known_and_leaves_out_the_rest() -> None:
    assert line(snapshot()) == (
        "measuring 1,200/5,000, 3 failed, 2 running, hypervolume 812.3 (+1.4% lately),"
        " best score 71.23, 67 min to go"
    )
    assert line(Snapshot("searching", 0, 10)) == "searching 0/10"


def test_a_terminal_shows_every_worker_and_what_it_does() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(display(snapshot()))
    console.print(display(snapshot(workers=snapshot().workers * 10)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    rows = [row.split() for row in text.splitlines()]
    assert ["host:1", "17", "65", "s", "4", "1"] in rows
    assert ["host:2", "idle", "5", "0"] in rows
    assert "and 8 workers more" in text


def test_a_log_gets_a_line_from_time_to_time_and_a_terminal_is_drawn_anew() -> None:
    log = io.StringIO()
    with shown(Console(file=log), every_s=3600) as told:
        told(snapshot())
    assert log.getvalue() == ""
    with shown(Console(file=log, width=20), every_s=0) as told:
        told(snapshot())
    assert log.getvalue() == line(snapshot()) + "\n"  # not wrapped
    screen = io.StringIO()
    with shown(Console(file=screen, force_terminal=True, width=100)) as told:
        told(snapshot())
    assert "host:1" in screen.getvalue()
