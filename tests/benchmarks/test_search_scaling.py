"""The scaling benchmark: what a speed-up is made of, and what follows from a driver's ceiling."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Task


def test_work_is_the_same_for_all_and_takes_a_core(benchmark: ModuleType) -> None:
    little, more = benchmark.Work(steps=20_000), benchmark.Work(steps=400_000)
    assert little(Task(0, ""))[0] == little(Task(1, ""))[0]
    assert more(Task(0, ""))[1] > little(Task(0, ""))[1] > 0


def test_every_task_is_counted_once(benchmark: ModuleType) -> None:
    with open_executor(benchmark.Work(steps=50_000), workers=0) as executor:
        taken = benchmark.timed(executor, 3)
    assert 0 < taken.core_s <= taken.measuring_s * 1.2 and taken.measuring_s <= taken.wall_s


def test_a_speed_up_is_taken_within_a_round_and_its_losses_are_named(benchmark: ModuleType) -> None:
    taken = benchmark.Taken
    one = [taken(10.0, 10.0, 5.0), taken(40.0, 40.0, 10.0), taken(12.0, 12.0, 6.0)]
    two = [taken(5.0, 8.0, 4.0), taken(20.0, 36.0, 9.0), taken(8.0, 12.0, 6.0)]
    found = benchmark.speed_up(one, two)
    assert (found["speed_up"], found["least"], found["most"]) == (2.0, 1.5, 2.0)
    assert found["measuring_share_of_one"] == 1.0
    assert found["measuring_share_of_two"] == pytest.approx(0.8)  # of 0.8, 0.9, 0.75
    assert found["core_share_of_one"] == found["core_share_of_two"] == 0.5


def test_a_half_busy_driver_feeds_half_of_what_its_ceiling_says(benchmark: ModuleType) -> None:
    assert benchmark.fed(0.5) == {"1_min": 15, "10_min": 150}


@pytest.mark.slow
def test_the_driver_reaches_its_number_of_trials_in_memory_and_in_a_journal(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    from palmette.latency import load_predictor
    from palmette.search.problem import Limits, pose
    from palmette.space import SearchSpace

    problem = pose(
        SearchSpace.preset(benchmark.SPACE),
        load_predictor(benchmark.TARGET),
        Limits(benchmark.BUDGET_MS),
    )
    for place in (None, tmp_path / "journal.log"):
        assert benchmark.ceiling(place, problem, 20) > 0
    assert (tmp_path / "journal.log").stat().st_size > 0
