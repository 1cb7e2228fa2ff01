"""Measuring on a Ray cluster: a task is a pure function, and the driver alone counts attempts.

Machines come and go: how much runs at once is read anew every few seconds, and what was lost with a
machine is told as lost.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from palmette.search.trials.measuring import in_one_line
from palmette.search.trials.ray_task import Board, Key, check, measure
from palmette.search.trials.task import Evaluator, Outcome, Task, WorkerHealth
from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install
from palmette.train.ray_connection import connect, last_line

FLAG = "--ray"
LOOK_SECONDS = 1.0
"""Between looks at the board and at the machines."""
START_SECONDS = 180.0
"""For a worker to start and to open the evaluator."""
PATIENCE_SECONDS = 5.0
"""For the board to answer, and for tasks to end when they are cancelled."""


class OnRay:
    """An executor of Ray's tasks.

    A connection that this process has already is used, and left open.

    Args:
        evaluator: what measures.
        address: of the cluster, see `connect`.
        most: tasks at once; None: as many as there is room for.
        gpus: of each task; a fraction shares a GPU.
        cpus: of each task.
        timeout_s: of a task, from its begin in a worker, seconds; None: no limit.

    Raises:
        InputError: no Ray, no such cluster, none with such resources, or workers that can't open
            the evaluator.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        address: str,
        most: int | None = None,
        gpus: float = 0.0,
        cpus: float = 1.0,
        timeout_s: float | None = None,
    ) -> None:
        self.ray = ray = _ray()
        self.most, self.gpus, self.cpus, self.timeout_s = most, gpus, cpus, timeout_s
        self._running: dict[Any, tuple[Task, float, Key]] = {}
        self._submitted = 0
        self._done: dict[str, int] = {}  # by worker
        self._restarts = self._workers = 0
        self._begun: dict[Key, tuple[str, float]] = {}
        self._looked = -LOOK_SECONDS
        self._board: Any = None
        self._ours = not ray.is_initialized()
        try:
            if self._ours:
                connect(ray, address, FLAG, max(os.cpu_count() or 1, int((most or 1) * cpus)))
            self._expect_room(address)
            self._board = ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()
            self._given = [ray.put(evaluator)], evaluator.id, str(Path.cwd())
            self._check()
        except BaseException:
            self.close()
            raise
        share = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._measure = ray.remote(**share)(measure)

    @property
    def workers(self) -> int:
        """Tasks that the machines of the moment have room for; others may use them too."""
        self._look()
        return self._workers

    def submit(self, task: Task) -> None:
        """See `Executor`."""
        self._submitted += 1
        reference = self._measure.remote(*self._given, self._board, self._submitted, task)
        self._running[reference] = task, time.monotonic(), self._submitted

    def wait(self, seconds: float) -> list[Outcome]:
        """See `Executor`; what ended between two calls comes in the order of submission.

        Raises:
            InputError: the cluster is lost.
        """
        end = time.monotonic() + seconds
        found: list[Outcome] = []
        while not found:
            left = max(0.0, end - time.monotonic())
            found = self._ended(min(left, LOOK_SECONDS)) + self._late()
            if not left:
                break
        return found

    def health(self) -> list[WorkerHealth]:
        """Of workers that have measured, and of tasks that wait for one."""
        self._look()
        busy = [
            (task, *self._begun.get(key, ("starting", 0.0)))
            for task, _, key in self._running.values()
        ]
        idle = set(self._done) - {worker for _, worker, _ in busy}
        rows = [(worker, task, seconds) for task, worker, seconds in busy]
        return [
            WorkerHealth(worker, task, seconds, self._done.get(worker, 0), self._restarts)
            for worker, task, seconds in [*rows, *((worker, None, 0.0) for worker in sorted(idle))]
        ]

    def close(self) -> None:
        """See `Executor`."""
        if not self.ray.is_initialized():
            return
        with suppress(self.ray.exceptions.RayError, ConnectionError):
            for reference in self._running:
                self.ray.cancel(reference, force=True)
            if self._running and not self._ours:
                waiting = list(self._running)
                self.ray.wait(waiting, num_returns=len(waiting), timeout=PATIENCE_SECONDS)
            if self._board is not None:
                self.ray.kill(self._board)
        self._running.clear()
        if self._ours:
            self.ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ended(self, seconds: float) -> list[Outcome]:
        """Outcomes of references that are there within some seconds; all that there are."""
        waiting = list(self._running)
        if not waiting:
            time.sleep(seconds)
            return []
        try:
            ready, _ = self.ray.wait(waiting, num_returns=1, timeout=seconds)
            if ready:
                ready, _ = self.ray.wait(waiting, num_returns=len(waiting), timeout=0)
        except (self.ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            raise InputError(
                f"{FLAG}: the cluster is lost ({last_line(error)}); what was measured is kept: go"
                " on with a resume"
            ) from None
        return [self._outcome(reference) for reference in ready]

    def _outcome(self, reference: Any) -> Outcome:
        task, since, key = self._running.pop(reference)
        worker, _ = self._begun.pop(key, ("", 0.0))
        try:
            outcome: Outcome = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            return Outcome(task, "failed", reason=in_one_line(error), worker=worker)
        except self.ray.exceptions.RayError as error:
            self._lose(worker)
            reason = f"its worker or machine died ({in_one_line(error)})"
            seconds = time.monotonic() - since
            return Outcome(task, "lost", reason=reason, seconds=seconds, worker=worker)
        self._done[outcome.worker] = self._done.get(outcome.worker, 0) + 1
        return outcome

    def _late(self) -> list[Outcome]:
        """Stop what runs for too long.

        What did not begin, after the time of a start besides, is submitted anew.
        """
        if self.timeout_s is None or not self._running:
            return []
        self._look()
        found = []
        for reference, (task, since, key) in list(self._running.items()):
            begun = self._begun.get(key)
            waited = time.monotonic() - since - START_SECONDS
            worker, seconds = begun or ("", waited)
            if seconds <= self.timeout_s:
                continue
            self.ray.cancel(reference, force=True)
            del self._running[reference]
            if begun is None:  # no machine was free for it, and that is not the network's fault
                after_s = waited + START_SECONDS
                _say(f"no worker began trial {task.trial} in {after_s:.0f} s; it waits again")
                self.submit(task)
                continue
            self._lose(worker)
            reason = f"took longer than {self.timeout_s:g} s"
            found.append(Outcome(task, "timeout", reason=reason, seconds=seconds, worker=worker))
        return found

    def _lose(self, worker: str) -> None:
        self._done.pop(worker, None)
        self._restarts += 1

    def _look(self) -> None:
        """Read the machines and the board anew, if that was a while ago."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        room = sum(_room(node["Resources"], self.gpus, self.cpus) for node in self._machines())
        if room == 0 and self._workers > 0:
            _say("no machine of the cluster has room for a trial any more; waiting for one")
        self._workers = room if self.most is None else min(room, self.most)
        keys = [key for _, _, key in self._running.values()]
        if keys:
            with suppress(self.ray.exceptions.RayError):  # a lost board starts again, empty
                answer = self._board.read.remote(keys)
                self._begun = self.ray.get(answer, timeout=PATIENCE_SECONDS)
        self._looked = time.monotonic()

    def _machines(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _expect_room(self, address: str) -> None:
        self._look()
        have = [
            f"{node['Resources'].get('CPU', 0):g} CPUs and {node['Resources'].get('GPU', 0):g} GPUs"
            for node in self._machines()
        ]
        expect(
            self._workers > 0,
            f"{FLAG} {address}: a trial needs {self.cpus:g} CPUs and {self.gpus:g} GPUs of one"
            f" machine; the cluster's have {'; '.join(sorted(set(have))) or 'nothing'}",
        )

    def _check(self) -> None:
        """Open the evaluator in a worker, before the first trial."""
        task = self.ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=3)(check)
        try:
            self.ray.get(task.remote(*self._given), timeout=START_SECONDS)
        except self.ray.exceptions.GetTimeoutError:
            raise InputError(
                f"{FLAG}: no worker was ready after {START_SECONDS:.0f} s; the cluster is busy, or"
                " what a worker imports hangs"
            ) from None
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise InputError(str(error.cause)) from None
            raise InputError(_unfit(error)) from None
        except self.ray.exceptions.RayError as error:
            raise InputError(_unfit(error)) from None


def _room(resources: dict[str, float], gpus: float, cpus: float) -> int:
    """Tasks that fit one machine; a fraction of a GPU doesn't span two."""
    room = int(resources.get("CPU", 0.0) / cpus + 1e-6)
    if gpus:
        have = resources.get("GPU", 0.0)
        room = min(room, int(have) * int(1 / gpus + 1e-6) if gpus < 1 else int(have / gpus))
    return room


def _say(words: str) -> None:
    logging.getLogger("palmette").warning("%s: %s", FLAG, words)


def _unfit(error: BaseException) -> str:
    return f"what measures accuracy can't be opened by a worker of Ray ({last_line(error)})"


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError(f"{FLAG}: needs ray; {pip_install('ray')}") from None
    return ray
