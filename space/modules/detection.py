"""Modules of the detectors' heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from palmette.space.anchors import anchors, decode
from palmette.space.blocks.base import Block
from palmette.space.blocks.detection import SSD, Detector, SSDLite
from palmette.space.modules.layers import ConvBnAct, plane

BOX = 4
PREDICTOR_DEVIATION = 0.03
"""Of fresh weights of the predictors' convolutions, as torchvision draws those of SSDLite."""


class SingleShot(nn.Module):
    """Further layers and the predictors of each map: tapped maps to scores and boxes.

    In training mode it gives logits (N, anchors, 1 + classes), the background first, and boxes
    as offsets from their anchors (N, anchors, 4); in evaluation mode scores between 0 and 1
    without the background (N, anchors, classes), each class by itself, and boxes (N, anchors, 4) as
    (centre x, centre y, width, height) in fractions of the image.
    """

    def __init__(
        self,
        block: Detector,
        channels: Sequence[int],
        layer: Callable[[Detector, int, int], nn.Module],
        predictor: Callable[[Detector, int, int], nn.Module],
    ) -> None:
        super().__init__()
        widths = [*channels, *block.extras]
        # each further layer follows the map before it
        before = widths[len(channels) - 1 : -1]
        self.extras = nn.ModuleList(
            layer(block, width, made) for width, made in zip(before, block.extras, strict=True)
        )
        self.boxes_of_cell = block.boxes
        each = list(zip(widths, block.boxes, strict=True))
        self.scores = nn.ModuleList(
            predictor(block, width, boxes * (1 + block.classes)) for width, boxes in each
        )
        self.boxes = nn.ModuleList(predictor(block, width, boxes * BOX) for width, boxes in each)

    def draw_predictors(self) -> None:
        """Draw weights with which a fresh network's boxes are about as large as their anchors.

        He's rule looks at the few outputs of a predictor, not at its many inputs: its offsets are
        up to 60, and boxes, whose sizes are exponentials of these, magnify every rounding.
        """
        for module in (*self.scores.modules(), *self.boxes.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, PREDICTOR_DEVIATION)

    def forward(self, *maps: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Scores and boxes, as the class says, of maps of an image of `size` px."""
        every = list(maps)
        for extra in self.extras:
            every.append(extra(every[-1]))
        scores = _joined(self.scores, every, self.boxes_of_cell)
        boxes = _joined(self.boxes, every, self.boxes_of_cell)
        if self.training:
            return scores, boxes
        placed = anchors(tuple(map(plane, every)), self.boxes_of_cell, size)
        return scores[..., 1:].sigmoid(), decode(boxes, torch.tensor(placed).to(boxes))


def _joined(predictors: nn.ModuleList, maps: list[Tensor], boxes: Sequence[int]) -> Tensor:
    """What the predictors say of every box of every cell, map by map: (N, anchors, values)."""
    said = []
    for predictor, x, count in zip(predictors, maps, boxes, strict=True):
        y = predictor(x).permute(0, 2, 3, 1)  # the boxes of a cell stand together
        height, width = plane(x)
        # integers: Core ML's converter takes no others
        said.append(y.reshape(-1, height * width * count, int(y.shape[3]) // count))
    return torch.cat(said, 1)


def _dense_layer(block: Detector, width: int, made: int) -> nn.Module:
    narrow = ConvBnAct(width, made // 2, act=block.act)
    return nn.Sequential(narrow, ConvBnAct(made // 2, made, 3, 2, act=block.act))


def _dense_predictor(block: Detector, width: int, made: int) -> nn.Module:
    return nn.Conv2d(width, made, block.kernel, padding=block.kernel // 2)


def _separable_layer(block: Detector, width: int, made: int) -> nn.Module:
    half = made // 2
    return nn.Sequential(
        ConvBnAct(width, half, act=block.act),
        ConvBnAct(half, half, 3, 2, half, block.act),
        ConvBnAct(half, made, act=block.act),
    )


def _separable_predictor(block: Detector, width: int, made: int) -> nn.Module:
    spread = ConvBnAct(width, width, block.kernel, 1, width, block.act)
    return nn.Sequential(spread, nn.Conv2d(width, made, 1))


def _ssd(block: SSD, *channels: int) -> nn.Module:
    return SingleShot(block, channels, _dense_layer, _dense_predictor)


def _ssdlite(block: SSDLite, *channels: int) -> nn.Module:
    return SingleShot(block, channels, _separable_layer, _separable_predictor)


BUILDERS: dict[type[Block], Callable[..., nn.Module]] = {SSD: _ssd, SSDLite: _ssdlite}
