"""Blocks of SqueezeNet and SqueezeNext: fire, a convolution with bias, and the two-stage squeeze.

Iandola et al., SqueezeNet, 2016; Gholami et al., SqueezeNext, 2018. SqueezeNet is older than
BatchNorm is common: its convolutions have a bias and nothing between them and the activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    Block,
    act_field,
    check_groups,
    flag_field,
    kernel_field,
    size_field,
    stride_field,
)
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class BiasConv(Block):
    """Convolution with bias and activation, without BatchNorm (`cb`)."""

    kind: ClassVar[str] = "cb"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    groups: int = size_field("g", default=1)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_groups(self.kind, self.groups, in_channels, self.channels)


@dataclass(frozen=True, slots=True)
class Fire(Block):
    """1x1 to `squeeze` channels, then a 1x1 and a kxk side by side, half of the channels each.

    `norm` false leaves BatchNorm away and gives the convolutions a bias (SqueezeNet). Kind `fire`.
    """

    kind: ClassVar[str] = "fire"
    kernel: int = kernel_field()
    squeeze: int = size_field("sq")
    channels: int = size_field("c")
    act: str = act_field()
    norm: bool = flag_field("nobn", True)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.channels % 2 == 0,
            f"{self.kind} block, channels: must be even, one half for each branch;"
            f" got {self.channels}",
        )


@dataclass(frozen=True, slots=True)
class TwoStageSqueeze(Block):
    """SqueezeNext's block: two 1x1 squeezes, kx1 and 1xk, 1x1 expansion, and the residual (`sx`).

    The squeezes give a half and a quarter of the channels, the split kernel a half. Every
    convolution is rectified, and so is the sum. Where stride or channels change, the input passes a
    rectified 1x1 convolution, and the first squeeze has the stride. `wide_first` swaps the order of
    the split kernel's axes, which SqueezeNext alternates.
    """

    kind: ClassVar[str] = "sx"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    wide_first: bool = flag_field("wide", False)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.channels % 4 == 0,
            f"{self.kind} block, channels: must divide by 4, the second squeeze's ratio;"
            f" got {self.channels}",
        )


BLOCKS: tuple[type[Block], ...] = (BiasConv, Fire, TwoStageSqueeze)
