"""Modules of the blocks of CondenseNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.condense import CondensedDense, NormAct
from palmette.space.modules.layers import ACTIVATION_MODULES, ChannelShuffle, Selection


class Appended(nn.Module):
    """A body's maps behind its input (Huang et al., DenseNet, 2017)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + channels of the body, H, W)."""
        return torch.cat((x, self.body(x)), dim=1)


def _condensed_dense(block: CondensedDense, in_channels: int) -> nn.Module:
    added, middle = block.channels - in_channels, block.middle
    body = nn.Sequential(
        Selection(in_channels, in_channels),
        nn.BatchNorm2d(in_channels),
        ACTIVATION_MODULES[block.act](),
        nn.Conv2d(in_channels, middle, 1, groups=block.groups, bias=False),
        *([ChannelShuffle(block.groups)] if block.groups > 1 else []),
        nn.BatchNorm2d(middle),
        ACTIVATION_MODULES[block.act](),
        nn.Conv2d(
            middle,
            added,
            block.kernel,
            padding=block.kernel // 2,
            groups=block.groups,
            bias=False,
        ),
    )
    return Appended(body)


def _norm_act(block: NormAct, _: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(block.channels), ACTIVATION_MODULES[block.act]())


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    CondensedDense: _condensed_dense,
    NormAct: _norm_act,
}
