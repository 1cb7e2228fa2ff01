"""What a search begins with: read as it stands, taken in whole, and never measured again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from palmette.latency import load_predictor
from palmette.search import guard_lines, run
from palmette.search.evolution import evolve
from palmette.search.expensive.measured import MeasuredAccuracy
from palmette.search.front import covered
from palmette.search.limits import Limits
from palmette.search.problem import SearchProblem, pose
from palmette.search.start import Start, encoded, first_state, import_measured, read_start
from palmette.search.trials.task import Task
from palmette.space import InputError, SearchSpace

NETWORK = "160x160 stem_k3_s2_c8_relu | ds_r1_k3_s1_c16_relu | head_c32_relu"


class NeverAsked:
    """An evaluator that nothing here may call."""

    id = "never"

    def __call__(self, task: Task) -> tuple[float, float]:
        """Must not happen."""
        raise AssertionError("measured")


@pytest.fixture(scope="module")
def problem(small_space: SearchSpace) -> SearchProblem:
    return pose(small_space, load_predictor("iphone-11/ane"), Limits(6.0))


@pytest.fixture(scope="module")
def start(problem: SearchProblem, small_space: SearchSpace) -> Start:
    """Networks of the searched space, then one that only the full space has; some measured."""
    codes = problem.space.sample(6, np.random.default_rng(2))
    inside = problem.space.decode_batch(codes)
    outside = small_space.sample(50, np.random.default_rng(3))
    other = next(n for n in small_space.decode_batch(outside) if n.resolution[0] == 160)
    measured = ((70.5, 0.25), None, (71.0, 0.25), None, (64.0, 0.5), None, (60.0, 0.5))
    return Start((*inside, other), measured)


def test_a_start_comes_back_from_its_table(start: Start, tmp_path: Path) -> None:
    (tmp_path / "start.csv").write_text(start.to_csv())
    found = read_start(tmp_path / "start.csv")
    assert found == start and found.id == start.id


def test_a_measured_top1_is_part_of_what_a_run_goes_on_with(start: Start) -> None:
    changed = Start(start.networks, ((70.6, 0.25), *start.measured[1:]))
    assert changed.id != start.id


def test_a_front_is_a_start_and_its_estimates_are_no_measurements(tmp_path: Path) -> None:
    (tmp_path / "front.csv").write_text(f'id,top1,architecture\nx,70.0,"{NETWORK}"\n')
    found = read_start(tmp_path / "front.csv")
    assert len(found.networks) == 1 and found.measured == (None,)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nonsense,,", "row 2"),
        (f'"{NETWORK}",nine,0.1', "row 2: measured_top1 and"),
        (f'"{NETWORK}",50.0,', "row 2: measured_top1 and"),
        (f'"{NETWORK}",150.0,0.1', "must both be from 0 to 100"),
        (f'"{NETWORK}",nan,0.1', "must both be from 0 to 100"),
    ],
)
def test_a_row_that_is_wrong_is_named(row: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "start.csv"
    path.write_text(f"architecture,measured_top1,measured_sigma\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_start(path)


def test_a_table_without_architectures_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match="column 'architecture' is missing"):
        read_start(tmp_path / "a.csv")


def test_networks_of_another_space_are_left_out(problem: SearchProblem, start: Start) -> None:
    codes, places = encoded(start.networks, problem.space)
    assert places == [0, 1, 2, 3, 4, 5]
    assert problem.space.decode_batch(codes) == list(start.networks[:6])


def test_a_search_keeps_what_it_began_with_and_counts_it(problem: SearchProblem) -> None:
    known = evolve(problem, evaluations=4000, seed=9)
    begun = replace(
        problem, start=Start(tuple(problem.space.decode_batch(known.codes)), (None,) * len(known))
    )
    state = first_state(begun, 1000)
    assert state is not None and state.evaluations == len(known)
    calls: list[int] = []
    found = evolve(
        begun,
        evaluations=1000,
        seed=1,
        start=state,
        on_generation=lambda _, done, __: calls.append(done),
    )
    assert calls[-1] == 1000
    assert covered(found.objectives, known.objectives).all()


def test_a_search_through_everything_needs_no_start(problem: SearchProblem, start: Start) -> None:
    assert first_state(replace(problem, start=start), problem.space.size) is None


def test_what_was_measured_becomes_finished_trials_with_the_targets_own_time(
    problem: SearchProblem, small_space: SearchSpace, start: Start
) -> None:
    accuracy: Any = MeasuredAccuracy("proxy", "id", small_space, NeverAsked(), "images")
    measured = replace(problem, accuracy=accuracy, start=start)
    study = optuna.create_study(directions=["minimize", "maximize"])
    assert import_measured(study, measured) == 3
    assert import_measured(study, measured) == 3  # once more changes nothing
    trials = study.get_trials()
    assert [trial.user_attrs["top1"] for trial in trials] == [70.5, 71.0, 64.0]
    networks = [start.networks[place] for place in (0, 2, 4)]
    ms = load_predictor("iphone-11/ane").predict(networks)
    np.testing.assert_allclose([trial.values[0] for trial in trials], ms)
    assert [trial.values[1] for trial in trials] == [70.375, 70.875, 63.75]
    upper = load_predictor("iphone-11/ane").predict_interval(networks, 0.8, False).upper_ms
    assert [t.constraints["limits"] <= 0 for t in trials] == (upper <= 6.0).tolist()


def test_an_import_that_was_interrupted_goes_on(
    problem: SearchProblem, small_space: SearchSpace, start: Start
) -> None:
    accuracy: Any = MeasuredAccuracy("proxy", "id", small_space, NeverAsked(), "images")
    measured = replace(problem, accuracy=accuracy, start=start)
    whole, torn = (optuna.create_study(directions=["minimize", "maximize"]) for _ in "12")
    import_measured(whole, measured)
    torn.add_trial(whole.get_trials()[0])
    import_measured(torn, measured)
    assert [t.params for t in torn.get_trials()] == [t.params for t in whole.get_trials()]


def test_the_prior_needs_nothing_that_was_measured(problem: SearchProblem, start: Start) -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    assert import_measured(study, replace(problem, start=start)) == 0
    assert study.get_trials() == []


def test_trials_are_those_that_are_measured_here_beside_what_a_start_brings(
    few: SearchSpace, few_toml: str, tmp_path: Path
) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    (tmp_path / "mine.py").write_text("def top1(architecture): return 60.0, 0.5\n")
    networks = few.decode_batch(few.sample(5, np.random.default_rng(1)))
    known = Start(tuple(dict.fromkeys(networks)), ((70.0, 0.5),) * len(set(networks)))
    (tmp_path / "start.csv").write_text(known.to_csv())
    found = run(
        "iphone-11/cpu",
        100.0,
        tmp_path / "run",
        space=str(tmp_path / "few.toml"),
        accuracy=f"function:{tmp_path / 'mine.py'}:top1",
        evaluations=1000,
        shortlist=3,
        trials=3,
        extrapolate=True,
        start=str(tmp_path / "start.csv"),
    )
    accuracy: Any = found.problem.accuracy
    assert len(known.networks) >= 3
    assert accuracy.results.top1.tolist() == [70.0] * len(known.networks) + [60.0] * 3
    (line,) = (line for line in guard_lines(found) if "came with the start" in line)
    assert f": {len(known.networks)}; --trials (3) are those measured here" in line
