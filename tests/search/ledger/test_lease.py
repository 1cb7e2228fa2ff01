"""One driver a study: who has it is told, who lost it writes nothing."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine

from palmette.search.ledger.lease import DatabaseLease, LeaseLost
from palmette.search.ledger.place import database
from palmette.search.ledger.storage import open_study
from palmette.space import InputError

GENES = {"a": CategoricalDistribution((1, 2, 3))}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'a.db'}"
    server = request.getfixturevalue("server")
    return str(server.database(f"lease{time.monotonic_ns()}"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(database(url))
    yield engine
    engine.dispose()


def lease(engine: Engine, holder: str, period_s: float = 30.0) -> DatabaseLease:
    return DatabaseLease(engine, "run", "here", period_s=period_s, holder=holder)


def asleep(taken: DatabaseLease) -> None:
    """Let a holder renew no more, and think that its lease lasts: its clock stands still."""
    taken._stop.set()
    taken._thread.join()
    taken._until = float("inf")


def test_a_second_driver_is_refused_and_told_who_drives_and_for_how_long(engine: Engine) -> None:
    first, second = lease(engine, "node-1:17"), lease(engine, "node-2:4")
    first.acquire()
    with pytest.raises(InputError, match=r"here: .*'run' is driven by node-1:17 for 0 s") as told:
        second.acquire()
    left = re.search(r"for (\d+) s until its lease runs out", str(told.value))
    assert left is not None and 25 <= int(left[1]) <= 31
    first.check()
    first.release()
    second.acquire()
    assert (first.fence, second.fence) == (1, 2)
    second.release()


def test_a_holder_of_this_host_that_is_dead_is_not_waited_for(engine: Engine) -> None:
    process = subprocess.Popen(["true"])
    dead, mine = f"{socket.gethostname()}:{process.pid}", lease(engine, "node-2:4")
    process.wait()
    first = lease(engine, dead)
    first.acquire()
    mine.acquire()
    assert mine.fence == 2
    with pytest.raises(LeaseLost, match="driven by node-2:4 by now"):
        first._renew()
        first.check()
    mine.release()


def test_of_many_that_begin_at_once_one_drives(engine: Engine) -> None:
    leases = [lease(engine, f"node:{index}") for index in range(4)]
    leases[0].acquire()  # the table is there, the lease is free
    leases[0].release()
    won: list[DatabaseLease] = []

    def take(one: DatabaseLease) -> None:
        try:
            one.acquire()
            won.append(one)
        except InputError:
            pass

    threads = [threading.Thread(target=take, args=(one,)) for one in leases[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    won[0].release()


def test_two_that_make_the_table_at_once_both_find_it(engine: Engine) -> None:
    failed: list[Exception] = []
    mine = lease(engine, "a:1")

    def take() -> None:
        try:
            mine.acquire()
        except Exception as error:
            failed.append(error)

    with engine.begin() as other:
        other.execute(
            text(
                "create table palmette_lease (study varchar(512) primary key, holder varchar(512),"
                " since double precision, expires double precision, fence integer)"
            )
        )
        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.3)
    thread.join()
    assert not failed
    mine.release()


def test_a_lease_is_renewed_while_its_driver_lives_and_runs_out_when_it_sleeps(
    engine: Engine,
) -> None:
    first, second = lease(engine, "a:1", period_s=0.6), lease(engine, "b:2", period_s=5)
    first.acquire()
    time.sleep(1.0)
    with pytest.raises(InputError, match="driven by a:1"):
        second.acquire()
    asleep(first)
    time.sleep(0.7)
    second.acquire()
    first._until = 0.0  # it wakes
    with pytest.raises(LeaseLost, match="driven by b:2 by now"):
        first.check()
    first.release()  # not its own any more
    second.check()
    second.release()


def test_a_lease_that_ran_out_and_that_nobody_took_goes_on(engine: Engine) -> None:
    one = lease(engine, "a:1", period_s=0.2)
    one.acquire()
    asleep(one)
    time.sleep(0.3)
    one._until = 0.0
    one.check()
    assert one._until > time.monotonic()
    one.release()


def test_a_driver_that_slept_through_its_lease_writes_nothing(url: str, engine: Engine) -> None:
    """Its clock says that all is well: the transaction itself sees the other's number."""
    about, sampler = {"space_id": "abc"}, optuna.samplers.RandomSampler(seed=0)
    with (
        pytest.raises(LeaseLost, match=rf"driven by .*:{os.getpid()} by now"),
        open_study(url, sampler=sampler, name="run", about=about, lease_s=0.5) as (mine, held),
    ):
        trial = mine.ask(GENES)
        asleep(held)  # type: ignore[arg-type]
        time.sleep(0.6)
        with open_study(url, sampler=sampler, name="run", about=about) as (other, _):
            again = other.ask(GENES)
            other.tell(again, [1.0, 2.0])
            with pytest.raises(LeaseLost):
                mine.ask(GENES)
        mine.tell(trial, [3.0, 4.0])
    with open_study(url, sampler=sampler, name="run", about=about) as (study, _):
        kept = [(t.state, t.values) for t in study.get_trials()]
        assert kept == [(TrialState.FAIL, None), (TrialState.COMPLETE, [1.0, 2.0])]


def test_times_are_the_database_s(engine: Engine) -> None:
    one = lease(engine, "a:1", period_s=7)
    one.acquire()
    with engine.begin() as connection:
        since, expires = connection.execute(text("select since, expires from palmette_lease")).one()
    assert expires - since == pytest.approx(7, abs=0.01)
    one.release()


def test_a_lease_outlives_a_restart_of_the_server(server: Any) -> None:
    engine = create_engine(database(server.database("restart")))
    one, other = lease(engine, "a:1", period_s=6), lease(engine, "b:2")
    one.acquire()
    server.stop("immediate")
    server.start()
    until = time.monotonic() + 4
    before = one._until
    while one._until == before and time.monotonic() < until:
        time.sleep(0.05)
    assert one._until > before  # renewed
    engine.dispose()
    with pytest.raises(InputError, match="driven by a:1"):
        other.acquire()
    one.check()
    one.release()
