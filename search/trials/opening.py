"""The one door to executors: this process, processes of this machine, or a Ray cluster."""

from __future__ import annotations

import math

from palmette.search.trials.cluster import OnRay
from palmette.search.trials.here import Here
from palmette.search.trials.processes import Processes
from palmette.search.trials.task import Evaluator, Executor
from palmette.space.errors import expect

MOST_WORKERS = 4096


def open_executor(
    evaluator: Evaluator,
    *,
    workers: int | None = None,
    ray: str | None = None,
    gpus: float = 0.0,
    cpus: float = 1.0,
    timeout_s: float | None = None,
) -> Executor:
    """What runs the tasks of a search; a context manager.

    Args:
        evaluator: what measures.
        workers: processes of this machine; 0: this process itself, which knows no timeout. None: 1,
            or with Ray as many as the cluster has room for; with Ray a number is the most.
        ray: address of a Ray cluster: `auto`, `local`, `host:port` or `ray://host:port`.
        gpus: of each trial on Ray; fractions share a GPU.
        cpus: of each trial on Ray.
        timeout_s: of each trial, seconds; None: no limit.

    Raises:
        InputError: a value out of range; no such cluster, or one without such resources; workers
            that can't open the evaluator.
    """
    expect_valid(workers, ray, gpus, cpus, timeout_s)
    if ray is not None:
        return OnRay(evaluator, ray, workers, gpus, cpus, timeout_s)
    if workers == 0:
        return Here(evaluator)
    return Processes(evaluator, workers or 1, timeout_s)


def expect_valid(
    workers: int | None, ray: str | None, gpus: float, cpus: float, timeout_s: float | None
) -> None:
    """Raise InputError for a value out of range, or one that another makes pointless."""
    least = 0 if ray is None else 1
    expect(
        workers is None or (type(workers) is int and least <= workers <= MOST_WORKERS),
        f"--workers {workers}: must be a whole number from {least} to {MOST_WORKERS}",
    )
    expect(
        math.isfinite(gpus) and gpus >= 0 and (gpus <= 1 or gpus == int(gpus)),
        f"--gpus-per-trial {gpus}: must be a fraction of one, or a whole number",
    )
    expect(
        math.isfinite(cpus) and cpus > 0 and (cpus <= 1 or cpus == int(cpus)),
        f"--cpus-per-trial {cpus}: must be a fraction of one, or a whole number from 1",
    )
    expect(
        ray is not None or (gpus == 0 and cpus == 1),
        "--gpus-per-trial, --cpus-per-trial: Ray deals these out; give --ray",
    )
    expect(
        timeout_s is None or (math.isfinite(timeout_s) and timeout_s > 0),
        f"--timeout {timeout_s}: must be a number of seconds above 0",
    )
    expect(
        timeout_s is None or workers != 0,
        "--timeout: this process can't be stopped; give --workers 1 or more",
    )
