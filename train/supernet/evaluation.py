"""How right a supernet's networks are, each with statistics of its own, on validation images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from palmette.space import Architecture
from palmette.train.datasets import Data
from palmette.train.datasets.images import Subset
from palmette.train.loading import Batch, Batches
from palmette.train.loop import Evaluation, evaluate
from palmette.train.recipe import Recipe
from palmette.train.supernet.network import Supernet
from palmette.train.supernet.recalibration import extract, recalibrate
from palmette.train.transforms import validation_transform

if TYPE_CHECKING:
    from palmette.train.device import Normalise

CALIBRATION_IMAGES = 1024
KEPT_BYTES = 1 << 30
"""Validation images of one resolution up to this size are scaled only once."""


class Examiner:
    """Evaluates networks of one supernet; images are scaled once for each resolution.

    Args:
        data: training images give the statistics, validation images the accuracy.
        recipe: batch, crop and precision.
        normalise: as in the training.
        device: where it is computed.
        seed: which training images are taken.
        calibration_images: how many; fewer if there are not so many.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        normalise: Normalise,
        device: torch.device,
        *,
        seed: int = 0,
        calibration_images: int = CALIBRATION_IMAGES,
    ) -> None:
        self.recipe, self.normalise, self.device = recipe, normalise, device
        chosen = np.random.default_rng([seed, 1]).permutation(len(data.train))[:calibration_images]
        self.calibration = Subset(data.train, chosen)
        self.validation = data.validation
        self._kept: dict[tuple[int, int], tuple[list[Tensor], list[Batch] | Batches]] = {}

    def examine(
        self, supernet: Supernet, architecture: Architecture, recalibrated: bool = True
    ) -> Evaluation:
        """Evaluate one network; the supernet is it afterwards.

        Args:
            supernet: in which it is.
            architecture: of the space.
            recalibrated: with its own statistics, else with the shared ones.

        Raises:
            InputError: it is not in the space.
        """
        calibration, validation = self._images(architecture.resolution)
        if recalibrated:
            recalibrate(supernet, architecture, calibration)
        else:
            supernet.choose(architecture)
        module = extract(supernet)
        return evaluate(module, validation, self.normalise, self.device, self.recipe.compute)

    def statistics(self, supernet: Supernet, architecture: Architecture) -> dict[str, Tensor]:
        """Statistics of one network; the supernet is it afterwards."""
        return recalibrate(supernet, architecture, self._images(architecture.resolution)[0])

    def _images(self, size: tuple[int, int]) -> tuple[list[Tensor], Iterable[Batch]]:
        """Normalised training images, and validation batches, of a resolution."""
        if size not in self._kept:
            transform = validation_transform(self.recipe.augment, size)
            batch, workers = self.recipe.batch, self.recipe.compute.workers
            training, validation = (
                Batches(images, transform, batch, workers=workers, device=self.device)
                for images in (self.calibration, self.validation)
            )
            found = [self.normalise(raw) for raw, _ in training.epoch()]
            # one incomplete batch would count as much as the others
            found = found[:-1] if len(found) > 1 and len(found[-1]) < batch else found
            small = len(self.validation) * 3 * size[0] * size[1] <= KEPT_BYTES
            self._kept[size] = found, list(validation.epoch()) if small else validation
        calibration, held = self._kept[size]
        return calibration, held.epoch() if isinstance(held, Batches) else held
