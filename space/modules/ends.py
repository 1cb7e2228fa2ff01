"""Modules of the stem and the head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from palmette.space.architecture import IMAGE_CHANNELS
from palmette.space.blocks.base import Block
from palmette.space.blocks.ends import Head, Stem
from palmette.space.modules.layers import ACTIVATION_MODULES, ConvBnAct, Selection


class Classifier(nn.Module):
    """Head of a network: (N, C, H, W) to (N, classes), or pooled features without a classifier."""

    def __init__(self, head: Head, in_channels: int) -> None:
        super().__init__()
        self.pool_first = head.pool_first
        self.conv: nn.Module = nn.Identity()
        features = head.channels or in_channels
        if head.channels and head.pool_first:
            # after the pooling there is one value a channel: a bias serves better than BatchNorm
            self.conv = nn.Sequential(
                nn.Conv2d(in_channels, features, 1, groups=head.groups),
                ACTIVATION_MODULES[head.act](),
            )
        elif head.channels:
            self.conv = ConvBnAct(in_channels, features, act=head.act)
        self.pick = Selection(features, head.kept) if head.kept else nn.Identity()
        self.fc = nn.Linear(head.kept or features, head.classes) if head.classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (logits) of a feature map."""
        if self.pool_first:
            x = self.conv(x.mean((2, 3), keepdim=True))
        else:
            x = self.conv(x).mean((2, 3), keepdim=True)
        y: Tensor = self.fc(self.pick(x.flatten(1)))
        return y


def _stem(block: Stem, _: int) -> nn.Module:
    sizes = (IMAGE_CHANNELS, block.channels, block.kernel, block.stride)
    if block.norm != "norm":
        padding = block.kernel // 2 if block.padded else 0
        conv = nn.Conv2d(*sizes, padding, bias=block.norm == "bias")
        return nn.Sequential(conv, ACTIVATION_MODULES[block.act]())
    return ConvBnAct(*sizes, act=block.act, padded=block.padded, same=block.same)


def _head(block: Head, in_channels: int) -> nn.Module:
    return Classifier(block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {Stem: _stem, Head: _head}
