"""Modules of RepViT's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.repvit import RepViTBlock
from palmette.space.modules.layers import ConvBnAct, Residual, SqueezeExcite
from palmette.space.modules.reparameterise import Branched, Kernel, fold, unit_weight, widen


class TokenMixer(Branched):
    """Depthwise kxk with BatchNorm, depthwise 1x1 with bias and the input itself, added up.

    One more BatchNorm follows the sum.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__((channels, channels), kernel, 1, channels)
        self.conv = ConvBnAct(channels, channels, kernel, groups=channels)
        self.scale = nn.Conv2d(channels, channels, 1, groups=channels)
        self.bn = nn.BatchNorm2d(channels)

    def branches(self, x: Tensor) -> Tensor:
        """See `Branched.branches`."""
        y: Tensor = self.bn(self.conv(x) + self.scale(x) + x)
        return y

    def merged(self) -> Kernel:
        """See `Branched.merged`."""
        weight, bias = fold(self.conv.conv.weight, self.conv.bn)
        scale = self.scale.weight + unit_weight(self.scale.weight)
        assert self.scale.bias is not None
        return fold(weight + widen(scale, self.kernel), self.bn, bias + self.scale.bias)


def _channel_mixer(channels: int, expanded: int, act: str) -> nn.Module:
    return Residual(
        nn.Sequential(ConvBnAct(channels, expanded, act=act), ConvBnAct(expanded, channels))
    )


def _repvit(block: RepViTBlock, in_channels: int) -> nn.Module:
    layers: list[nn.Module] = [TokenMixer(in_channels, block.kernel)]
    if block.se:
        layers.append(SqueezeExcite(in_channels, block.se, "relu", "sigmoid"))
    layers.append(_channel_mixer(in_channels, block.expanded, block.act))
    if block.stride > 1 or block.channels != in_channels:
        expanded = block.expanded * block.channels // in_channels
        layers += [
            ConvBnAct(in_channels, in_channels, block.kernel, block.stride, in_channels),
            ConvBnAct(in_channels, block.channels),
            _channel_mixer(block.channels, expanded, block.act),
        ]
    return nn.Sequential(*layers)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {RepViTBlock: _repvit}
