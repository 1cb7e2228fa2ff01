"""`SupernetAccuracy`: top-1 of any network of a space without training it, from a supernet.

The middle rung of the accuracy estimators. Its top-1 is that of the network with shared weights,
below what the same network reaches alone; it is for ranking. How well it ranks is measured by a
rank-correlation card (`benchmarks/rank_card.py`), for a space, data and a recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture
from palmette.space.errors import expect
from palmette.space.search_space import Codes
from palmette.train.datasets import Data, open_data
from palmette.train.estimates import CONFIDENCE, Measured
from palmette.train.supernet.file import TrainedSupernet, read_supernet

if TYPE_CHECKING:
    from torch import nn


class SupernetAccuracy:
    """An estimator of accuracy by a trained supernet; every network is evaluated once.

    Args:
        trained: the supernet.
        data: training images for the statistics of BatchNorm and validation images; None opens
            those that it was trained on.
        device: where it is computed.
        recalibrated: give each network statistics of its own; without, for comparison, the shared
            ones.

    Raises:
        InputError: the data can't be opened, have changed, or know other classes.
    """

    def __init__(
        self,
        trained: TrainedSupernet,
        data: Data | None = None,
        *,
        device: str = "auto",
        recalibrated: bool = True,
    ) -> None:
        from palmette.train.device import Normalise, find_device
        from palmette.train.supernet.evaluation import Examiner

        self.trained, self.recalibrated = trained, recalibrated
        data = _opened(trained) if data is None else data
        expect(
            data.classes == trained.classes,
            f"data '{data.name}': have other classes than the supernet learned",
        )
        where = find_device(device)
        self.supernet = trained.module().to(where)
        normalise = Normalise(trained.normalisation, trained.recipe.compute.channels_last)
        self.examiner = Examiner(
            data, trained.recipe, normalise.to(where), where, seed=trained.source.seed
        )
        self.images = len(data.validation)
        self._known: dict[str, float] = {}

    @classmethod
    def load(cls, path: Path, **more: Any) -> SupernetAccuracy:
        """Estimator of a supernet's file; raises as `read_supernet` and the constructor."""
        return cls(read_supernet(path), **more)

    def evaluate(self, networks: Codes | Sequence[Architecture]) -> Measured:
        """Top-1 of codes (n, genes) or architectures.

        Networks of one resolution are evaluated together, and known ones not again.

        Raises:
            InputError: a network is not in the space.
        """
        chosen = [self.supernet.find(network) for network in networks]
        for network in sorted(chosen, key=lambda network: network.resolution):
            if network.id not in self._known:
                found = self.examiner.examine(self.supernet, network, self.recalibrated)
                self._known[network.id] = found.top1
        return Measured.of([self._known[network.id] for network in chosen], self.images)

    def report(self, network: Architecture) -> dict[str, Any]:
        """What the command line says of a network, as plain values; raises as `evaluate`."""
        found = self.evaluate([network])
        return {
            "rung": "supernet",
            "id": network.id,
            "top1": float(found.top1[0]),
            "lower": float(found.lower[0]),
            "upper": float(found.upper[0]),
            "interval_confidence": CONFIDENCE,
            "interval_of": f"{found.images} validation images",
            "recalibrated": self.recalibrated,
            "space": self.trained.space.name,
            "data": self.trained.source.name,
        }

    def extract(self, network: Codes | Architecture) -> tuple[Architecture, nn.Module]:
        """A network of the space and its own module with copied weights and its own statistics.

        Raises:
            InputError: it is not in the space.
        """
        from palmette.train.supernet.recalibration import extract

        found = self.supernet.find(network)
        self.examiner.statistics(self.supernet, found)
        return found, extract(self.supernet)


def _opened(trained: TrainedSupernet) -> Data:
    """The data that a supernet was trained on."""
    source, space = trained.source, trained.space
    data = open_data(
        source.name,
        side=space.largest_side,
        share=source.share,
        seed=source.seed,
        corrupt=trained.recipe.compute.corrupt,
    )
    expect(
        data.fingerprint == source.fingerprint,
        f"data '{source.name}': are not those that the supernet was trained on; restore them, or"
        " name others",
    )
    return data
