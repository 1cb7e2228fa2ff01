"""Runs whose accuracies a function of the user's own measures: joined, moved, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from palmette.cli import app
from palmette.search import Compute, guard_lines, resume, run, run_joined, summary, train_front
from palmette.search.objectives.goal import Goal
from palmette.search.report.answer import answer
from palmette.search.report.opened import open_run
from palmette.search.report.page import page
from palmette.search.target_runs import resume_targets, run_targets
from palmette.space import Architecture, InputError, SearchSpace
from palmette.train.recipe import load_recipe

FUNCTION = """
def top1(architecture):
    return 50 + architecture.stages[-1][-1].channels / 10, 0.3
"""
OPTIONS: dict[str, Any] = {
    "evaluations": 1000,
    "shortlist": 4,
    "trials": 6,
    "extrapolate": True,
    "accuracy": "function:mine.py:top1",
}


@pytest.fixture
def here(few_toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a space and a function."""
    (tmp_path / "few.toml").write_text(few_toml)
    (tmp_path / "mine.py").write_text(FUNCTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_several_targets_are_searched_as_one_by_measured_accuracies(here: Path) -> None:
    goals = (Goal("iphone-11/cpu", 100.0), Goal("iphone-11/gpu", 100.0))
    found = run_joined(goals, here / "run", join="worst", space="few.toml", **OPTIONS)
    accuracy = found.problem.accuracy
    assert accuracy.rung == "function" and len(accuracy.results) == 6
    widths = [
        network.stages[-1][-1].channels
        for network in map(Architecture.from_text, found.front.architecture)
    ]
    for width, top1 in zip(widths, found.front["top1"], strict=True):
        assert top1 == pytest.approx(50 + width / 10, abs=1.0)
    assert 16 in widths
    pick = found.front.loc[found.front["pick"]].iloc[0]
    ties = found.front["score"] >= found.front["score"].max() - accuracy.tie_points
    assert pick["load"] == found.front.loc[ties, "load"].min()


def test_a_run_goes_on_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**OPTIONS, "space": "few.toml"}
    first = run("iphone-11/cpu", 100.0, Path("run"), **options)
    assert first.config.accuracy == f"function:{here / 'mine.py'}:top1"
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    (here / "mine.py").write_text("changed since\n")
    (here / "run").rename("moved")
    assert resume(Path("moved")).front.equals(first.front)
    with pytest.raises(InputError, match="searched by a function, which names no images"):
        train_front(Path("moved"), load_recipe("quick"))


FLAKY = """
from pathlib import Path

WORTH, CALLS = 0, []

def top1(architecture):
    CALLS.append(architecture)
    if len(CALLS) > WORTH and Path("stop").exists():
        raise OSError("no images")
    return 70.0
"""


@pytest.mark.parametrize("worth", [0, 2])
def test_a_run_that_stops_at_failures_is_kept_if_there_is_something_to_go_on_with(
    here: Path, worth: int
) -> None:
    (here / "mine.py").write_text(FLAKY.replace("WORTH, CALLS = 0", f"WORTH, CALLS = {worth}"))
    (here / "stop").touch()
    options = {**OPTIONS, "space": "few.toml", "trials": 14}
    advice = "go on with --resume; a function that is itself changed" if worth else "search again"
    with pytest.raises(InputError, match=f"10 trials in a row failed.*no images.*{advice}"):
        run("iphone-11/cpu", 100.0, Path("run"), **options)
    assert Path("run").exists() == bool(worth)
    (here / "stop").unlink()
    found = resume(Path("run")) if worth else run("iphone-11/cpu", 100.0, Path("run"), **options)
    assert len(found.problem.accuracy.results) == (4 if worth else 14)


def test_a_search_all_of_whose_trials_failed_says_why_and_leaves_nothing(here: Path) -> None:
    (here / "mine.py").write_text("def top1(architecture):\n    return 8600.0\n")
    with pytest.raises(InputError) as caught:
        run("iphone-11/cpu", 100.0, Path("run"), space="few.toml", **OPTIONS)
    assert str(caught.value) == (
        "6 of 6 trials failed, the last because: ValueError: returned top-1 8600.0: must be from 0"
        " to 100 %; mend that, and search again"
    )
    assert not Path("run").exists()


def test_a_resume_that_ends_in_failures_alone_says_why_each_time(here: Path) -> None:
    def interrupt(state: Any) -> None:
        if state.failed == 2:
            raise KeyboardInterrupt

    (here / "mine.py").write_text("def top1(architecture):\n    raise OSError('no images')\n")
    with pytest.raises(KeyboardInterrupt):
        run("iphone-11/cpu", 100.0, Path("run"), space="few.toml", told=interrupt, **OPTIONS)
    said = (
        "^6 of 6 trials failed, the last because: OSError: no images; mend that, remove run, and"
        " search again$"
    )
    for _ in range(2):
        with pytest.raises(InputError, match=said):
            resume(Path("run"))
    found = open_run(Path("run"))
    assert found.standing == ""
    assert answer(found) == (
        "<p>There is none: 6 of 6 trials failed, the last because: OSError: no images.</p>"
    )


def test_trials_that_failed_are_counted_with_their_reasons_on_every_screen(here: Path) -> None:
    odd = FUNCTION.replace(
        "    return", "    N.append(0)\n    assert len(N) % 2, 'odd'\n    return"
    )
    (here / "mine.py").write_text(f"N = []\n{odd}")
    words = (
        "search --target iphone-11/cpu --budget-ms 100 --space few.toml --accuracy"
        " function:mine.py:top1 --evaluations 1000 --shortlist 4 --trials 6 --extrapolate --out run"
    )
    said = "3 of 6 trials failed, the last because: AssertionError: odd"
    shown = CliRunner().invoke(app, words.split())
    assert shown.exit_code == 0 and f"{said} (all reasons: palmette report run)\n" in shown.output
    rows = summary(resume(Path("run")))["failed_trials"]
    assert [row["trial"] for row in rows] == [1, 3, 5]
    assert {row["reason"] for row in rows} == {"AssertionError: odd"}
    table = page(open_run(Path("run"))).partition("Trials that failed")[2]
    assert said in table and f"odd</th><td>3</td><td>5</td><td>{rows[-1]['architecture']}" in table


def test_shares_of_one_are_told_after_the_third_of_them_and_at_the_end(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (here / "mine.py").write_text(FUNCTION.replace("50 +", "0.5 + 0.01 *"))
    found = run("iphone-11/cpu", 100.0, Path("run"), space="few.toml", **OPTIONS)
    (early,) = [record.message for record in caplog.records]
    assert early.startswith("no measured value is above 1 (3 from 0.5")
    assert "top-1 is in percent" in early
    assert found.problem.accuracy.caution.startswith("no measured value is above 1 (6 from 0.5")
    assert found.problem.accuracy.caution in guard_lines(found)
    found.problem.accuracy.learn(
        found.problem.space.sample(1, np.random.default_rng(1)), np.array([1.5]), np.array([0.3])
    )
    assert found.problem.accuracy.caution == ""


def test_a_finished_run_with_a_failed_trial_is_read_without_searching_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = "\ndef narrow(architecture):\n    return top1(architecture)[0] if WIDE else None\n"
    wide = "architecture.stages[-1][-1].channels > 12"
    (here / "mine.py").write_text(FUNCTION + fails.replace("WIDE", wide))
    options = {**OPTIONS, "accuracy": "function:mine.py:narrow", "space": "few.toml"}
    first = run("iphone-11/cpu", 100.0, Path("run"), **options)
    assert 0 < len(open_run(Path("run")).failures.trials) < 6
    searched = "palmette.search.proposals._worth_measuring"
    monkeypatch.setattr(searched, lambda *_: pytest.fail("searched"))
    assert resume(Path("run")).front.equals(first.front)


def test_workers_that_cannot_import_it_are_told_before_the_predictors_are_searched(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_here = "import multiprocessing\nassert multiprocessing.parent_process() is None\n"
    (here / "mine.py").write_text(only_here + FUNCTION)
    monkeypatch.setattr(
        "palmette.search.proposals._worth_measuring", lambda *_: pytest.fail("searched")
    )
    with pytest.raises(InputError, match="so says a worker, while the driver could"):
        run(
            "iphone-11/cpu",
            100.0,
            Path("run"),
            compute=Compute(workers=1),
            space="few.toml",
            **OPTIONS,
        )
    assert not Path("run").exists()


def test_targets_that_had_not_begun_begin_from_another_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    goals = (Goal("iphone-11/cpu", 100.0), Goal("iphone-11/gpu", 100.0))
    space = SearchSpace.read(Path("few.toml"))
    (network,) = space.decode_batch(space.sample(1, np.random.default_rng(0)))
    Path("start.csv").write_text(f'architecture\n"{network.to_text()}"\n')
    options = {**OPTIONS, "space": "few.toml", "start": "start.csv"}
    with pytest.raises(KeyboardInterrupt):
        run_targets(goals, Path("all"), told=interrupt, **options)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    found = resume_targets(here / "all")
    assert len(found) == 2
