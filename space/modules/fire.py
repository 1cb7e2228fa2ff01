"""Modules of the blocks of SqueezeNet and SqueezeNext."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.fire import BiasConv, Fire, TwoStageSqueeze
from palmette.space.modules.layers import ACTIVATION_MODULES, ConvBnAct
from palmette.space.modules.residual import RectifiedSum


class Expand(nn.Module):
    """Two branches on one input, concatenated: (N, in, H, W) to (N, channels, H, W)."""

    def __init__(self, point: nn.Module, wide: nn.Module) -> None:
        super().__init__()
        self.point = point
        self.wide = wide

    def forward(self, x: Tensor) -> Tensor:
        """Maps of the 1x1 branch, then those of the kxk branch."""
        return torch.cat((self.point(x), self.wide(x)), dim=1)


class AxisConvBnAct(nn.Sequential):
    """Convolution along one axis, without bias, BatchNorm, activation; the size stays."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int], act: str
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = ACTIVATION_MODULES[act]()


def _conv_bias_act(
    in_channels: int, channels: int, kernel: int, act: str, stride: int = 1, groups: int = 1
) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, groups=groups),
        ACTIVATION_MODULES[act](),
    )


def _bias_conv(block: BiasConv, in_channels: int) -> nn.Module:
    return _conv_bias_act(
        in_channels, block.channels, block.kernel, block.act, block.stride, block.groups
    )


def _fire(block: Fire, in_channels: int) -> nn.Module:
    def conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
        if block.norm:
            return ConvBnAct(inputs, outputs, kernel, act=block.act)
        return _conv_bias_act(inputs, outputs, kernel, block.act)

    half = block.channels // 2
    return nn.Sequential(
        conv(in_channels, block.squeeze, 1),
        Expand(conv(block.squeeze, half, 1), conv(block.squeeze, half, block.kernel)),
    )


def _two_stage_squeeze(block: TwoStageSqueeze, in_channels: int) -> nn.Module:
    wide, act, size = block.channels, block.act, block.kernel
    half, quarter = wide // 2, wide // 4
    axes = ((1, size), (size, 1)) if block.wide_first else ((size, 1), (1, size))
    body = nn.Sequential(
        ConvBnAct(in_channels, half, stride=block.stride, act=act),
        ConvBnAct(half, quarter, act=act),
        AxisConvBnAct(quarter, half, axes[0], act),
        AxisConvBnAct(half, half, axes[1], act),
        ConvBnAct(half, wide, act=act),
    )
    projection = None
    if block.stride != 1 or in_channels != wide:
        projection = ConvBnAct(in_channels, wide, stride=block.stride, act=act)
    return RectifiedSum(body, projection, act)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    BiasConv: _bias_conv,
    Fire: _fire,
    TwoStageSqueeze: _two_stage_squeeze,
}
