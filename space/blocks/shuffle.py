"""Blocks of ShuffleNet v1, v2 and v2+: units whose channels are shuffled between groups.

Zhang et al., ShuffleNet, 2018; Ma et al., ShuffleNet V2, 2018; v2+ as in its authors' code, 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    ACTIVATIONS,
    GATES,
    Block,
    act_field,
    check_groups,
    choice_field,
    flag_field,
    kernel_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.blocks.pool import check_same_channels
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class GroupShuffle(Block):
    """ShuffleNet v1: 1x1 in groups, shuffle, depthwise kxk, linear 1x1 in groups (`gs`).

    At stride 1 the input is added and the sum rectified. At stride 2 the block rectifies its maps
    and puts them behind the input, averaged 3x3 with stride 2. `group_first` false makes the first
    1x1 dense, as before the first unit, where there are few channels.
    """

    kind: ClassVar[str] = "gs"
    kernel: int = kernel_field()
    stride: int = stride_field()
    middle: int = size_field("x")
    channels: int = size_field("c")
    act: str = act_field()
    groups: int = size_field("g", default=1)
    group_first: bool = flag_field("densefirst", True)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        if self.stride == 1:
            check_same_channels(self.kind, self.channels, in_channels)
        else:
            _check_wider(self.kind, self.channels, in_channels)
        made = self.channels - (in_channels if self.stride == 2 else 0)
        first = (in_channels,) if self.group_first else ()
        check_groups(self.kind, self.groups, *first, self.middle, made)


@dataclass(frozen=True, slots=True)
class SplitShuffle(Block):
    """ShuffleNet v2: half of the channels pass a branch, the others pass by, all shuffle (`sh`).

    The branch is 1x1, depthwise kxk, 1x1; with `xception` three depthwise separable convolutions.
    At stride 2 the whole input passes both the branch and a depthwise kxk and 1x1 beside it, which
    give half of the channels each. `keep` lets the latter give as many channels as come in, and the
    branch the rest (v2+). The branch may end in a squeeze-and-excitation of `se` channels.
    """

    kind: ClassVar[str] = "sh"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")
    xception: bool = flag_field("xception", False)
    keep: bool = flag_field("keep", False)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        if self.stride == 1:
            check_same_channels(self.kind, self.channels, in_channels)
        elif self.keep:
            _check_wider(self.kind, self.channels, in_channels)
        expect(
            self.channels % 2 == 0,
            f"{self.kind} block, channels: must be even, one half for each branch;"
            f" got {self.channels}",
        )

    def beside(self, in_channels: int) -> int:
        """Channels that do not come from the branch, of a block after `in_channels` channels."""
        return in_channels if self.keep and self.stride == 2 else self.channels // 2


@dataclass(frozen=True, slots=True)
class Gate(Block):
    """Squeeze-and-excitation as a block of its own (`se`; Hu et al., 2018).

    Before global pooling it is the same function as on the pooled vector behind it (v2+).
    """

    kind: ClassVar[str] = "se"
    channels: int = size_field("c")
    squeeze: int = size_field("x")
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_same_channels(self.kind, self.channels, in_channels)


def _check_wider(kind: str, channels: int, in_channels: int) -> None:
    expect(
        channels > in_channels,
        f"{kind} block, channels: at stride 2 must be more than the {in_channels} channels of its"
        f" input, which are among them; got {channels}",
    )


BLOCKS: tuple[type[Block], ...] = (GroupShuffle, SplitShuffle, Gate)
