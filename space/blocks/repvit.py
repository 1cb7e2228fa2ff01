"""Blocks of RepViT: a re-parameterised depthwise token mixer, then a channel mixer.

Wang et al., RepViT, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    Block,
    act_field,
    expanded_field,
    kernel_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class RepViTBlock(Block):
    """Depthwise kxk, optional squeeze-and-excitation, then two 1x1 with a residual (`rv`).

    The depthwise convolution is re-parameterised: it trains as a kxk, a 1x1 and the input itself,
    added up. The first 1x1 has `expanded` channels and the only activation. A block that changes
    the shape continues, as the paper's downsampling does, with a depthwise kxk of its stride, a 1x1
    to `channels`, and again two 1x1 with a residual, expanding by the same ratio.
    """

    kind: ClassVar[str] = "rv"
    kernel: int = kernel_field()
    stride: int = stride_field()
    expanded: int = expanded_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.expanded * self.channels % in_channels == 0,
            f"{self.kind} block, expanded: {self.expanded} of {in_channels} input channels is no"
            f" whole number of {self.channels} channels; both channel mixers expand by one ratio",
        )


BLOCKS: tuple[type[Block], ...] = (RepViTBlock,)
