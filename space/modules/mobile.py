"""Modules of the MobileNet family's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.mobile import (
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    InvertedResidual,
)
from palmette.space.modules.layers import ChannelShuffle, ConvBnAct, gates, with_residual


def _conv(block: ConvBlock, in_channels: int) -> nn.Module:
    sizes = (in_channels, block.channels, block.kernel, block.stride, block.groups)
    return ConvBnAct(*sizes, block.act, block.dilation, same=block.same)


def _depthwise_separable(block: DepthwiseSeparable, in_channels: int) -> nn.Module:
    act = block.act if block.point_act else "none"
    sizes = (in_channels, in_channels, block.kernel, block.stride, in_channels)
    body = nn.Sequential(
        ConvBnAct(*sizes, block.act, block.dilation, same=block.same),
        *gates(block, in_channels),
        ConvBnAct(in_channels, block.channels, groups=block.groups, act=act),
    )
    return with_residual(body, block, in_channels)


def _inverted_residual(block: InvertedResidual, in_channels: int) -> nn.Module:
    wide = block.expanded
    body = nn.Sequential(
        ConvBnAct(in_channels, wide, groups=block.groups, act=block.act),
        *([ChannelShuffle(block.groups)] if block.shuffle else []),
        ConvBnAct(
            wide, wide, block.kernel, block.stride, wide, block.act, block.dilation, same=block.same
        ),
        *gates(block, wide),
        ConvBnAct(wide, block.channels, groups=block.groups),
    )
    return with_residual(body, block, in_channels)


def _fused_inverted_residual(block: FusedInvertedResidual, in_channels: int) -> nn.Module:
    wide = block.expanded
    sizes = (in_channels, wide, block.kernel, block.stride, block.groups)
    body = nn.Sequential(
        ConvBnAct(*sizes, block.act, block.dilation, same=block.same),
        *gates(block, wide),
        ConvBnAct(wide, block.channels, groups=block.groups),
    )
    return with_residual(body, block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    ConvBlock: _conv,
    DepthwiseSeparable: _depthwise_separable,
    InvertedResidual: _inverted_residual,
    FusedInvertedResidual: _fused_inverted_residual,
}
