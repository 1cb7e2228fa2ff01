"""The journal of a folder: repaired at its torn end, whole or told to be corrupt, one writer."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from palmette.search.ledger.journal import SoleJournal, SoleStorage
from palmette.search.ledger.storage import open_study
from palmette.space import InputError

NAME = "study.journal"
SPACE = {"x": optuna.distributions.CategoricalDistribution((1, 2, 3))}
Read = Callable[[Path], dict[str, bytes]]


def study_of(folder: Path, work: Callable[[optuna.Study], None] | None = None) -> optuna.Study:
    """The study of a folder, opened by a driver that does some work and ends in order."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    with open_study(folder / NAME, sampler=sampler, name="run", about={}) as (study, _):
        if work is not None:
            work(study)
    return study


def die(folder: Path, work: Callable[[optuna.Study], None]) -> None:
    """Do some work in a process that then dies."""

    def drive() -> None:
        def all_of_it(study: optuna.Study) -> None:
            work(study)
            os.kill(os.getpid(), signal.SIGKILL)

        study_of(folder, all_of_it)

    process = multiprocessing.get_context("fork").Process(target=drive)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def finish(study: optuna.Study) -> None:
    study.tell(study.ask(SPACE), [1.0, 2.0])


def started(folder: Path, finished: int = 2) -> None:
    """A study with finished trials and one that its driver's death left running."""

    def work(study: optuna.Study) -> None:
        for _ in range(finished):
            finish(study)
        study.ask(SPACE)

    die(folder, work)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.get_trials()]


def read_by_optuna(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / NAME)))
    return optuna.load_study(study_name="run", storage=storage).get_trials()


def test_a_trial_that_a_dead_driver_left_is_failed_and_waits_again(tmp_path: Path) -> None:
    started(tmp_path)
    left = read_by_optuna(tmp_path)
    study = study_of(tmp_path)
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "WAITING"]
    assert study.get_trials()[:2] == left[:2]
    assert study.get_trials()[3].system_attrs["fixed_params"] == left[2].params


def test_what_is_in_memory_is_what_the_file_says(tmp_path: Path) -> None:
    """After each kind of record, with values that JSON changes."""

    def work(study: optuna.Study) -> None:
        finish(study)
        study.set_user_attr("pair", (1, 2))
        trial = study.ask({**SPACE, "y": optuna.distributions.FloatDistribution(0, 1)})
        trial.set_user_attr("map", {1: "a"})
        trial.set_constraint("limits", -0.5)
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial({"x": 2}, user_attrs={"retry_of": 1})
        study.add_trial(study.trials[0])

    study = study_of(tmp_path, work)
    assert study.trials == read_by_optuna(tmp_path)
    again = SoleStorage(SoleJournal(tmp_path / NAME))
    assert again.get_all_trials(study._study_id) == study.trials
    assert again.get_study_user_attrs(0)["pair"] == study.user_attrs["pair"] == [1, 2]


def test_equal_distributions_and_choices_are_one_object(tmp_path: Path) -> None:
    names = {"act": optuna.distributions.CategoricalDistribution(("relu6 ", "hard swish"))}

    def work(study: optuna.Study) -> None:
        for _ in range(20):
            study.tell(study.ask(names), [1.0, 2.0])

    live = study_of(tmp_path, work).get_trials(deepcopy=False)
    read = SoleStorage(SoleJournal(tmp_path / NAME)).get_all_trials(0, deepcopy=False)
    for trials in (live, read):
        assert len({id(trial.distributions["act"]) for trial in trials}) == 1
        assert len({id(trial.params["act"]) for trial in trials}) == 2


def test_a_trial_that_died_without_parameters_does_not_wait(tmp_path: Path) -> None:
    die(tmp_path, lambda study: study.ask() and None)
    assert states(study_of(tmp_path)) == ["FAIL"]


def test_a_torn_last_line_is_cut_and_the_lines_before_are_kept(tmp_path: Path) -> None:
    started(tmp_path)
    journal = tmp_path / NAME
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-15])
    left = states(study_of(tmp_path))
    assert left[:2] == ["COMPLETE", "COMPLETE"]
    assert states(study_of(tmp_path)) == left  # what was written behind the cut can be read
    last = whole[:-1].rfind(b"\n") + 1
    assert journal.read_bytes()[:last] == whole[:last]


def test_a_lock_that_somebody_left_beside_the_journal_is_not_waited_for(tmp_path: Path) -> None:
    started(tmp_path)
    journal = tmp_path / NAME
    Path(f"{journal}.lock").symlink_to(journal)  # as Optuna's own lock does
    study = study_of(tmp_path, finish)
    assert states(study)[-1] == "COMPLETE"


def test_writing_to_the_journal_makes_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt in the middle of making or removing one could end in another error."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a lock")

    monkeypatch.setattr("os.symlink", refuse)
    started(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["study.journal"]


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"\xff\xfe\x80",
        b"{",
        b"3",
        b"null",
        b"[]",
        b"{}",
        b'{"op_code": "4"}',
        b"[" * 100_000,
    ],
)
def test_garbage_in_the_middle_of_a_journal_is_told_and_nothing_changes(
    tmp_path: Path, line: bytes, folder_bytes: Read
) -> None:
    started(tmp_path)
    journal = tmp_path / NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], line + b"\n", *lines[5:]]) + b'{"torn')
    before = folder_bytes(tmp_path)
    with pytest.raises(InputError, match=r"study\.journal: corrupt.*the run can't be resumed"):
        study_of(tmp_path)
    assert folder_bytes(tmp_path) == before


@pytest.mark.parametrize(
    "line", [b'{"op_code": 99}', b'{"op_code": 4, "worker_id": "w"}', b'{"op_code": 0}']
)
def test_a_record_that_says_nothing_is_told(tmp_path: Path, line: bytes) -> None:
    started(tmp_path)
    journal = tmp_path / NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:5], line + b"\n", *lines[5:]]))
    before = journal.read_bytes()
    with pytest.raises(InputError, match=r"study\.journal: corrupt.*the run can't be resumed"):
        study_of(tmp_path)
    assert journal.read_bytes() == before


def test_an_empty_journal_is_a_new_study(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"")
    assert study_of(tmp_path).get_trials() == []


def test_opening_a_finished_study_again_changes_nothing(tmp_path: Path) -> None:
    study_of(tmp_path, finish)
    before = (tmp_path / NAME).read_bytes()
    assert states(study_of(tmp_path)) == ["COMPLETE"]
    assert (tmp_path / NAME).read_bytes() == before


def test_a_journal_that_was_let_go_of_is_not_written_any_more(tmp_path: Path) -> None:
    """The number of its file may be another file's by then."""
    study = study_of(tmp_path, finish)
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    with pytest.raises(InputError, match="can't be written"):
        study.ask(SPACE)
    assert os.fstat(other).st_size == 0
    os.close(other)
