"""A run's folder says enough to ask everything again."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from palmette.search import Run, resume, run
from palmette.search.ledger.replay import replay_run
from palmette.search.ledger.watched import watched
from palmette.search.run_folder import STUDY
from palmette.space import InputError

MINE = """
import zlib

def accuracy(architecture):
    return 60.0 + zlib.crc32(architecture.to_text().encode()) % 1000 / 100, 0.3
"""


def go_on(space: Path, folder: Path, **more: Any) -> None:
    """Begin a run of 12 trials that are measured, or go on with it."""
    if (folder / "run").exists():
        resume(folder / "run", **more)
        return
    (folder / "mine.py").write_text(MINE)
    options: dict[str, Any] = {"space": str(space), "evaluations": 1000, "shortlist": 4}
    options |= {"trials": 12, "accuracy": f"function:{folder / 'mine.py'}:accuracy"}
    run("iphone-11/ane", 6.0, folder / "run", **options, **more)


@pytest.mark.parametrize("ends", [(), (7, 9)], ids=["undisturbed", "stopped twice"])
def test_a_run_that_measured_is_replayed(
    ends: tuple[int, ...], small_file: Path, tmp_path: Path
) -> None:
    def stop_at(count: int) -> Any:
        def told(snapshot: Any) -> None:
            if snapshot.stage == "measuring" and snapshot.done >= count:
                raise KeyboardInterrupt

        return told

    for count in (*ends, 99):
        with suppress(KeyboardInterrupt):
            go_on(small_file, tmp_path, told=stop_at(count))
    found = replay_run(tmp_path / "run")
    assert found.same, found.words
    assert found.asks >= 12


def test_a_run_that_was_stopped_amid_its_trials_measures_as_many_and_is_replayed(
    small_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in the shortlist and once after it, between what a trial keeps and its tell."""
    for told_before in (2, 5):
        tells = iter([True] * told_before)

        def tell(*given: Any, tells: Any = tells, tell: Any = Study.tell, **more: Any) -> Any:
            if "state" not in more and not next(tells, False):
                raise KeyboardInterrupt
            return tell(*given, **more)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(Study, "tell", tell)
            go_on(small_file, tmp_path)
    go_on(small_file, tmp_path)
    with watched(tmp_path / "run" / "study.journal") as kept:
        trials = optuna.load_study(study_name=STUDY, storage=kept).trials
    assert [t.number for t in trials if "repaired_at" in t.user_attrs and "order" in t.user_attrs]
    assert len({str(t.params) for t in trials if t.state == TrialState.COMPLETE}) == 12
    found = replay_run(tmp_path / "run")
    assert found.same, found.words


def test_a_run_of_the_predictors_alone_is_replayed(
    finished: Run, copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("optuna")
    log.addHandler(caplog.handler)
    optuna.logging.set_verbosity(optuna.logging.INFO)  # as in a process of its own
    found = replay_run(copied)
    log.removeHandler(caplog.handler)
    assert not caplog.records  # a study in memory is made, and Optuna likes to say so
    assert found.words == (
        f"replay: all {len(finished.front)} asks give the recorded network"
        f" ({len(finished.front)} chosen, 0 queued)"
    )


def test_a_run_that_another_seed_made_differs(finished: Run, copied: Path) -> None:
    config = copied / "run.toml"
    config.write_text(config.read_text().replace("seed = 3", "seed = 4"))
    assert "replay: differs after" in replay_run(copied).words


def test_a_folder_without_trials_is_told(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        replay_run(tmp_path / "none")
    (copied / "study.journal").unlink()
    with pytest.raises(InputError, match="holds no study"):
        replay_run(copied)
