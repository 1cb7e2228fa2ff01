"""Workers of Ray: how many, on which cluster, and what of its machines each of them gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install
from palmette.train.ray_connection import LOCAL as LOCAL

MOST_WORKERS = 4096
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers that train one network together.

    Args:
        workers: how many, 1 to 4096; 0 for none: this process alone, without Ray.
        address: of a running Ray cluster (`auto` for this machine's, or host:port), or `local`: one
            that lives as long as the training.
    """

    workers: int
    address: str = LOCAL

    def __post_init__(self) -> None:
        expect(
            type(self.workers) is int and 0 <= self.workers <= MOST_WORKERS,
            f"--ray-workers {self.workers}: must be a whole number from 0 to {MOST_WORKERS}",
        )
        expect(bool(self.address), f"--ray-address: must be {LOCAL}, auto or host:port")

    def expect_fits(self, batch: int) -> None:
        """Raise InputError unless Ray is installed and a batch can be cut into equal parts."""
        expect(
            not self.workers or find_spec("ray") is not None,
            f"--ray-workers: needs ray; {pip_install('ray')}",
        )
        if self.workers and batch % self.workers:
            lower = batch // self.workers * self.workers
            near = f"{lower} or {lower + self.workers}" if lower else f"{self.workers}"
            raise InputError(
                f"batch: {self.workers} workers can't share {batch} images equally; give a batch of"
                f" {near}"
            )


@dataclass(frozen=True, slots=True)
class Machine:
    """What Ray has of a machine."""

    cores: int
    gpus: int


def device_of_workers(machines: Sequence[Machine], workers: int, asked: str) -> str:
    """`cpu` or `cuda`, the same for all of them, each with a GPU of its own.

    Raises:
        InputError: a device that workers can't have; fewer GPUs than workers.
    """
    expect(
        asked in DEVICES,
        f"device '{asked}': workers of Ray compute on one of {', '.join(DEVICES)}",
    )
    gpus = sum(machine.gpus for machine in machines)
    if asked == "cpu" or (asked == "auto" and not gpus):
        return "cpu"
    expect(
        gpus >= workers,
        f"--ray-workers {workers}: each needs a GPU, and the cluster has {gpus}; ask for at most"
        f" {gpus} or for --device cpu"
        if gpus
        else "device 'cuda': the cluster has no GPU; choose --device cpu",
    )
    return "cuda"


def cores_of_worker(machines: Sequence[Machine], workers: int, *, cuda: bool = False) -> int:
    """Most cores that every worker can have.

    Args:
        machines: of the cluster.
        workers: how many there shall be.
        cuda: whether each needs a GPU of its machine.

    Raises:
        InputError: there is no room for so many.
    """
    most = max((machine.cores for machine in machines), default=0)
    for cores in range(most, 0, -1):
        room = (
            min(machine.cores // cores, machine.gpus) if cuda else machine.cores // cores
            for machine in machines
        )
        if sum(room) >= workers:
            return cores
    total = sum(machine.cores for machine in machines if machine.gpus or not cuda)
    where = "its machines with GPUs have" if cuda else "the cluster has"
    raise InputError(f"--ray-workers {workers}: {where} {total} cores; ask for fewer")
