"""A front for each target: the same after any interruption, and nothing is measured twice."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from palmette import cli
from palmette.cli.goals import goals_of
from palmette.search import (
    Run,
    SearchConfig,
    guard_lines,
    resume,
    resume_targets,
    run_targets,
)
from palmette.search.objectives.goal import JOINS, Goal, Join
from palmette.search.retime_plan import finished_run
from palmette.space import Architecture, InputError
from tests.search.several import GOALS, OPTIONS


def fronts(runs: list[Run]) -> list[bytes]:
    return [run.folder.front.read_bytes() for run in runs]


def test_each_target_has_an_ordinary_run(several: list[Run]) -> None:
    for run, goal in zip(several, GOALS, strict=True):
        assert run.folder.path.name == goal.slug
        assert (run.config.target, run.config.budget_ms) == (goal.target, goal.budget_ms)
        assert run.front["ms_at_confidence"].max() <= goal.budget_ms
        assert finished_run(run.folder.path).front.equals(run.front)


def test_a_later_search_begins_with_the_front_of_the_earlier(several: list[Run]) -> None:
    first, second = several
    assert first.problem.start.networks == ()
    texts = [network.to_text() for network in second.problem.start.networks]
    assert texts == first.front["architecture"].tolist()
    assert "start_id" in second.folder.read_config()[1]


def test_an_interruption_between_or_amid_the_targets_changes_nothing(
    several: list[Run], small_file: Path, tmp_path: Path
) -> None:
    told: list[Any] = []

    def interrupt(snapshot: Any) -> None:
        told.append(snapshot)
        if (tmp_path / "all" / GOALS[1].slug / "study.journal").exists():
            raise KeyboardInterrupt

    copied = tmp_path / "mine.toml"
    copied.write_bytes(small_file.read_bytes())
    with pytest.raises(KeyboardInterrupt):
        run_targets(GOALS, tmp_path / "all", told=interrupt, space=str(copied), **OPTIONS)
    assert told
    copied.unlink()  # the folder has what it needs
    (tmp_path / "all").rename(tmp_path / "moved")
    assert fronts(resume_targets(tmp_path / "moved")) == fronts(several)


def test_runs_that_are_finished_are_read_again(several: list[Run]) -> None:
    folder = several[0].folder.path.parent
    assert fronts(resume_targets(folder)) == fronts(several)


def test_a_budget_that_nothing_keeps_is_told_before_the_first_search(
    small_file: Path, tmp_path: Path
) -> None:
    goals = (GOALS[0], Goal("iphone-11/gpu", 1.0))
    with pytest.raises(InputError, match="budget of 1 ms: the fastest network"):
        run_targets(goals, tmp_path / "all", space=str(small_file), **OPTIONS)
    assert not (tmp_path / "all").exists()


def test_a_first_search_that_finds_nothing_leaves_no_folder(few_toml: str, tmp_path: Path) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    (tmp_path / "mine.py").write_text("def top1(architecture): raise ValueError('no images')\n")
    options = {**OPTIONS, "space": str(tmp_path / "few.toml"), "extrapolate": True}
    accuracy = f"function:{tmp_path / 'mine.py'}:top1"
    goals = (Goal("iphone-11/cpu", 100.0), Goal("iphone-xs/cpu", 100.0))
    with pytest.raises(InputError, match="no images"):
        run_targets(goals, tmp_path / "all", accuracy=accuracy, **options)
    assert not (tmp_path / "all").exists()


def test_targets_that_are_measured_share_what_was_measured(
    supernet: Path, few_toml: str, tmp_path: Path
) -> None:
    (tmp_path / "few.toml").write_text(few_toml)
    goals = (Goal("iphone-11/cpu", 100.0), Goal("iphone-xs/cpu", 100.0))
    runs = run_targets(
        goals,
        tmp_path / "all",
        space=str(tmp_path / "few.toml"),
        accuracy=f"supernet:{supernet}",
        evaluations=1000,
        shortlist=4,
        trials=8,
        extrapolate=True,
    )
    first, second = (attributes(run) for run in runs)
    assert [("known" in trial) for trial in first] == [False] * 8
    assert [("known" in trial) for trial in second] == [True] * 8 + [False] * 3  # the least
    # what is known is the very value that was measured, and nothing is measured twice
    values = [{trial["network"]: trial["top1"] for trial in run[:8]} for run in (first, second)]
    assert values[0] == values[1]
    assert len({trial["network"] for trial in second}) == 11
    assert fronts(resume_targets(tmp_path / "all")) == fronts(runs)


def attributes(run: Run) -> list[dict[str, Any]]:
    """User attributes of a run's finished trials, with the network's parameters."""
    storage = JournalStorage(JournalFileBackend(str(run.folder.journal)))
    study = optuna.load_study(study_name="palmette", storage=storage)
    return [{**t.user_attrs, "network": str(sorted(t.params.items()))} for t in study.get_trials()]


# --- joined ---------------------------------------------------------------------------------------


def test_a_joined_run_comes_back_from_its_folder(joined: Run) -> None:
    again = resume(joined.folder.path)
    pd.testing.assert_frame_equal(again.front, joined.front)
    config, _ = joined.folder.read_config()
    assert SearchConfig.from_dict(config, "here") == joined.config
    assert joined.config.goals == GOALS


def test_the_pick_of_a_reward_is_the_largest(joined: Run) -> None:
    front = joined.front
    pick = front[front["pick"]].iloc[0]
    assert pick["reward"] == front["reward"].max()
    assert joined.pick == Architecture.from_text(pick["architecture"])
    weight = pick["load"] ** -0.07
    assert pick["reward"] == pytest.approx(pick["score"] * weight)


def test_what_takes_one_target_says_so_of_a_joined_run(joined: Run) -> None:
    with pytest.raises(InputError, match="is of several targets joined"):
        finished_run(joined.folder.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goals": ({"target": "iphone-11/ane"},)}, "goals must be tables of"),
        ({"goals": [{"target": 1, "budget_ms": 1.0, "weight": 1.0}]}, "has a wrong type"),
        ({"goals": []}, "belong to several targets"),
        ({"join": "sum"}, "join: must be worst, weighted, best, got 'sum'"),
        ({"budget_ms": 2.0}, "with a budget of 1"),
        ({"reward": "nasnet"}, "reward: must be mnasnet"),
        ({"predictor": "mine.json"}, "predictor: is of one target"),
        ({"joint": True}, "joint: is a confidence of budgets, and a reward holds none"),
    ],
)
def test_a_config_that_contradicts_itself_is_refused(
    joined: Run, change: dict[str, Any], message: str
) -> None:
    plain = {**joined.config.to_dict(), **change}
    plain["goals"] = list(plain["goals"])
    with pytest.raises(InputError, match=message):
        SearchConfig.from_dict(plain, "here")


def test_of_one_target_nothing_of_several_is_written() -> None:
    config = SearchConfig("iphone-11/ane@coreml-ios13", 6.0)
    assert {"goals", "join", "joint"}.isdisjoint(config.to_dict())
    with pytest.raises(InputError, match="belong to several targets"):
        replace(config, join="best")


# --- as the command line says ---------------------------------------------------------------------


def test_targets_with_and_without_their_own_budget_and_weight() -> None:
    found = goals_of("iphone-11/ane=6, iphone-xs/gpu", 30.0, "iphone-11/ane=2", "weighted", True)
    assert found == [Goal("iphone-11/ane", 6.0, 2.0), Goal("iphone-xs/gpu", 30.0)]


@pytest.mark.parametrize(
    ("targets", "weights", "join", "joint", "message"),
    [
        ("iphone-11/ane,iphone-xs/gpu=3", None, "each", False, "iphone-11/ane has no budget"),
        ("iphone-11/ane=six,iphone-xs/gpu=3", None, "each", False, "must have a number, got 'six'"),
        ("iphone-11/ane=6,", None, "each", False, "an empty name"),
        ("iphone-11/ane=6,nokia/cpu=3", None, "each", False, "'nokia/cpu' is unknown"),
        ("iphone-11/ane=6", None, "each", False, "at least two"),
        ("iphone-11/ane=6,iphone-xs/gpu=3", "iphone-x/cpu=1", "weighted", False, "is none of"),
        ("iphone-11/ane=6,iphone-xs/gpu=3", "iphone-11/ane=1", "worst", False, "--join weighted"),
        ("iphone-11/ane=6,iphone-xs/gpu=3", None, "each", True, "--joint: belongs to targets that"),
    ],
)
def test_words_of_the_command_line_that_say_nothing_are_refused(
    targets: str, weights: str | None, join: str, joint: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        goals_of(targets, None, weights, join, joint)


def test_the_command_goes_on_with_all_targets_and_prints_each(
    several: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = several[0].folder.path.parent
    cli.app(["search", "--resume", str(folder)], standalone_mode=False)
    printed = capsys.readouterr().out
    assert all(run.pick.to_text() in printed for run in several)
    cli.app(["search", "--resume", str(folder), "--json"], standalone_mode=False)
    answer = json.loads(capsys.readouterr().out)
    assert [run["pick"]["id"] for run in answer["runs"]] == [run.pick.id for run in several]


def test_the_command_prints_a_joined_run_by_its_load(
    joined: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.app(["search", "--resume", str(joined.folder.path)], standalone_mode=False)
    printed = capsys.readouterr().out
    assert "weighted of iphone-11/ane 6 ms, iphone-11/gpu 14 ms" in printed
    assert "milliseconds of the pick: iphone-11/ane" in printed and "% of the reward" in printed
    assert "load" in joined.folder.page.read_text()
    assert "budget is held" not in printed and "is kept" not in printed  # by a reward


@pytest.mark.parametrize("join", JOINS)
def test_the_lines_say_which_budgets_are_held(joined: Run, join: Join) -> None:
    times = joined.problem.joined
    assert times is not None
    front = joined.front.assign(unit=GOALS[0].alias)
    problem = replace(joined.problem, reward=None, joined=replace(times, join=join))
    lines = guard_lines(replace(joined, problem=problem, front=front))
    each = "the budget of the unit that a network runs on" if join == "best" else "each budget"
    assert f"{each} is held at confidence 0.8" in lines
    said = any("reference networks stand with the unit of the least load" in one for one in lines)
    assert said == (join == "best")


@pytest.mark.parametrize("words", [["--targets", "iphone-11/ane=6,iphone-xs/ane=8"], ["--resume"]])
def test_a_package_for_several_targets_is_refused_before_the_search(
    joined: Run, words: list[str], tmp_path: Path
) -> None:
    folder, out = tmp_path / "begun", tmp_path / "run"
    folder.mkdir()
    shutil.copy(joined.folder.config, folder)  # of a search that has yet to go on
    more = [str(folder)] if words == ["--resume"] else ["--join", "worst", "--out", str(out)]
    with pytest.raises(InputError, match="--export: the pick of --join w.* is for several targets"):
        cli.app(["search", *words, *more, "--export"], standalone_mode=False)
    assert not out.exists() and [file.name for file in folder.iterdir()] == ["run.toml"]
