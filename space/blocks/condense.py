"""Blocks of CondenseNet (Huang et al., 2018) in the form that runs: gathers and group convolutions.

Training prunes dense 1x1 convolutions until each of their groups reads a share of the channels.
What remains is an index, by which the channels are gathered, and a group convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import Block, act_field, check_groups, kernel_field, size_field
from palmette.space.blocks.pool import check_same_channels
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class CondensedDense(Block):
    """Gather, 1x1 in groups, shuffle, kxk in groups; what it makes is put behind the input (`cd`).

    BatchNorm and activation stand before each convolution, where they cannot be folded. With as
    many groups as steps of pruning every group keeps its share of the channels, so as many are
    gathered as come in; a channel may serve several groups. `middle` (`x`) is the count between the
    convolutions, `channels` the input's and those that the block adds.
    """

    kind: ClassVar[str] = "cd"
    kernel: int = kernel_field()
    middle: int = size_field("x")
    channels: int = size_field("c")
    act: str = act_field()
    groups: int = size_field("g", default=1)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        expect(
            self.channels > in_channels,
            f"{self.kind} block, channels: must be more than the {in_channels} channels of its"
            f" input, which are among them; got {self.channels}",
        )
        check_groups(self.kind, self.groups, in_channels, self.middle, self.channels - in_channels)


@dataclass(frozen=True, slots=True)
class NormAct(Block):
    """BatchNorm and activation as a block of their own (`na`), behind layers that begin so."""

    kind: ClassVar[str] = "na"
    channels: int = size_field("c")
    act: str = act_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_same_channels(self.kind, self.channels, in_channels)


BLOCKS: tuple[type[Block], ...] = (CondensedDense, NormAct)
