"""Modules of the pooling blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.pool import AveragePool, MaxPool

LOWEST = -65504.0
"""Least finite float16: what is padded never wins, and survives a conversion to half precision."""


def _max_pool(block: MaxPool, _: int) -> nn.Module:
    kernel, stride = block.kernel, block.stride
    if not block.padded:
        return nn.MaxPool2d(kernel, stride, ceil_mode=True)
    if kernel % 2 == 1:
        return nn.MaxPool2d(kernel, stride, kernel // 2)
    if stride == kernel:
        return nn.MaxPool2d(kernel, stride, ceil_mode=True)
    beyond = nn.ConstantPad2d((0, 1, 0, 1), LOWEST)
    return nn.Sequential(beyond, nn.MaxPool2d(kernel, stride))


def _average_pool(block: AveragePool, _: int) -> nn.Module:
    return nn.AvgPool2d(block.kernel, block.stride)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    MaxPool: _max_pool,
    AveragePool: _average_pool,
}
