"""Modules of the blocks of MobileNetV4 of convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.universal import UniversalInvertedBottleneck
from palmette.space.modules.layers import ConvBnAct, with_residual


def _universal(block: UniversalInvertedBottleneck, in_channels: int) -> nn.Module:
    wide, layers = block.expanded, list[nn.Module]()
    if block.first_kernel:
        stride = 1 if block.kernel else block.stride
        sizes = (in_channels, in_channels, block.first_kernel, stride, in_channels)
        layers.append(ConvBnAct(*sizes, dilation=block.dilation))
    layers.append(ConvBnAct(in_channels, wide, act=block.act))
    if block.kernel:
        sizes = (wide, wide, block.kernel, block.stride, wide)
        layers.append(ConvBnAct(*sizes, block.act, block.dilation))
    layers.append(ConvBnAct(wide, block.channels))
    return with_residual(nn.Sequential(*layers), block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    UniversalInvertedBottleneck: _universal
}
