"""A search whose networks are used up ends, and says so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import optuna
import pytest

from palmette.search import resume, run
from palmette.search.ledger.replay import replay_run
from palmette.search.report.opened import FINISHED, open_run
from palmette.search.run import Run


def trials_of(found: Run) -> list[optuna.trial.FrozenTrial]:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(found.folder.journal)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


@pytest.mark.sweep
def test_a_search_ends_when_all_networks_within_the_budget_are_measured(
    small_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.py").write_text("def f(architecture): return 60.0\n")
    options: dict[str, Any] = {
        "space": str(small_file),
        "evaluations": 1000,
        "shortlist": 3,
        "trials": 30,
    }
    options |= {"accuracy": f"function:{tmp_path / 'mine.py'}:f", "sampler": "tpe"}
    with caplog.at_level(logging.WARNING, "palmette"):
        found = run("iphone-11/ane", 2.4, tmp_path / "run", **options)
    done = [trial for trial in trials_of(found) if trial.state.name == "COMPLETE"]
    assert 5 <= len(done) < 30
    assert all(value <= 0 for trial in done for value in trial.constraints.values())
    assert caplog.messages == [
        f"the search ends after {len(done)} trials: all {len(done)} networks that keep the limits"
        " are measured, or being measured"
    ]
    count = len(trials_of(found))
    assert len(trials_of(resume(tmp_path / "run"))) == count
    assert len(caplog.messages) == 1
    assert replay_run(tmp_path / "run").same
    assert open_run(tmp_path / "run").state == FINISHED
