"""Writes wait for a storage that went away, and happen once."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from palmette.search.ledger.guarded import GuardedStorage, StorageLost, outage
from palmette.search.ledger.journal import SoleJournal
from palmette.search.ledger.lease import FolderLease
from palmette.search.ledger.storage import open_study
from palmette.space import InputError

GENES = {name: CategoricalDistribution((1, 2, 3)) for name in "abc"}
SAMPLER = optuna.samplers.RandomSampler(seed=0)
ABOUT = {"space_id": "abc"}


class Forgetful(InMemoryStorage):
    """Does what it is told, and loses the acknowledgement of the next writes."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def _forget(self) -> None:
        if self.lost:
            self.lost -= 1
            away = OperationalError("update", {}, Exception("server closed the connection\nmore"))
            raise StorageInternalError("An exception is raised during the commit.") from away

    def create_new_trial(self, study_id: int, template_trial: Any = None) -> int:
        trial_id = super().create_new_trial(study_id, template_trial)
        self._forget()
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        done = super().set_trial_state_values(trial_id, state, values)
        self._forget()
        return done


def guarded(backend: InMemoryStorage, **options: Any) -> optuna.Study:
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    study_id = backend.create_new_study(directions, "run")
    storage = GuardedStorage(backend, study_id, FolderLease(), "here", **options)
    return optuna.Study("run", storage, sampler=SAMPLER)


def test_a_tell_whose_acknowledgement_was_lost_is_not_done_twice() -> None:
    backend = Forgetful()
    notices: list[str] = []
    study = guarded(backend, notice=notices.append)
    trial = study.ask(GENES)
    backend.lost = 2
    study.tell(trial, [1.0, 70.0])
    assert [(t.state, t.values) for t in study.trials] == [(TrialState.COMPLETE, [1.0, 70.0])]
    assert notices == ["here does not answer (server closed the connection); trying for 120 s"]
    with pytest.raises(ValueError, match="Cannot tell a COMPLETE trial"):
        study.tell(trial, [2.0, 71.0])


def test_a_trial_made_twice_is_failed_and_the_other_used() -> None:
    backend = Forgetful()
    study = guarded(backend)
    backend.lost = 1
    trial = study.ask(GENES)
    study.tell(trial, [1.0, 70.0])
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]
    assert study.trials[0].user_attrs["reason"].startswith("made twice")
    assert study.ask(GENES).number == 2


def test_a_finished_trial_whose_import_was_not_acknowledged_is_there_once() -> None:
    backend = Forgetful()
    study = guarded(backend)
    for value in (70.0, 71.0):
        known = optuna.create_trial(
            state=TrialState.COMPLETE,
            params={"a": 1, "b": 2, "c": 3},
            distributions=GENES,
            values=[1.0, value],
            user_attrs={"known": True},
        )
        backend.lost = 1
        study.add_trial(known)
    assert [t.values for t in study.trials] == [[1.0, 70.0], [1.0, 71.0]]
    assert study.ask(GENES).number == 2


def test_a_trial_that_the_backend_itself_made_twice_is_failed() -> None:
    backend = Forgetful()
    study = guarded(backend)
    trial = study.ask(GENES)
    backend.create_new_trial(study._study_id)  # as its own retry leaves one
    again = study.ask(GENES)
    assert [t.state.name for t in study.trials] == ["RUNNING", "FAIL", "RUNNING"]
    assert (trial.number, again.number, study.ask(GENES).number) == (0, 2, 3)


def test_a_waiting_trial_whose_start_was_not_acknowledged_starts() -> None:
    backend = Forgetful()
    study = guarded(backend)
    study.enqueue_trial({"a": 1, "b": 2, "c": 3})
    backend.lost = 1
    assert study.ask(GENES).params == {"a": 1, "b": 2, "c": 3}
    assert study.get_trials(states=(TrialState.WAITING,)) == []


def test_waiting_and_running_trials_are_those_of_the_backend() -> None:
    study = guarded(Forgetful())
    for index in range(30):
        if index % 3 == 0:
            study.enqueue_trial({"a": 1})
        trial = study.ask(GENES)
        if index % 4:
            study.tell(trial, [1.0, 2.0])
        if index % 7 == 0:
            study.enqueue_trial({"a": 2})
        for states in ((TrialState.WAITING,), (TrialState.RUNNING,), None):
            ours = study.get_trials(deepcopy=False, states=states)
            theirs = study._storage._backend.get_all_trials(  # type: ignore[attr-defined]
                study._study_id, deepcopy=False, states=states
            )
            assert ours == theirs


def test_a_database_that_restarts_is_waited_for(server: Any) -> None:
    url, notices = server.database("away"), list[str]()
    options: dict[str, Any] = {"name": "run", "about": ABOUT, "notice": notices.append}
    with open_study(url, sampler=SAMPLER, **options) as (study, _):
        trial = study.ask(GENES)
        server.stop()
        back = threading.Timer(1.0, server.start)
        back.start()
        study.tell(trial, [1.0, 70.0])
        back.join()
        study.tell(study.ask(GENES), [2.0, 71.0])
    assert len(notices) == 1 and "***@127.0.0.1" in notices[0] and "s3cret" not in notices[0]
    with open_study(url, sampler=SAMPLER, **options) as (study, _):
        assert [t.values for t in study.trials] == [[1.0, 70.0], [2.0, 71.0]]


def test_a_database_that_stays_away_ends_the_run_in_one_line(server: Any) -> None:
    url = server.database("gone")
    try:
        with (
            pytest.raises(StorageLost, match=r"no answer for 0 s \(.*go on with --resume") as told,
            open_study(
                url, sampler=SAMPLER, name="run", about=ABOUT, patience_s=0.5, lease_s=1
            ) as (study, _),
        ):
            study.tell(study.ask(GENES), [1.0, 70.0])
            trial = study.ask(GENES)
            server.stop("immediate")
            study.tell(trial, [2.0, 71.0])
        assert "s3cret" not in str(told.value) and "\n" not in str(told.value)
    finally:
        server.start()
    time.sleep(1)  # the lease could not be given back
    with open_study(url, sampler=SAMPLER, name="run", about=ABOUT) as (study, _):
        assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "WAITING"]


@contextmanager
def room(data: int) -> Iterator[None]:
    """Let this process write files of at most so many bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (data, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("spare", [0, 10, 200])
def test_a_full_disk_ends_the_run_in_one_line_and_leaves_whole_records(
    tmp_path: Path, spare: int
) -> None:
    journal = tmp_path / "study.journal"
    with (
        pytest.raises(StorageLost, match=r"can't be written \(File too large\); make room"),
        open_study(journal, sampler=SAMPLER, name="run", about=ABOUT) as (study, _),
    ):
        study.tell(study.ask(GENES), [1.0, 70.0])
        with room(journal.stat().st_size + spare):
            study.tell(study.ask(GENES), [2.0, 71.0])
    assert journal.read_bytes().endswith(b"\n")
    with open_study(journal, sampler=SAMPLER, name="run", about=ABOUT, genes="abc") as (study, _):
        study.tell(study.ask(GENES), [3.0, 72.0])
        assert study.trials[0].values == [1.0, 70.0]
        assert "RUNNING" not in [t.state.name for t in study.trials]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "palmette", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_whose_disk_is_full_goes_on_when_there_is_room(small_disk: Path) -> None:
    journal, filler = small_disk / "study.journal", small_disk / "filler"
    filler.write_bytes(b"0" * 40_000)
    told = 0
    with (
        pytest.raises(StorageLost, match=r"can't be written \(No space left on device\)") as full,
        open_study(journal, sampler=SAMPLER, name="run", about=ABOUT, genes="abc") as (study, _),
    ):
        while True:
            study.tell(study.ask(GENES), [1.0, float(told)])
            told += 1
    assert "\n" not in str(full.value) and told > 3
    with (
        pytest.raises(InputError, match="No space left"),
        open_study(journal, sampler=SAMPLER, name="run", about=ABOUT, genes="abc"),
    ):
        raise AssertionError("driven")
    filler.unlink()
    with open_study(journal, sampler=SAMPLER, name="run", about=ABOUT, genes="abc") as (study, _):
        done = [t.values[1] for t in study.trials if t.state == TrialState.COMPLETE]
        assert done == [float(index) for index in range(told)]
        assert "RUNNING" not in [t.state.name for t in study.trials]
        study.tell(study.ask(GENES), [1.0, 2.0])


def test_a_record_is_whole_or_not_there_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    journal = SoleJournal(tmp_path / "j")
    journal.append_logs([{"op_code": 10, "n": 1}])
    write = os.write

    def half(handle: int, data: Any) -> int:
        write(handle, bytes(data)[:5])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.write", half)
        with pytest.raises(KeyboardInterrupt):
            journal.append_logs([{"op_code": 10, "n": 2}])
    journal.append_logs([{"op_code": 10, "n": 3}])
    assert [log["n"] for log in journal.read_logs(0)] == [1, 3]
    assert [log["n"] for log in SoleJournal(tmp_path / "j").read_logs(0)] == [1, 3]


def test_another_error_of_the_database_is_not_waited_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    began = time.monotonic()
    with (
        pytest.raises((InputError, TypeError)),
        open_study(url, sampler=SAMPLER, name="run", about=ABOUT) as (study, _),
    ):
        study.ask(GENES).set_user_attr("x", object())  # not to be written as JSON
    assert time.monotonic() - began < 20


def test_what_waiting_cannot_cure_is_told_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    notices: list[str] = []
    options: dict[str, Any] = {"name": "run", "about": ABOUT, "notice": notices.append}
    with (
        pytest.raises(StorageLost, match=r"a\.db: can't be used \(no such table: .*mend that"),
        open_study(url, sampler=SAMPLER, **options) as (study, _),
    ):
        trial = study.ask(GENES)
        with sqlite3.connect(tmp_path / "a.db") as other:
            other.execute("drop table trial_values")
        other.close()
        study.tell(trial, [1.0, 70.0])
    assert notices == []


@pytest.mark.parametrize(
    ("state", "passes"),
    [("57P01", True), ("08006", True), ("53300", True), ("40P01", True), ("", True)]
    + [("42P01", False), ("42501", False), ("25006", False)],
)
def test_of_postgresql_the_code_says_whether_it_is_away(state: str, passes: bool) -> None:
    reason = Exception("of the server")
    reason.sqlstate = state or None  # type: ignore[attr-defined]
    error = OperationalError("update", {}, reason)
    assert outage(error) == ("of the server" if passes else None)
