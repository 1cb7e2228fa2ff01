"""Modules of the blocks of MixNet.

Every branch has its own BatchNorm and activation: the function is that of one BatchNorm after the
concatenation, in training too, but an exporter can fold each into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.mix import MixedInvertedResidual, branch_widths
from palmette.space.modules.layers import ConvBnAct, gates, with_residual


class Branches(nn.Module):
    """Splits the channels, gives each branch its share, concatenates what they return."""

    def __init__(self, widths: Sequence[int], branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.widths = list(widths)
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """(N, sum of `widths`, H, W) to the branches' outputs side by side in the channels."""
        shares = x.split(self.widths, dim=1)
        # by number, for a symbolic trace can't go through them
        return torch.cat([branch(shares[at]) for at, branch in enumerate(self.branches)], dim=1)


def _pointwise(in_channels: int, channels: int, groups: int, act: str = "none") -> nn.Module:
    widths = branch_widths(in_channels, groups)
    pairs = zip(widths, branch_widths(channels, groups), strict=True)
    return _joined(widths, [ConvBnAct(before, after, act=act) for before, after in pairs])


def _mixed_depthwise(channels: int, kernels: Sequence[int], stride: int, act: str) -> nn.Module:
    widths = branch_widths(channels, len(kernels))
    pairs = zip(widths, kernels, strict=True)
    return _joined(
        widths, [ConvBnAct(width, width, kernel, stride, width, act) for width, kernel in pairs]
    )


def _joined(widths: Sequence[int], branches: Sequence[nn.Module]) -> nn.Module:
    return branches[0] if len(branches) == 1 else Branches(widths, branches)


def _mixed_inverted_residual(block: MixedInvertedResidual, in_channels: int) -> nn.Module:
    wide = block.expanded
    body = nn.Sequential(
        _pointwise(in_channels, wide, block.expand_groups, block.act),
        _mixed_depthwise(wide, block.kernels, block.stride, block.act),
        *gates(block, wide),
        _pointwise(wide, block.channels, block.project_groups),
    )
    return with_residual(body, block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    MixedInvertedResidual: _mixed_inverted_residual
}
