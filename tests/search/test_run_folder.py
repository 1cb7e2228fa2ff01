"""A run's folder is held by one process, survives a kill, and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.search import Goal, run, run_joined, run_targets
from palmette.search.run import resume
from palmette.search.run_folder import RunFolder
from palmette.search.target_runs import resume_targets
from palmette.space import InputError

CONFIG = {"target": "iphone-11/ane", "budget_ms": 6.0, "params_m": math.inf, "recipe": None}
Read = Callable[[Path], dict[str, bytes]]


def begun(path: Path) -> RunFolder:
    folder = RunFolder(path)
    with folder.driver():
        folder.begin(CONFIG, {"space_id": "abc"})
    return folder


def test_the_folder_may_be_given_as_text(tmp_path: Path) -> None:
    """Each entrance finds what stands there, as with a path."""
    begun(tmp_path / "run")
    text, goals = str(tmp_path / "run"), (Goal("iphone-11/ane", 6.0), Goal("iphone-11/gpu", 14.0))
    for enter in (
        lambda: run("iphone-11/ane", 6.0, text),
        lambda: run_joined(goals, text),
        lambda: run_targets(goals, text),
    ):
        with pytest.raises(InputError, match="is not empty; name another folder"):
            enter()
    with pytest.raises(InputError, match="run.toml"):
        resume(text)
    with pytest.raises(InputError, match="holds no runs"):
        resume_targets(text)


# --- who may begin, and who may drive -------------------------------------------------------------


def test_a_run_begins_in_a_folder_that_is_new_or_empty(tmp_path: Path) -> None:
    for path in (tmp_path / "a" / "new", tmp_path):
        if path == tmp_path:  # empty but for what the first left
            path = tmp_path / "empty"
            path.mkdir()
        assert begun(path).config.is_file()


@pytest.mark.parametrize("name", ["note.txt", ".hidden", "run.toml"])
def test_a_folder_that_holds_something_is_refused_and_left_as_it_was(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="is not empty; name another folder") as error:
        RunFolder(tmp_path).check_free()
    assert str(tmp_path) in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("below", ["", "sub", "sub/folder"])
def test_a_path_on_or_below_a_file_is_refused_in_one_line(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    folder = RunFolder(tmp_path / "file" / below)
    with pytest.raises(InputError, match="can't be a run's folder"), folder.driver():
        raise AssertionError("driven")
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_that_stay_empty_are_removed_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a" / "b")
    with pytest.raises(InputError, match="nothing found"), folder.driver():
        folder.begin(CONFIG, {})
        folder.discard()
        raise InputError("nothing found")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    with RunFolder(tmp_path).driver():
        RunFolder(tmp_path).begin(CONFIG, {})
        RunFolder(tmp_path).discard()
    assert list(tmp_path.iterdir()) == []


def test_a_second_driver_is_refused_by_the_folders_name(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path).driver(),
        pytest.raises(InputError, match="another search is running in this folder") as error,
        RunFolder(tmp_path).driver(),
    ):
        raise AssertionError("driven twice")
    assert str(tmp_path) in str(error.value)


def test_the_next_driver_is_let_in_when_one_is_gone(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), RunFolder(tmp_path).driver():
        raise KeyboardInterrupt
    with RunFolder(tmp_path).driver():
        pass


# --- run.toml -------------------------------------------------------------------------------------


def test_the_config_comes_back_with_what_it_was_made_by(tmp_path: Path) -> None:
    search, about = begun(tmp_path / "run").read_config()
    assert search == {"target": "iphone-11/ane", "budget_ms": 6.0, "params_m": math.inf}
    assert about["format"] == "palmette/run@1"
    assert about["space_id"] == "abc"
    assert {"python", "machine", "version_palmette", "version_numpy"} <= about.keys()


GOOD = '[run]\nformat = "palmette/run@1"\n[search]\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "[run",
        "run = 3",
        'run = 3\nsearch = "x"',
        "[search]\ntarget = 'iphone-11/ane'\nbudget_ms = 6.0",
        GOOD.replace("run@1", "walk@1"),
        GOOD.replace("[search]", ""),
        GOOD.replace("[search]", "[[search]]"),
        "a = " + "[" * 5000,
        "a = 1e" + "9" * 5000,
        "a = " + "9" * 5000,
    ],
)
def test_a_corrupt_config_is_told_by_file_and_nothing_changes(
    tmp_path: Path, text: str, folder_bytes: Read
) -> None:
    (tmp_path / "run.toml").write_text(text)
    before = folder_bytes(tmp_path)
    with pytest.raises(InputError, match=r"run\.toml: corrupt"):
        RunFolder(tmp_path).read_config()
    assert folder_bytes(tmp_path) == before


def test_a_config_that_is_no_text_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"run\.toml: corrupt"):
        RunFolder(tmp_path).read_config()


@pytest.mark.parametrize("kind", ["missing", "empty", "file", "folder for a file"])
def test_a_folder_without_a_run_says_so(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    if kind == "file":
        path.write_text("")
    elif kind != "missing":
        path.mkdir()
    if kind == "folder for a file":
        (path / "run.toml").mkdir()
    with pytest.raises(InputError, match=r"run: holds no run \(run.toml is missing\)"):
        RunFolder(path).read_config()
