"""A connection to Ray: to a cluster that runs, or to one that lives as long as a training."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from palmette.space.errors import InputError
from palmette.train.cluster import (
    LOCAL,
    Cluster,
    Machine,
    cores_of_worker,
    device_of_workers,
)

ANSWER_SECONDS = 8.0
"""For a cluster to answer."""


@dataclass(frozen=True, slots=True)
class Session:
    """A connection to Ray, and what each worker gets of it."""

    workers: int
    cores: int
    """Of each worker."""
    cuda: bool
    ours: bool
    """Made for this training, and over with it."""


@contextmanager
def connected(cluster: Cluster | None, device: str) -> Iterator[Session | None]:
    """Be connected to a cluster that has room for its workers; None needs none.

    A connection that this process has already is used.

    Args:
        cluster: how many workers, and where.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        InputError: no Ray, no such cluster, too few cores or GPUs.
    """
    if cluster is None:
        yield None
        return
    ray = _ray()
    ours = not ray.is_initialized()
    try:
        if ours:
            _connect(ray, cluster)
        machines = [
            Machine(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        ]
        cuda = device_of_workers(machines, cluster.workers, device) == "cuda"
        cores = cores_of_worker(machines, cluster.workers, cuda=cuda)
        yield Session(cluster.workers, cores, cuda, ours)
    finally:
        if ours:
            ray.shutdown()


def last_line(error: BaseException) -> str:
    """The last line of an error that may have a traceback in its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _connect(ray: Any, cluster: Cluster) -> None:
    """Connect to a running cluster, or start one on this machine."""
    own: dict[str, Any] = {}
    if cluster.address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own = {"num_cpus": max(os.cpu_count() or 1, cluster.workers), "include_dashboard": False}
    try:
        _expect_listener(cluster.address)
        ray.init(cluster.address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray-address {cluster.address}: no Ray cluster there ({last_line(error)})"
        ) from None


def _expect_listener(address: str) -> None:
    """Raise OSError if nothing answers at `host:port`; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()


def _ray() -> Any:
    try:
        import ray
        import ray.train.torch
    except ImportError as error:
        raise InputError(f"workers of Ray need {error.name}; install palmette[ray]") from None
    return ray
