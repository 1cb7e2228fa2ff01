"""Modules of the blocks of BlazeFace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from palmette.space.blocks.base import Block
from palmette.space.blocks.blaze import BlazeBlock
from palmette.space.modules.layers import ConvBnAct
from palmette.space.modules.residual import RectifiedSum


class ZeroChannels(nn.Module):
    """Appends maps of zeros: (N, C, H, W) to (N, C + added, H, W)."""

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: Tensor) -> Tensor:
        """`x` and the zeros behind it."""
        return functional.pad(x, (0, 0, 0, 0, 0, self.added))


def _blaze(block: BlazeBlock, in_channels: int) -> nn.Module:
    def separable(inputs: int, outputs: int, stride: int, act: str = "none") -> list[nn.Module]:
        depthwise = ConvBnAct(inputs, inputs, block.kernel, stride, inputs)
        return [depthwise, ConvBnAct(inputs, outputs, act=act)]

    if block.middle:
        layers = separable(in_channels, block.middle, block.stride, block.act)
        layers += separable(block.middle, block.channels, 1)
    else:
        layers = separable(in_channels, block.channels, block.stride)
    passing: list[nn.Module] = []
    if block.stride > 1:
        passing.append(nn.MaxPool2d(block.stride, block.stride, ceil_mode=True))
    if block.channels > in_channels:
        passing.append(ZeroChannels(block.channels - in_channels))
    return RectifiedSum(nn.Sequential(*layers), nn.Sequential(*passing), block.act)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {BlazeBlock: _blaze}
