"""Modules of MobileOne's blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.mobileone import MobileOneBlock
from palmette.space.modules.layers import ACTIVATION_MODULES, ConvBnAct, SqueezeExcite
from palmette.space.modules.reparameterise import Branched, Kernel, fold, unit_weight, widen


class OverParameterisedConv(Branched):
    """Equal convolutions, a 1x1 scale and the input itself, each with BatchNorm, added up.

    The scale is there where the kernel is larger, the input where the shapes allow it.

    Args:
        channels: of the input and of the output.
        kernel: of the merged convolution.
        stride: of the merged convolution.
        depthwise: one group for each input channel, otherwise one for all.
        count: number of equal convolutions.
    """

    def __init__(
        self, channels: tuple[int, int], kernel: int, stride: int, depthwise: bool, count: int
    ) -> None:
        super().__init__(channels, kernel, stride, channels[0] if depthwise else 1)
        kernels = [kernel] * count + [1] * (kernel > 1)
        self.convs = nn.ModuleList(ConvBnAct(*channels, k, stride, self.groups) for k in kernels)
        same_shape = stride == 1 and channels[0] == channels[1]
        self.identity = nn.BatchNorm2d(channels[0]) if same_shape else None

    def branches(self, x: Tensor) -> Tensor:
        """See `Branched.branches`."""
        y: Tensor = self.convs[0](x)
        for conv in self.convs[1:]:
            y = y + conv(x)
        return y if self.identity is None else y + self.identity(x)

    def merged(self) -> Kernel:
        """See `Branched.merged`."""
        convs = [conv for conv in self.convs if isinstance(conv, ConvBnAct)]
        folded = [fold(conv.conv.weight, conv.bn) for conv in convs]
        if self.identity is not None:
            folded.append(fold(unit_weight(convs[0].conv.weight), self.identity))
        weight, bias = folded[0]
        for other_weight, other_bias in folded[1:]:
            weight, bias = weight + widen(other_weight, self.kernel), bias + other_bias
        return weight, bias


def _mobileone(block: MobileOneBlock, in_channels: int) -> nn.Module:
    depthwise = OverParameterisedConv(
        (in_channels, in_channels), block.kernel, block.stride, True, block.branches
    )
    pointwise = OverParameterisedConv((in_channels, block.channels), 1, 1, False, block.branches)
    layers: list[nn.Module] = []
    for conv in (depthwise, pointwise):
        layers.append(conv)
        if block.se:
            width = conv.channels[1]
            squeeze = block.se * width // in_channels
            layers.append(SqueezeExcite(width, squeeze, "relu", "sigmoid"))
        layers.append(ACTIVATION_MODULES[block.act]())
    return nn.Sequential(*layers)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {MobileOneBlock: _mobileone}
