"""Residual blocks of ResNet: basic and bottleneck (He et al., Deep Residual Learning, 2016).

Both add the input to a body of convolutions and rectify the sum. Where stride or channels change,
the input passes a linear 1x1 convolution with BatchNorm of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    Block,
    act_field,
    check_groups,
    dilation_field,
    kernel_field,
    size_field,
    stride_field,
)


@dataclass(frozen=True, slots=True)
class BasicResidual(Block):
    """Two kxk convolutions, the first with the stride, and the residual (`rb`)."""

    kind: ClassVar[str] = "rb"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()


@dataclass(frozen=True, slots=True)
class BottleneckResidual(Block):
    """1x1 to `middle` channels, kxk with the stride, linear 1x1, and the residual (`rn`).

    The stride stands in the kxk convolution, as torchvision and most trainings since 2016 have it.
    `groups` (ResNeXt, Xie et al., 2017) and `dilation` apply to the kxk convolution.
    """

    kind: ClassVar[str] = "rn"
    kernel: int = kernel_field()
    stride: int = stride_field()
    middle: int = size_field("x")
    channels: int = size_field("c")
    act: str = act_field()
    groups: int = size_field("g", default=1)
    dilation: int = dilation_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_groups(self.kind, self.groups, self.middle)


BLOCKS: tuple[type[Block], ...] = (BasicResidual, BottleneckResidual)
