"""Blocks of BlazeFace (Bazarevsky et al., 2019): wide kernels, a residual over every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import Block, act_field, kernel_field, size_field, stride_field
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class BlazeBlock(Block):
    """Depthwise kxk with the stride, linear 1x1, and the residual; the sum is rectified (`blaze`).

    A double block goes through `middle` channels (`x`): depthwise kxk, 1x1 down to them, depthwise
    kxk, linear 1x1. At stride 2 the input is pooled to its greatest values, and where channels are
    added it is filled up with zeros.
    """

    kind: ClassVar[str] = "blaze"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    middle: int = size_field("x", low=0, default=0)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.channels >= in_channels,
            f"{self.kind} block, channels: must be at least the {in_channels} channels of its"
            f" input, which are added to them; got {self.channels}",
        )


BLOCKS: tuple[type[Block], ...] = (BlazeBlock,)
