"""Blocks of MobileOne: re-parameterised depthwise and 1x1 convolutions.

Vasu et al., MobileOne, 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    Block,
    act_field,
    kernel_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.errors import expect

MAX_BRANCHES = 16


@dataclass(frozen=True, slots=True)
class MobileOneBlock(Block):
    """Depthwise kxk, then 1x1, each re-parameterised, with its gate and activation (`one`).

    Both train as a sum of branches: `branches` convolutions, for the depthwise one a 1x1 scale, and
    where shapes allow it the input itself, each with its BatchNorm. On a device each is the one
    convolution that its branches add up to. `se` squeeze channels (0: none) gate the depthwise
    convolution's output before its activation; the gate of the 1x1 squeezes by the same ratio.
    """

    kind: ClassVar[str] = "one"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    branches: int = size_field("b", high=MAX_BRANCHES, default=1)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.se * self.channels % in_channels == 0,
            f"{self.kind} block, se: {self.se} of {in_channels} input channels is no whole number"
            f" of {self.channels} channels; both gates squeeze by one ratio",
        )


BLOCKS: tuple[type[Block], ...] = (MobileOneBlock,)
