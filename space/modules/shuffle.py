"""Modules of the blocks of ShuffleNet v1, v2 and v2+."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.shuffle import Gate, GroupShuffle, SplitShuffle
from palmette.space.modules.layers import (
    ACTIVATION_MODULES,
    ChannelShuffle,
    ConvBnAct,
    SqueezeExcite,
    gates,
)
from palmette.space.modules.residual import RectifiedSum


class PooledBeside(nn.Module):
    """A strided body's maps behind the input, averaged to their size."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, in + channels of the body, H / 2, W / 2)."""
        return torch.cat((self.pool(x), self.body(x)), dim=1)


class SplitBranch(nn.Module):
    """Half of the channels pass by, the others a branch; then all shuffle."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """Output of the shape of `x`."""
        beside, inside = x.chunk(2, dim=1)
        y: Tensor = self.shuffle(torch.cat((beside, self.branch(inside)), dim=1))
        return y


class TwoBranches(nn.Module):
    """Two branches on the whole input; then all channels shuffle."""

    def __init__(self, beside: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.beside = beside
        self.branch = branch
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, channels of both branches, H / 2, W / 2)."""
        y: Tensor = self.shuffle(torch.cat((self.beside(x), self.branch(x)), dim=1))
        return y


def _group_shuffle(block: GroupShuffle, in_channels: int) -> nn.Module:
    groups, middle = block.groups, block.middle
    made = block.channels - (in_channels if block.stride == 2 else 0)
    first = groups if block.group_first else 1
    body = nn.Sequential(
        ConvBnAct(in_channels, middle, groups=first, act=block.act),
        *([ChannelShuffle(groups)] if groups > 1 else []),
        ConvBnAct(middle, middle, block.kernel, block.stride, middle),
        ConvBnAct(middle, made, groups=groups),
    )
    if block.stride == 1:
        return RectifiedSum(body, None, block.act)
    return PooledBeside(nn.Sequential(body, ACTIVATION_MODULES[block.act]()))


def _separable(block: SplitShuffle, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [
        ConvBnAct(inputs, inputs, block.kernel, stride, inputs),
        ConvBnAct(inputs, outputs, act=block.act),
    ]


def _branch(block: SplitShuffle, inputs: int, outputs: int) -> nn.Module:
    middle = block.channels // 2
    if block.xception:
        layers = [
            *_separable(block, inputs, middle, block.stride),
            *_separable(block, middle, middle, 1),
            *_separable(block, middle, outputs, 1),
        ]
    else:
        layers = [
            ConvBnAct(inputs, middle, act=block.act),
            *_separable(block, middle, outputs, block.stride),
        ]
    return nn.Sequential(*layers, *gates(block, outputs))


def _split_shuffle(block: SplitShuffle, in_channels: int) -> nn.Module:
    beside = block.beside(in_channels)
    outputs = block.channels - beside
    if block.stride == 1:
        return SplitBranch(_branch(block, block.channels // 2, outputs))
    passing = nn.Sequential(*_separable(block, in_channels, beside, block.stride))
    return TwoBranches(passing, _branch(block, in_channels, outputs))


def _gate(block: Gate, _: int) -> nn.Module:
    return SqueezeExcite(block.channels, block.squeeze, block.se_act, block.gate)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    GroupShuffle: _group_shuffle,
    SplitShuffle: _split_shuffle,
    Gate: _gate,
}
