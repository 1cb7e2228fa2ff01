"""Runs whose accuracies a function of the user's own measures: joined, moved, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palmette.search import resume, run, run_joined, train_front
from palmette.search.objectives.goal import Goal
from palmette.space import Architecture, InputError
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
    assert found.pick.stages[-1][-1].channels == 16


def test_a_run_goes_on_from_another_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**OPTIONS, "space": "few.toml"}
    first = run("iphone-11/cpu", 100.0, Path("run"), **options)
    assert first.config.accuracy == f"function:{here / 'mine.py'}:top1"
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert resume(here / "run").front.equals(first.front)
    with pytest.raises(InputError, match="searched by a function, which names no images"):
        train_front(here / "run", load_recipe("quick"))
