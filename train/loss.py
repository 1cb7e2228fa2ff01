"""What is minimised: cross-entropy with smoothing, class weights, and a teacher's opinion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.train.device import Normalisation
from palmette.train.recipe import Loss


class Teacher(nn.Module):
    """A trained network that looks at a student's images.

    Args:
        module: of the same classes.
        size: (height, width) that it was trained at; images are scaled to it.
        own: normalisation that it was trained with.
        given: normalisation that the student's images have.
    """

    shift: Tensor

    def __init__(
        self, module: nn.Module, size: tuple[int, int], own: Normalisation, given: Normalisation
    ) -> None:
        super().__init__()
        self.module, self.size = module.eval().requires_grad_(False), size
        self.factor = given.deviation / own.deviation
        pairs = zip(given.mean, own.mean, strict=True)
        shift = [(theirs - ours) / own.deviation for theirs, ours in pairs]
        self.register_buffer("shift", torch.tensor(shift)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Its scores (n, classes) of images (n, 3, height, width) as the student sees them."""
        images = images * self.factor + self.shift
        if tuple(images.shape[2:]) != self.size:
            images = functional.interpolate(images, self.size, mode="bilinear")
        with torch.no_grad():
            scores: Tensor = self.module(images)
        return scores


class Criterion(nn.Module):
    """Loss of a batch, a mean over its images.

    Args:
        keys: of the recipe.
        class_weights: (classes,) or None.
        teacher: gives scores (n, classes) of the same images, or None.
    """

    weights: Tensor | None

    def __init__(
        self,
        keys: Loss,
        class_weights: Sequence[float] | None = None,
        teacher: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.keys = keys
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.register_buffer("weights", None if weights is None else weights.float())
        self.teacher = teacher

    def forward(self, scores: Tensor, target: Tensor, images: Tensor) -> Tensor:
        """Loss of scores (n, classes) for labels (n,) or probabilities (n, classes)."""
        scores = scores.float()
        own = functional.cross_entropy(
            scores, target, weight=self.weights, label_smoothing=self.keys.label_smoothing
        )
        if self.teacher is None:
            return own
        share = self.keys.teacher_weight
        return (1 - share) * own + share * self._from_teacher(scores, self.teacher(images))

    def _from_teacher(self, scores: Tensor, told: Tensor) -> Tensor:
        """Divergence from the teacher's probabilities, softened (Hinton et al., 2015)."""
        heat = self.keys.teacher_temperature
        return heat**2 * functional.kl_div(
            functional.log_softmax(scores / heat, 1),
            functional.log_softmax(told.float() / heat, 1),
            reduction="batchmean",
            log_target=True,
        )
