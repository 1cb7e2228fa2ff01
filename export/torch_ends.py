"""Modules put around a network before it is converted: its scaling before, its end behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from palmette.export.ends import MAX_BOXES
from palmette.export.options import Suppression
from palmette.export.suppression import suppression_op


class Scaled(nn.Module):
    """A network whose image is multiplied first, each channel by its factor."""

    factors: Tensor

    def __init__(self, network: nn.Module, factors: NDArray[np.float16]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("factors", torch.from_numpy(factors.astype(np.float32)))

    def forward(self, x: Tensor) -> Any:
        """Of images (n, 3, height, width)."""
        return self.network(x * self.factors)


def probabilities(network: nn.Module) -> nn.Module:
    """A classifier's logits as probabilities."""
    return nn.Sequential(network, nn.Softmax(1))


class ClassMap(nn.Module):
    """Index of each pixel's best class (1, height, width)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Of one image (1, 3, height, width)."""
        scores: Tensor = self.network(x)
        return scores.argmax(1)


class Boxes(nn.Module):
    """A detector's scores (boxes, classes) and boxes (boxes, 4), without the batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of one image (1, 3, height, width)."""
        scores, boxes = self.network(x)
        return scores.squeeze(0), boxes.squeeze(0)


class Suppressed(nn.Module):
    """The same of the boxes that stay, the best first, and their number (1,)."""

    def __init__(self, network: nn.Module, suppression: Suppression) -> None:
        super().__init__()
        self.network = network
        self.limits = (suppression.iou, suppression.confidence, MAX_BOXES)
        self.suppress = suppression_op()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of one image (1, 3, height, width)."""
        scores, boxes = self.network(x)
        scores, boxes, count = self.suppress(scores, boxes, *self.limits)
        return scores.squeeze(0), boxes.squeeze(0), count
