"""A whole search by a function on bad days: a NaN, a crash and a hang cost a trial, not the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUNCTION = """
import math, os, time

CALLS = 0

def accuracy(architecture, seed):
    global CALLS
    CALLS += 1
    if CALLS == 2:
        return math.nan
    if CALLS == 3:
        time.sleep(100)
    channels = architecture.stages[-1][-1].channels
    if channels > 0 and not os.path.exists("died"):
        open("died", "w").close()
        os._exit(9)
    return 50 + channels / 20, 0.3
"""
COMMAND = [sys.executable, "-c", "from palmette.cli import main; main()", "search"]
COMMON = ["--target", "iphone-11/ane", "--budget-ms", "4", "--evaluations", "2000"]

pytestmark = pytest.mark.slow


def search(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *COMMON, "--out", "run", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def test_what_fails_is_a_failed_trial_and_the_search_ends(tmp_path: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    tmp_path.joinpath("mine.py").write_text(FUNCTION)
    options = (
        "--accuracy function:mine.py:accuracy --workers 2 --timeout 4 --trials 9 --shortlist 4"
    )
    done = search(tmp_path, *options.split())
    assert done.returncode == 0, done.stderr
    journal = next((tmp_path / "run").glob("*.journal"))
    storage = JournalStorage(JournalFileBackend(str(journal)))
    (study,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=study, storage=storage).trials
    told = [trial for trial in trials if "order" in trial.user_attrs]
    assert sorted(trial.user_attrs["order"] for trial in told) == list(range(9))
    assert all(trial.state.is_finished() for trial in trials)
    reasons = " ".join(str(trial.user_attrs.get("reason")) for trial in told)
    assert "returned top-1 nan" in reasons and "took longer than 4 s" in reasons
    assert max(trial.user_attrs["attempt"] for trial in told) == 2  # the crash, measured again


def test_a_cluster_that_is_not_there_ends_it_with_one_line(tmp_path: Path) -> None:
    tmp_path.joinpath("mine.py").write_text("def f(architecture): return 70.0\n")

    done = search(tmp_path, "--accuracy", "function:mine.py:f", "--ray", "127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --ray 127.0.0.1:1: no Ray cluster there (")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "run").exists()
