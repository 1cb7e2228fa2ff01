"""After any death of a driver nothing runs, and what was finished is there once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from palmette.search.ledger.lease import Lease
from palmette.search.ledger.orphans import requeue
from palmette.search.ledger.storage import open_study
from palmette.search.trials.driver import failed_for_good
from palmette.search.trials.task import ATTEMPTS

GENES = {name: CategoricalDistribution((1, 2, 3)) for name in "ab"}


def opened(
    place: Path | str, lease_s: float = 5.0
) -> AbstractContextManager[tuple[optuna.Study, Lease]]:
    return open_study(
        place,
        sampler=optuna.samplers.RandomSampler(seed=0),
        name="run",
        about={"space_id": "abc"},
        genes=list(GENES),
        lease_s=lease_s,
    )


def die(place: Path | str, work: Callable[[optuna.Study], None], lease_s: float = 0.5) -> None:
    """Do some work in a process that then dies."""

    def drive() -> None:
        with opened(place, lease_s) as (study, _):
            work(study)
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=drive)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    if not isinstance(place, Path):
        time.sleep(lease_s)


def begin_one(study: optuna.Study) -> None:
    study.ask(GENES)


def test_a_network_at_which_three_drivers_died_is_given_up(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    for _ in range(ATTEMPTS):
        die(journal, begin_one)
    with opened(journal) as (study, _):
        states = [(t.state.name, t.user_attrs["reason"]) for t in study.trials]
        assert states == [
            ("FAIL", "its driver died"),
            ("FAIL", "its driver died"),
            ("FAIL", "its driver died each of 3 times that it was measured"),
        ]
        assert [t.user_attrs.get("retry_of") for t in study.trials] == [None, 0, 1]
        assert [failed_for_good(t) for t in study.trials] == [False, False, True]


def test_an_interrupt_is_no_death(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    for _ in range(ATTEMPTS + 1):
        with suppress(KeyboardInterrupt), opened(journal) as (study, _):
            study.ask(GENES)
            raise KeyboardInterrupt
    with opened(journal) as (study, _):
        last = study.trials[-1]
        assert (last.state, last.user_attrs["attempt"]) == (TrialState.WAITING, 1)
        assert len({str(t.params) for t in study.trials[:-1]}) == 1


def test_a_trial_that_had_not_all_its_genes_is_not_queued_again(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    die(journal, lambda study: study.ask({"a": GENES["a"]}) and None)
    with opened(journal) as (study, _):
        assert [t.state.name for t in study.trials] == ["FAIL"]
        assert study.trials[0].user_attrs["reason"] == "its driver ended before it was asked for"


def test_a_repair_that_is_killed_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    """Cut the journal behind each record that the repair wrote, and in the middle of each."""
    journal = tmp_path / "study.journal"

    def work(study: optuna.Study) -> None:
        study.tell(study.ask(GENES), [1.0, 70.0])
        for _ in range(3):
            study.ask(GENES)

    die(journal, work)
    before = journal.read_bytes()
    with opened(journal) as (study, _):
        wanted = Counter(str(t.params) for t in study.trials[1:4])
    repaired = journal.read_bytes()
    assert repaired.startswith(before)
    ends = [i + 1 for i, byte in enumerate(repaired) if byte == 10 and i >= len(before)]
    assert len(ends) > 6
    for end in ends:
        for cut in (end, end - 9):
            journal.write_bytes(repaired[:cut])
            with opened(journal) as (study, _):
                trials = study.trials
                assert trials[0].values == [1.0, 70.0]
                assert [t.state.name for t in trials[:4]] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
                waiting = [t for t in trials if t.state == TrialState.WAITING]
                assert len(waiting) + 4 == len(trials)
                fixed = Counter(str(t.system_attrs["fixed_params"]) for t in waiting)
                assert fixed == wanted
                again = journal.read_bytes()
                assert requeue(study) == 0
                assert journal.read_bytes() == again


@pytest.mark.parametrize("kind", ["journal", "postgresql"])
def test_a_driver_killed_at_random_moments_loses_nothing_that_it_finished(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place: Any = tmp_path / "study.journal"
    if kind == "postgresql":
        place = request.getfixturevalue("server").database("killed")
    told = multiprocessing.get_context("fork").Array("i", [-1])
    moments = random.Random(0)

    def drive() -> None:
        with opened(place, 0.5) as (study, _):
            while True:
                first, second = study.ask(GENES), study.ask(GENES)
                study.tell(second, [1.0, float(second.number)])
                told[0] = second.number  # the parent may kill from here on
                study.tell(first, [1.0, float(first.number)])

    finished: list[list[float]] = []
    for _ in range(3):
        process = multiprocessing.get_context("fork").Process(target=drive)
        told[0] = -1
        process.start()
        until = time.monotonic() + 60
        while told[0] < 0 and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        time.sleep(0.6 if kind == "postgresql" else 0)
        with opened(place) as (study, _):
            trials = study.trials
            assert {t.state for t in trials} <= {
                TrialState.COMPLETE,
                TrialState.FAIL,
                TrialState.WAITING,
            }
            values = [t.values for t in trials if t.state == TrialState.COMPLETE]
            assert values[: len(finished)] == finished  # as it was, and once
            assert [1.0, float(told[0])] in values
            finished = values
    assert len(finished) >= 3
