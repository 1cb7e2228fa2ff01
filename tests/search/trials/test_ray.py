"""Ray's tasks on one machine: what comes back, what is lost, what is refused within seconds."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from palmette.search.trials.cluster import OnRay, _room
from palmette.search.trials.opening import open_executor
from palmette.search.trials.task import Executor, Outcome, Task
from palmette.space import InputError
from tests.search.trials.evaluators import Scripted, Unprepared

Collect = Callable[[Executor, int], list[Outcome]]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own, at its imports


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, **quiet)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def executor(ray: Any) -> Iterator[Executor]:
    with open_executor(Scripted(), ray="local", timeout_s=5.0) as executor:
        yield executor


@pytest.mark.parametrize(
    ("resources", "gpus", "cpus", "room"),
    [
        ({"CPU": 8.0}, 0.0, 1.0, 8),
        ({"CPU": 8.0}, 0.0, 0.5, 16),
        ({"CPU": 8.0}, 0.0, 3.0, 2),
        ({"CPU": 8.0}, 1.0, 1.0, 0),
        ({"CPU": 8.0, "GPU": 4.0}, 1.0, 1.0, 4),
        ({"CPU": 8.0, "GPU": 4.0}, 2.0, 1.0, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 0.4, 1.0, 4),  # not five: none is cut in two
        ({"CPU": 90.0, "GPU": 1.0}, 0.1, 1.0, 10),
        ({}, 0.0, 1.0, 0),
    ],
)
def test_room_of_a_machine(
    resources: dict[str, float], gpus: float, cpus: float, room: int
) -> None:
    assert _room(resources, gpus, cpus) == room


def test_a_cluster_without_room_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}]
    executor = object.__new__(OnRay)
    executor.ray, executor.cpus, executor.gpus, executor.most = None, 1.0, 0.0, None
    executor._running, executor._workers = {}, 0
    rooms = []
    for left in (nodes, [], [], nodes):
        executor._looked = -1e9
        executor.ray = SimpleNamespace(nodes=partial(list, left))
        rooms.append(executor.workers)
    assert rooms == [2, 0, 0, 2]
    assert [record.message for record in caplog.records] == [
        "--ray: no machine of the cluster has room for a trial any more; waiting for one"
    ]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere", "a:b", "h:0"])
def test_an_address_without_a_cluster_is_told_at_once(address: str) -> None:
    pytest.importorskip("ray")
    begin = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_executor(Scripted(), ray=address)
    assert str(caught.value).startswith(f"--ray {address}: no Ray cluster there (")
    assert time.monotonic() - begin < 10


@pytest.mark.sweep
@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_port_of_another_program_is_told_within_ten_seconds(words: bytes) -> None:
    pytest.importorskip("ray")

    def serve() -> None:
        line, _ = server.accept()
        with line:
            line.sendall(words)
            line.recv(1000)
            told.wait(30)

    told = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        begin = time.monotonic()
        with pytest.raises(InputError, match="what listens there is not Ray"):
            open_executor(Scripted(), ray=f"127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - begin < 10
        told.set()


@pytest.mark.slow
def test_tasks_come_back_and_a_process_keeps_its_evaluator(
    executor: Executor, collect: Collect
) -> None:
    assert isinstance(executor, OnRay) and executor.workers == 2
    tasks = [Task(0, "71.5"), Task(1, "raise wrong")]
    for task in tasks:
        executor.submit(task)
    done, failed = sorted(collect(executor, 2), key=lambda outcome: outcome.task.trial)
    assert (done.task, done.fate, done.top1, done.sigma) == (tasks[0], "done", 71.5, 0.25)
    assert (failed.fate, failed.reason) == ("failed", "ValueError: wrong")
    assert int(done.worker.rpartition(":")[2]) != os.getpid()
    assert sum(worker.done for worker in executor.health()) == 2


@pytest.mark.slow
def test_a_worker_that_dies_loses_its_task_alone(executor: Executor, collect: Collect) -> None:
    executor.submit(Task(0, "die", attempt=2))
    executor.submit(Task(1, "sleep 1"))
    by_trial = {outcome.task.trial: outcome for outcome in collect(executor, 2)}
    assert by_trial[0].fate == "lost" and by_trial[0].task.attempt == 2
    assert by_trial[0].reason.startswith("its worker or machine died (")
    assert by_trial[1].fate == "done"


@pytest.mark.slow
def test_health_names_who_measures_what_and_a_kill_from_outside_is_seen(
    executor: Executor, collect: Collect
) -> None:
    executor.submit(Task(5, "sleep 4"))
    worker = ""
    while not worker:
        assert executor.wait(0.5) == []
        busy = [one for one in executor.health() if one.task and one.worker != "starting"]
        worker = busy[0].worker if busy else ""
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
    (lost,) = collect(executor, 1)
    assert (lost.fate, lost.worker) == ("lost", worker)


@pytest.mark.slow
def test_a_task_that_hangs_is_stopped(executor: Executor, collect: Collect) -> None:
    executor.submit(Task(0, "hang"))
    (late,) = collect(executor, 1)
    assert (late.fate, late.reason) == ("timeout", "took longer than 5 s")
    assert 5.0 < late.seconds < 30.0
    executor.submit(Task(1, "50"))
    assert collect(executor, 1)[0].top1 == 50


@pytest.mark.slow
def test_resources_that_no_machine_has_are_told_at_once(ray: Any) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_executor(Scripted(), ray="local", gpus=2)
    assert str(caught.value) == (
        "--ray local: a trial needs 1 CPUs and 2 GPUs of one machine; the cluster's have 2 CPUs"
        " and 1 GPUs"
    )
    assert time.monotonic() - begin < 10


@pytest.mark.slow
def test_a_fraction_of_a_gpu_lets_tasks_share_it(ray: Any, collect: Collect) -> None:
    with open_executor(Scripted(), ray="local", gpus=0.25, cpus=0.5) as executor:
        assert executor.workers == 4
    with open_executor(Scripted(), ray="local", workers=1) as executor:
        assert executor.workers == 1


@pytest.mark.slow
def test_what_a_worker_cannot_open_is_told_before_the_first_trial(ray: Any) -> None:
    with pytest.raises(InputError) as caught:
        open_executor(Unprepared(home=os.getpid()), ray="local")
    assert str(caught.value) == "FILE.py:NAME: can't be imported by a worker (no module 'x')"
