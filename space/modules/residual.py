"""Modules of the residual blocks of ResNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.residual import BasicResidual, BottleneckResidual
from palmette.space.modules.layers import ACTIVATION_MODULES, ConvBnAct


class RectifiedSum(nn.Module):
    """Activation of the sum of a body and a shortcut, which is the input itself or a module."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None, act: str) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.act = ACTIVATION_MODULES[act]()

    def forward(self, x: Tensor) -> Tensor:
        """Body and shortcut give tensors of one shape, which is the output's."""
        y: Tensor = self.act(self.shortcut(x) + self.body(x))
        return y


def _joined(
    body: nn.Module, block: BasicResidual | BottleneckResidual, in_channels: int
) -> nn.Module:
    """Body and residual; a projection stands in where the input has another shape."""
    projection = None
    if block.stride != 1 or in_channels != block.channels:
        projection = ConvBnAct(in_channels, block.channels, stride=block.stride)
    return RectifiedSum(body, projection, block.act)


def _basic(block: BasicResidual, in_channels: int) -> nn.Module:
    wide = block.channels
    body = nn.Sequential(
        ConvBnAct(in_channels, wide, block.kernel, block.stride, act=block.act),
        ConvBnAct(wide, wide, block.kernel),
    )
    return _joined(body, block, in_channels)


def _bottleneck(block: BottleneckResidual, in_channels: int) -> nn.Module:
    sizes = (block.middle, block.middle, block.kernel, block.stride, block.groups)
    body = nn.Sequential(
        ConvBnAct(in_channels, block.middle, act=block.act),
        ConvBnAct(*sizes, block.act, block.dilation),
        ConvBnAct(block.middle, block.channels),
    )
    return _joined(body, block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    BasicResidual: _basic,
    BottleneckResidual: _bottleneck,
}
