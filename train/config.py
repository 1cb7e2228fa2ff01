"""A training from plain values, as `run.toml` has it beside the recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from palmette.train.cluster import LOCAL, Cluster
from palmette.train.options import expect_options


@dataclass(frozen=True, slots=True)
class Config:
    """What is trained, on what, where.

    Args:
        architecture: text of the network, with the classes of the data.
        data: see `open_data`.
        share: of validation, where the data have no split of their own.
        seed: of weights, split, order, augmentation.
        device: `auto`, `cpu`, `cuda`, `mps`.
        weights: file of weights to begin with, or None.
        timm: timm's name of the network that these are of; None if they are ours.
        teacher: file of weights of a network to learn from, or None.
        halve: on a lack of memory halve the batch and accumulate, instead of stopping.
        threads: of the CPU, of each worker; sums depend on them.
        ray_workers: workers of Ray; 0: this process alone, without Ray.
        ray_address: of the cluster that they run on.
        quantised: whether it learns on with 8-bit weights and activations, see `train.quantised`.

    Raises:
        InputError: see `expect_options`.
    """

    architecture: str
    data: str
    share: float = 0.2
    seed: int = 0
    device: str = "auto"
    weights: str | None = None
    timm: str | None = None
    teacher: str | None = None
    halve: bool = False
    threads: int = 0
    ray_workers: int = 0
    ray_address: str = LOCAL
    quantised: bool = False

    def __post_init__(self) -> None:
        expect_options(self.share, self.seed, self.device)

    @property
    def cluster(self) -> Cluster | None:
        """Where Ray's workers run, if there are any; raises InputError as `Cluster`."""
        return Cluster(self.ray_workers, self.ray_address) if self.ray_workers else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
