"""Blocks of DiCENet (Mehta et al., 2020): convolutions along each of a map's three dimensions.

Channels, rows and columns each take the place of the channels in a depthwise convolution, so a unit
has weights for the rows and columns of one size of map. On another it resizes what it reads.
Activations are parametric, as in ESPNet v2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import Block, size_field, stride_field
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class DimensionWise(Block):
    """Dimension-wise unit of ShuffleNet v2's form (`dice`).

    Depthwise 3x3 over channels, rows and columns; a weighted mean of the three; depthwise 3x3, and
    a gate. At stride 1 half of the input's channels pass by, the others pass a 1x1 and the
    convolutions; all shuffle. At stride 2 the channels double: a depthwise 3x3 and a 1x1 stand
    beside the convolutions, which read the input averaged 3x3. `rows` (`h`) and `columns` (`w`) are
    the size of the block's output that the weights are made for.
    """

    kind: ClassVar[str] = "dice"
    stride: int = stride_field()
    channels: int = size_field("c")
    rows: int = size_field("h")
    columns: int = size_field("w")

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        if self.stride == 2:
            expect(
                self.channels == 2 * in_channels,
                f"{self.kind} block, channels: at stride 2 must be twice the {in_channels} channels"
                f" of its input, got {self.channels}",
            )
        expect(
            self.channels % 2 == 0,
            f"{self.kind} block, channels: must be even, for they are shuffled in two groups;"
            f" got {self.channels}",
        )
        made = self.made(in_channels)
        expect(
            made >= 4,
            f"{self.kind} block, channels: the convolutions need 4 or more, a quarter of which"
            f" makes the gate; {self.channels} leave them {made}",
        )

    def made(self, in_channels: int) -> int:
        """Channels of the convolutions, of a block after `in_channels` channels."""
        return in_channels if self.stride == 2 else self.channels - in_channels // 2


BLOCKS: tuple[type[Block], ...] = (DimensionWise,)
