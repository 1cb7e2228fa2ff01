"""`ProxyAccuracy`: top-1 after a short training at a reduced resolution, for ranking.

Middle rung of the accuracy estimators, beside a supernet. Which epochs and which resolution rank
best at their cost is measured by a rank-correlation card (`benchmarks/rank_card.py`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.train.datasets import Data
from palmette.train.estimates import Measured
from palmette.train.partial import train_until
from palmette.train.recipe import Recipe
from palmette.train.trainer import Trained, train


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far a short training is from the full one.

    Raises:
        InputError: a number out of range.
    """

    epochs: int = 3
    scale: float = 1.0
    """Of the network's resolution, rounded to whole px. The defaults are what the card in
    `results/rank_card.json` chose, of three fidelities."""

    def __post_init__(self) -> None:
        expect(1 <= self.epochs <= 100_000, f"proxy: epochs must be 1 to 100000, got {self.epochs}")
        expect(0 < self.scale <= 1, f"proxy: scale must be above 0, up to 1, got {self.scale:g}")

    def __str__(self) -> str:
        return f"{self.epochs}x{self.scale:g}"

    @classmethod
    def parse(cls, text: str) -> Fidelity:
        """From `EPOCHSxSCALE`, as in `3x0.75`; raises InputError."""
        epochs, _, scale = text.partition("x")
        try:
            numbers = int(epochs), float(scale)
        except ValueError:
            raise InputError(
                f"proxy: a fidelity is EPOCHSxSCALE, as in 3x0.75; got '{text}'"
            ) from None
        return cls(*numbers)

    def reduced(self, network: Architecture) -> Architecture:
        """The network at the reduced resolution."""
        height, width = (max(1, round(side * self.scale)) for side in network.resolution)
        return network.with_resolution(height, width)


def shortened(recipe: Recipe, fidelity: Fidelity) -> Recipe:
    """The recipe run through in the fidelity's epochs, at most a quarter of them warm-up."""
    warmup = min(recipe.schedule.warmup_epochs, fidelity.epochs / 4)
    return recipe.changed(epochs=fidelity.epochs, schedule__warmup_epochs=warmup)


class ProxyAccuracy:
    """An estimator of accuracy by short trainings; every network is trained once.

    Args:
        data: images; those of validation give the accuracy.
        recipe: of the full training; its schedule is run through in the fidelity's epochs.
        fidelity: epochs and resolution.
        seed: of every training.
        device: where it is computed.
        folder: keeps the trainings; None forgets them.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        fidelity: Fidelity,
        *,
        seed: int = 0,
        device: str = "auto",
        folder: Path | None = None,
    ) -> None:
        self.data, self.fidelity, self.seed = data, fidelity, seed
        self.device, self.folder = device, folder
        self.recipe = shortened(recipe, fidelity)
        self._known: dict[str, float] = {}

    def evaluate(self, networks: Sequence[Architecture]) -> Measured:
        """Top-1 of networks after the last epoch; raises InputError as `train.trainer.train`."""
        for network in networks:
            if network.id not in self._known:
                self._known[network.id] = self._trained(network).history[-1]["top1"]
        shares = [self._known[network.id] for network in networks]
        return Measured.of(shares, len(self.data.validation))

    def measure(
        self,
        network: Architecture,
        seed: int,
        epochs: int | None = None,
        folder: Path | None = None,
    ) -> Measured:
        """Top-1 of one network after some epochs of the short training, in deterministic mode.

        Args:
            network: at its full resolution.
            seed: of the training.
            epochs: of the fidelity's; None: all.
            folder: keeps this training, for more epochs to go on from; None keeps nothing.

        Raises:
            InputError: as `train.partial.train_until`.
        """
        row = train_until(
            self.fidelity.reduced(network),
            self.data,
            self.recipe.changed(compute__deterministic=True),
            folder,
            self.fidelity.epochs if epochs is None else epochs,
            seed=seed,
            device=self.device,
        )
        return Measured.of([row["top1"]], len(self.data.validation))

    def _trained(self, network: Architecture) -> Trained:
        with tempfile.TemporaryDirectory() as scratch:
            out = (self.folder or Path(scratch)) / network.id
            return train(
                self.fidelity.reduced(network),
                self.data,
                self.recipe,
                out,
                seed=self.seed,
                device=self.device,
            )
