"""Modules of the blocks of GhostNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.ghost import GhostBottleneck
from palmette.space.modules.layers import ConvBnAct, Residual, gates


class GhostModule(nn.Module):
    """1x1 convolution to half of the channels, a depthwise one of those, both concatenated."""

    def __init__(self, in_channels: int, channels: int, kernel: int, act: str = "none") -> None:
        super().__init__()
        half = channels // 2
        self.primary = ConvBnAct(in_channels, half, act=act)
        self.cheap = ConvBnAct(half, half, kernel, groups=half, act=act)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, H, W)."""
        x = self.primary(x)
        return torch.cat((x, self.cheap(x)), dim=1)


class ProjectedResidual(nn.Module):
    """Adds a projection of a body's input to its output."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Sum of both paths, which give equal shapes."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


def _ghost_bottleneck(block: GhostBottleneck, in_channels: int) -> nn.Module:
    wide, kernel, stride = block.expanded, block.kernel, block.stride
    downsampling = [ConvBnAct(wide, wide, kernel, stride, wide)] if stride > 1 else []
    body = nn.Sequential(
        GhostModule(in_channels, wide, block.cheap_kernel, block.act),
        *downsampling,
        *gates(block, wide),
        GhostModule(wide, block.channels, block.cheap_kernel),
    )
    if stride == 1 and in_channels == block.channels:
        return Residual(body)
    shortcut = nn.Sequential(
        ConvBnAct(in_channels, in_channels, kernel, stride, in_channels),
        ConvBnAct(in_channels, block.channels),
    )
    return ProjectedResidual(body, shortcut)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {GhostBottleneck: _ghost_bottleneck}
