"""Modules of the segmenters' heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.segmentation import LRASPP, DeepLab
from palmette.space.modules.layers import ConvBnAct, plane, resized


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: (N, C, H, W) to (N, channels, H, W)."""

    def __init__(self, block: DeepLab, in_channels: int) -> None:
        super().__init__()
        wide = block.channels
        self.branches = nn.ModuleList([ConvBnAct(in_channels, wide, act=block.act)])
        self.branches.extend(_kxk(block, in_channels, rate) for rate in block.rates)
        self.pooled = ConvBnAct(in_channels, wide, act=block.act)
        self.join = ConvBnAct((len(self.branches) + 1) * wide, wide, act=block.act)

    def forward(self, x: Tensor) -> Tensor:
        """What all branches say of each place, the mean of the map the same at every one."""
        pooled = resized(self.pooled(x.mean((2, 3), keepdim=True)), plane(x))
        y: Tensor = self.join(torch.cat([*(branch(x) for branch in self.branches), pooled], 1))
        return y


class DeepLabHead(nn.Module):
    """Pyramid, decoder if there is a finer map, classifier: to (N, classes, height, width)."""

    def __init__(self, block: DeepLab, *channels: int) -> None:
        super().__init__()
        self.pyramid = Pyramid(block, channels[-1])
        width = block.channels
        if len(channels) > 1:
            self.low = ConvBnAct(channels[0], block.low, act=block.act)
            width += block.low
        widths = [width, *(block.channels,) * block.layers]
        self.layers = nn.Sequential(*(_kxk(block, before) for before in widths[:-1]))
        self.classifier = nn.Conv2d(widths[-1], block.classes, 1)

    def forward(self, *maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Scores (logits) of the pixels of an image of `size` px."""
        y: Tensor = self.pyramid(maps[-1])
        if len(maps) > 1:
            y = torch.cat((resized(y, plane(maps[0])), self.low(maps[0])), 1)
        return resized(self.classifier(self.layers(y)), size)


class LRASPPHead(nn.Module):
    """LR-ASPP of a finer and a coarser map: to (N, classes, height, width)."""

    def __init__(self, block: LRASPP, low: int, high: int) -> None:
        super().__init__()
        self.conv = ConvBnAct(high, block.channels, act=block.act)
        self.gate = nn.Sequential(nn.Conv2d(high, block.channels, 1, bias=False), nn.Sigmoid())
        self.low = nn.Conv2d(low, block.classes, 1)
        self.high = nn.Conv2d(block.channels, block.classes, 1)

    def forward(self, low: Tensor, high: Tensor, size: tuple[int, int]) -> Tensor:
        """Scores (logits) of the pixels of an image of `size` px."""
        y = self.conv(high) * self.gate(high.mean((2, 3), keepdim=True))
        return resized(self.low(low) + self.high(resized(y, plane(low))), size)


def _kxk(block: DeepLab, in_channels: int, dilation: int = 1) -> nn.Module:
    """A 3x3 convolution of the head, dense or separable."""
    wide = block.channels
    if block.dense:
        return ConvBnAct(in_channels, wide, 3, act=block.act, dilation=dilation)
    return nn.Sequential(
        ConvBnAct(in_channels, in_channels, 3, 1, in_channels, block.act, dilation),
        ConvBnAct(in_channels, wide, act=block.act),
    )


BUILDERS: dict[type[Block], Callable[..., nn.Module]] = {DeepLab: DeepLabHead, LRASPP: LRASPPHead}
