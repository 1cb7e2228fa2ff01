"""Blocks of ESPNet v2 (Mehta et al., 2019): pyramids of dilated depthwise convolutions.

Their activation is the parametric one (He et al., 2015), with a slope for each channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    Block,
    check_groups,
    flag_field,
    size_field,
    stride_field,
)
from palmette.space.blocks.pool import check_same_channels
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class DilatedPyramid(Block):
    """1x1 in groups, dilated depthwise 3x3 side by side, summed up, 1x1 in groups (`eesp`).

    The branches read 3, 5, 7, ... values across; one that would read more than `field` (`f`) is not
    dilated. Each adds the branch before it, the narrowest first, and all are concatenated. At
    stride 1 the input is added. At stride 2 the block puts its maps behind the input, averaged 3x3;
    with `image` it adds the network's input too, averaged down to the size and convolved.
    """

    kind: ClassVar[str] = "eesp"
    stride: int = stride_field()
    channels: int = size_field("c")
    field: int = size_field("f", low=3, high=129)
    branches: int = size_field("b", default=4)
    image: bool = flag_field("image", False)

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` without arguments fails in a class with slots
        expect(
            self.stride == 2 or not self.image,
            f"{self.kind} block, image: is added at stride 2 alone",
        )

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilation of each branch, rising."""
        reach = (3 + 2 * index for index in range(self.branches))
        return tuple(sorted((size - 1) // 2 if size <= self.field else 1 for size in reach))

    def made(self, in_channels: int) -> int:
        """Channels that do not come from the pooled input, of a block after `in_channels`."""
        return self.channels - (in_channels if self.stride == 2 else 0)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        if self.stride == 1:
            check_same_channels(self.kind, self.channels, in_channels)
        made = self.made(in_channels)
        expect(
            made > 0,
            f"{self.kind} block, channels: at stride 2 must be more than the {in_channels} channels"
            f" of its input, which are among them; got {self.channels}",
        )
        # the reduced maps too are read in as many groups as there are branches
        check_groups(self.kind, self.branches**2, made)
        check_groups(self.kind, self.branches, in_channels)


@dataclass(frozen=True, slots=True)
class ParametricRelu(Block):
    """Rectifier with a learned slope for each channel, as a block of its own (`prelu`)."""

    kind: ClassVar[str] = "prelu"
    channels: int = size_field("c")

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_same_channels(self.kind, self.channels, in_channels)


BLOCKS: tuple[type[Block], ...] = (DilatedPyramid, ParametricRelu)
