"""Real worker processes: killed, hanging, unfit, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from palmette.search.trials.opening import open_executor
from palmette.search.trials.processes import Processes
from palmette.search.trials.task import Executor, Outcome, Task
from palmette.space import InputError
from tests.search.trials.evaluators import Scripted, Unprepared

PATIENCE_S = 120.0
Collect = Callable[[Executor, int], list[Outcome]]
Runs = Callable[[int], bool]


def pids(executor: Processes) -> list[int]:
    return [int(worker.worker.rpartition(":")[2]) for worker in executor.health()]


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        executor = open_executor(Scripted(), workers=2, timeout_s=3.0)
    assert isinstance(executor, Processes)
    with executor:
        yield executor


def test_what_tasks_return_comes_back_with_where_it_was_measured(
    pool: Processes, collect: Collect
) -> None:
    tasks = [Task(0, "71.5"), Task(1, "raise wrong")]
    for task in tasks:
        pool.submit(task)
    done, failed = sorted(collect(pool, 2), key=lambda outcome: outcome.task.trial)
    assert (done.task, done.fate, done.top1, done.sigma) == (tasks[0], "done", 71.5, 0.25)
    assert (failed.fate, failed.reason) == ("failed", "ValueError: wrong")
    assert {int(o.worker.rpartition(":")[2]) for o in (done, failed)} <= set(pids(pool))
    assert os.getpid() not in pids(pool)


def test_cores_are_shared_out_to_the_workers(pool: Processes, collect: Collect) -> None:
    pool.submit(Task(0, "threads"))
    assert collect(pool, 1)[0].top1 == max(1, len(os.sched_getaffinity(0)) // 2)


def test_outcomes_come_in_the_order_in_which_tasks_end(pool: Processes, collect: Collect) -> None:
    pool.submit(Task(0, "sleep 0.5"))
    pool.submit(Task(1, "sleep 0.1"))
    time.sleep(0.8)
    assert [outcome.task.trial for outcome in collect(pool, 2)] == [1, 0]


def test_a_task_that_hangs_is_stopped_and_its_neighbour_is_not(
    pool: Processes, collect: Collect, runs: Runs
) -> None:
    before = pids(pool)
    pool.submit(Task(0, "hang"))
    pool.submit(Task(1, "sleep 1.0"))
    by_trial = {outcome.task.trial: outcome for outcome in collect(pool, 2)}
    assert by_trial[1].fate == "done"
    late = by_trial[0]
    assert (late.fate, late.reason) == ("timeout", "took longer than 3 s")
    assert 3.0 <= late.seconds < 30.0
    hung = int(late.worker.rpartition(":")[2])
    assert hung in before and not runs(hung) and hung not in pids(pool)


def test_a_worker_that_is_killed_loses_its_task_alone_and_is_replaced(
    pool: Processes, collect: Collect
) -> None:
    restarts = sum(worker.restarts for worker in pool.health())
    pool.submit(Task(0, "hang", attempt=2))
    victim = next(w.worker for w in pool.health() if w.task is not None)
    os.kill(int(victim.rpartition(":")[2]), signal.SIGKILL)
    (lost,) = collect(pool, 1)
    assert (lost.fate, lost.reason) == ("lost", "its worker died (killed by SIGKILL)")
    assert lost.task.attempt == 2 and lost.worker == victim
    for process in pids(pool):  # idle ones
        os.kill(process, signal.SIGKILL)
    pool.submit(Task(1, "50"))
    outcome = collect(pool, 1)[0]
    if outcome.fate == "lost":  # it was given to a worker that was dying
        pool.submit(Task(1, "50"))
        outcome = collect(pool, 1)[0]
    assert outcome.top1 == 50
    assert sum(worker.restarts for worker in pool.health()) > restarts


def test_a_worker_that_is_slow_to_start_is_told_once_and_the_others_go_on(
    pool: Processes,
    collect: Collect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not all(worker.ready for worker in pool._workers) and time.monotonic() < deadline:
        pool.wait(0.1)
    monkeypatch.setattr("palmette.search.trials.processes.START_SECONDS", 0.0)
    os.kill(pids(pool)[0], signal.SIGKILL)
    for _ in range(3):
        pool.wait(0.05)
    pool.submit(Task(0, "71.5"))
    assert collect(pool, 1)[0].top1 == 71.5
    assert [r.message for r in caplog.records if "was not ready" in r.message] == [
        "a worker was not ready after 0 s; what it imports hangs, or the machine is too busy;"
        " the others go on"
    ]


def test_a_script_without_a_guard_is_not_run_again_by_its_workers(
    tmp_path: Path, collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise SystemExit('searches again')\n")
    main = ModuleType("__main__")
    main.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with Processes(Scripted(), 1) as executor:
        assert sys.modules["__main__"] is main
        executor.submit(Task(0, "71.5"))
        assert collect(executor, 1)[0].top1 == 71.5


def test_leaving_kills_what_runs_and_what_it_started(runs: Runs) -> None:
    with pytest.raises(KeyboardInterrupt), Processes(Scripted(), 1) as executor:
        executor.submit(Task(0, "parent"))
        time.sleep(1.0)
        worker = pids(executor)[0]
        children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
        assert len(children) == 1
        raise KeyboardInterrupt
    due = time.monotonic() + 10  # what was killed is gone a moment later
    while runs(int(children[0])) and time.monotonic() < due:
        time.sleep(0.01)
    assert not runs(worker) and not runs(int(children[0]))
    assert executor.workers == 0


def test_workers_that_cannot_open_the_evaluator_say_why_once() -> None:
    with pytest.raises(InputError) as caught:
        open_executor(Unprepared(home=os.getpid()), workers=1)
    assert str(caught.value) == "FILE.py:NAME: can't be imported by a worker (no module 'x')"


def test_an_evaluator_that_does_not_pickle_is_refused_at_the_door() -> None:
    with pytest.raises(InputError, match="can't be sent to workers"):
        open_executor(lambda task: (1.0, 1.0), workers=1)  # type: ignore[arg-type]


DRIVER = """
import signal
from palmette.search.trials.processes import Processes
from palmette.search.trials.task import Task
from tests.search.trials.evaluators import Scripted

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what runs in background
    executor = Processes(Scripted(), 1)
    executor.submit(Task(0, "parent"))
    print(executor.health()[0].worker.rpartition(":")[2], flush=True)
    {end}
"""


@pytest.mark.parametrize(
    ("end", "kills"),
    [
        ("executor.wait(600)", (signal.SIGKILL,)),
        pytest.param("executor.wait(600)", (signal.SIGINT,), marks=pytest.mark.sweep),
        pytest.param("raise ValueError", (), marks=pytest.mark.sweep),
    ],
    ids=["killed", "interrupted", "failed without closing"],
)
def test_workers_end_with_a_driver_however_it_ends(
    end: str, kills: tuple[int, ...], tmp_path: Path, runs: Runs
) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(end=end))
    driver = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    with driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        for kill in kills:
            time.sleep(0.5)
            driver.send_signal(kill)
        driver.wait(PATIENCE_S)
    end_s = time.monotonic() + 20
    while runs(worker) and time.monotonic() < end_s:
        time.sleep(0.05)
    assert not runs(worker)
