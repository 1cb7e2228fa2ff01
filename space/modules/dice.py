"""Modules of the blocks of DiCENet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.space.blocks.base import Block
from palmette.space.blocks.dice import DimensionWise
from palmette.space.modules.espnet import ConvPRelu
from palmette.space.modules.layers import ChannelShuffle, plane
from palmette.space.modules.shuffle import TwoBranches


def _depthwise(channels: int) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def _resized(x: Tensor, rows: int, columns: int) -> Tensor:
    """`x` at another height and width, or as it is."""
    if plane(x) == (rows, columns):
        return x
    return functional.interpolate(x, (rows, columns), mode="bilinear", align_corners=True)


class DimensionConvs(nn.Module):
    """Depthwise convolutions over channels, rows and columns, fused: (N, C, H, W) to the same."""

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.rows = rows
        self.columns = columns
        self.over_channels = _depthwise(channels)
        self.over_rows = _depthwise(rows)
        self.over_columns = _depthwise(columns)
        self.norm = nn.Sequential(nn.BatchNorm2d(3 * channels), nn.PReLU(3 * channels))
        self.shuffle = ChannelShuffle(3)
        self.mean = ConvPRelu(3 * channels, channels, groups=channels)
        self.mix = ConvPRelu(channels, channels, 3, groups=channels)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // 4, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Off the size that it has weights for, rows or columns are resized and back again."""
        height, width = plane(x)
        rows = self.over_rows(_resized(x, self.rows, width).transpose(1, 2)).transpose(1, 2)
        columns = _resized(x, height, self.columns).transpose(1, 3)
        columns = self.over_columns(columns).transpose(1, 3)
        parts = (
            self.over_channels(x),
            _resized(rows, height, width),
            _resized(columns, height, width),
        )
        fused: Tensor = self.mean(self.shuffle(self.norm(torch.cat(parts, dim=1))))
        gate: Tensor = self.gate(fused.mean((2, 3), keepdim=True))
        y: Tensor = self.mix(fused)
        return y * gate


class SplitBeside(nn.Module):
    """The first channels pass by, the others a branch; then all shuffle."""

    def __init__(self, passing: int, inside: int, branch: nn.Module) -> None:
        super().__init__()
        self.widths = (passing, inside)
        self.branch = branch
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, passing + channels of the branch, H, W)."""
        beside, inside = x.split(self.widths, dim=1)
        y: Tensor = self.shuffle(torch.cat((beside, self.branch(inside)), dim=1))
        return y


def _dimension_wise(block: DimensionWise, in_channels: int) -> nn.Module:
    made = block.made(in_channels)
    convs = DimensionConvs(made, block.rows, block.columns)
    if block.stride == 1:
        passing = in_channels // 2
        inside = in_channels - passing
        return SplitBeside(passing, inside, nn.Sequential(ConvPRelu(inside, made), convs))
    beside = nn.Sequential(
        ConvPRelu(in_channels, in_channels, 3, 2, groups=in_channels),
        ConvPRelu(in_channels, in_channels),
    )
    branch = nn.Sequential(nn.AvgPool2d(3, 2, 1), convs, ConvPRelu(in_channels, in_channels))
    return TwoBranches(beside, branch)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {DimensionWise: _dimension_wise}
