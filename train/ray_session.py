"""A connection to Ray: to a cluster that runs, or to one that lives as long as a training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from palmette.space.errors import InputError
from palmette.space.installing import pip_install
from palmette.train.cluster import (
    Cluster,
    Machine,
    cores_of_worker,
    device_of_workers,
)
from palmette.train.ray_connection import connect


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
            cores = max(os.cpu_count() or 1, cluster.workers)
            connect(ray, cluster.address, "--ray-address", cores)
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


def _ray() -> Any:
    try:
        import ray
        import ray.train.torch
    except ImportError as error:
        raise InputError(f"workers of Ray need {error.name}; {pip_install('ray')}") from None
    return ray
