"""Modules of the blocks of ESPNet v2."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.blocks.base import Block
from palmette.space.blocks.espnet import DilatedPyramid, ParametricRelu
from palmette.space.modules.layers import ConvBnAct, ReadsImage, Residual, plane


class Pyramid(nn.Module):
    """Reduce, dilate in parallel, sum branch upon branch, concatenate, expand."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilations: Sequence[int]) -> None:
        super().__init__()
        groups = len(dilations)
        width = outputs // groups
        self.reduce = ConvPRelu(inputs, width, groups=groups)
        self.branches = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride, rate, rate, groups=width, bias=False)
            for rate in dilations
        )
        self.expand = nn.Sequential(
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs),
            ConvBnAct(outputs, outputs, groups=groups),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), or half that size at stride 2."""
        reduced: Tensor = self.reduce(x)
        sums = itertools.accumulate(branch(reduced) for branch in self.branches)
        y: Tensor = self.expand(torch.cat(list(sums), dim=1))
        return y


class ConvPRelu(nn.Sequential):
    """Convolution without bias, BatchNorm, parametric rectifier."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = ConvBnAct(inputs, outputs, kernel, stride, groups)
        self.act = nn.PReLU(outputs)


class PyramidDownsampling(ReadsImage):
    """Halves a map by a pyramid beside a pool, and adds the image, pooled to size, if it is to."""

    def __init__(self, pyramid: nn.Module, outputs: int, image: bool) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.pyramid = pyramid
        self.image: nn.Module | None = None
        if image:
            self.image = nn.Sequential(
                ConvPRelu(IMAGE_CHANNELS, IMAGE_CHANNELS, 3), ConvBnAct(IMAGE_CHANNELS, outputs)
            )
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        """Map (N, outputs, H / 2, W / 2) of a map (N, inputs, H, W) and the network's input.

        Alone, without a network, the block has no image to add.
        """
        y = torch.cat((self.pool(x), self.pyramid(x)), dim=1)
        if self.image is not None and image is not None:
            while plane(image) > plane(y):
                image = self.pool(image)
            y = y + self.image(image)
        result: Tensor = self.act(y)
        return result


def _dilated_pyramid(block: DilatedPyramid, in_channels: int) -> nn.Module:
    body = Pyramid(in_channels, block.made(in_channels), block.stride, block.dilations)
    if block.stride == 2:
        return PyramidDownsampling(body, block.channels, block.image)
    return nn.Sequential(Residual(body), nn.PReLU(block.channels))


def _parametric_relu(block: ParametricRelu, _: int) -> nn.Module:
    return nn.PReLU(block.channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    DilatedPyramid: _dilated_pyramid,
    ParametricRelu: _parametric_relu,
}
