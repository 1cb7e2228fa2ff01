"""Runs that keep their trials in a database: each has its own study, and finds it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest

from palmette.search import resume, resume_targets, run, run_targets
from palmette.search.compute import Compute
from palmette.search.ledger.dashboard import journal_of
from palmette.search.ledger.place import STORAGE_VARIABLE, database
from palmette.search.ledger.replay import replay_run
from palmette.search.objectives.goal import Goal
from palmette.search.target_runs import TargetRuns
from palmette.space import InputError

GOALS = (Goal("iphone-11/ane", 6.0), Goal("iphone-11/gpu", 14.0))


@pytest.fixture
def options(small_file: Path) -> dict[str, Any]:
    return {"space": str(small_file), "evaluations": 1000, "shortlist": 3}


def searched(folder: Path, options: dict[str, Any], **compute: Any) -> Any:
    place = Compute(**{"storage": "sqlite:///t.db", **compute})
    return run("iphone-11/ane", 6.0, folder, compute=place, **options)


def studies(file: Path) -> dict[str, int]:
    """Studies of a database, each with the number of its trials."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        found = optuna.get_all_study_summaries(storage)
        return {study.study_name: study.n_trials for study in found}
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_a_run_finds_its_own_study_from_any_folder_and_says_when_it_is_gone(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fronts = [searched(tmp_path / name / "a", options).front for name in ("p1", "p2")]
    found = studies(tmp_path / "t.db")  # the same folder name, options and database
    assert len(found) == 2 and all(name.startswith("a-") for name in found)
    assert set(found.values()) == {len(fronts[0])}

    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert resume(tmp_path / "p1/a").front.equals(fronts[0])
    assert not (tmp_path / "other/t.db").exists() and studies(tmp_path / "t.db") == found
    assert journal_of(str(tmp_path / "p1/a")) == f"sqlite:///{tmp_path / 't.db'}"
    assert replay_run(tmp_path / "p1/a").same

    before = (tmp_path / "p1/a/front.csv").read_bytes()
    file = (tmp_path / "t.db").rename(tmp_path / "kept.db")
    with pytest.raises(InputError, match=r"t\.db: the file is gone"):
        resume(tmp_path / "p1/a")
    assert not (tmp_path / "t.db").exists()
    file.rename(tmp_path / "t.db")
    name = (tmp_path / "p1/a/study.txt").read_text().split()[0]
    optuna.delete_study(study_name=name, storage=f"sqlite:///{tmp_path / 't.db'}")
    with pytest.raises(InputError, match=f"holds no study '{name}' any more"):
        resume(tmp_path / "p1/a")
    assert (tmp_path / "p1/a/front.csv").read_bytes() == before


def test_a_run_that_failed_before_its_first_trial_leaves_no_study(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def f(a):\n    return 70.0\n")
    mine = {**options, "accuracy": "function:mine.py:f", "trials": 3}

    def refuse(snapshot: Any) -> None:
        raise InputError("refused")

    place = Compute(storage="sqlite:///t.db", study="S")
    with pytest.raises(InputError, match="refused"):
        run("iphone-11/ane", 6.0, tmp_path / "r", compute=place, told=refuse, **mine)
    assert studies(tmp_path / "t.db") == {}
    assert not (tmp_path / "r").exists()
    (tmp_path / "mine.py").write_text("def f(a):\n    return 71.0\n")
    searched(tmp_path / "r", mine, study="S")
    assert studies(tmp_path / "t.db") == {"S": 3}
    with pytest.raises(InputError, match="'S' is of "):  # another's: it stays
        searched(tmp_path / "other", {**options, "seed": 1}, study="S")
    assert studies(tmp_path / "t.db") == {"S": 3}


def test_runs_for_several_targets_stay_in_their_database(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def interrupt(snapshot: Any) -> None:
        if snapshot.stage != "searching":
            raise KeyboardInterrupt

    place = Compute(storage="sqlite:///t.db")
    with pytest.raises(KeyboardInterrupt):
        run_targets(GOALS, tmp_path / "g/all", compute=place, told=interrupt, **options)
    assert len(studies(tmp_path / "t.db")) == 1
    with pytest.raises(InputError, match="all: holds runs for several targets; name one .*ane"):
        journal_of("g/all")
    with pytest.raises(InputError, match="holds runs for several targets"):
        replay_run(Path("g/all"))
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    resume_targets(tmp_path / "g/all")
    found = sorted(studies(tmp_path / "t.db"))
    assert [name.rpartition("-iphone-")[2] for name in found] == ["11-ane", "11-gpu"]
    assert all(name.startswith("all-2") for name in found)
    assert not list((tmp_path / "g/all").glob("*/study.journal"))
    folder = TargetRuns(tmp_path / "g/all")
    with pytest.raises(InputError, match="keeps its trials in sqlite:.*what came is"):
        resume_targets(folder.path, compute=Compute(storage="sqlite:///u.db"))


def test_the_environment_gives_the_password_of_its_own_database_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, "postgresql://me:s3cret@host/one")
    journal, where = tmp_path / "j", tmp_path / "run.toml"
    named = Compute(storage="postgresql://me@host/one", study="S")
    about = named.kept(tmp_path)
    assert about == {"storage": "postgresql://me:***@host/one", "study": "S"}
    for compute in (named, Compute()):
        assert compute.place(about, journal, where) == "postgresql://me:s3cret@host/one"
    for stored in ("sqlite:////d/t.db", "postgresql://me@host/two"):
        assert Compute().place({"storage": stored}, journal, where) == stored
    with pytest.raises(
        InputError, match=f"with the password by --storage or in {STORAGE_VARIABLE}"
    ):
        Compute().place({"storage": "postgresql://me:***@host/two"}, journal, where)


@pytest.mark.parametrize("name", [":memory:", "file::memory:?cache=shared&uri=true"])
def test_a_database_in_memory_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="takes the path of a file"):
        database(f"sqlite:///{name}")
