"""Blocks of MixNet (Tan and Le, BMVC 2019): kernels of several sizes within one convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    ACTIVATIONS,
    GATES,
    MAX_KERNEL,
    Block,
    act_field,
    choice_field,
    expanded_field,
    flag_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.blocks.numbers import Rising, numbers_field
from palmette.space.errors import expect

_WINDOWS = Rising(
    range(1, MAX_KERNEL + 1, 2),
    ("3", "3.5", "3.5.7", f"... (rising odd windows up to {MAX_KERNEL})"),
)


def branch_widths(channels: int, branches: int) -> tuple[int, ...]:
    """Channels of each branch: equal shares, what does not divide goes to the first."""
    share, rest = divmod(channels, branches)
    return (share + rest, *(share,) * (branches - 1))


@dataclass(frozen=True, slots=True)
class MixedInvertedResidual(Block):
    """Inverted residual whose depthwise convolution mixes kernels (`mix`).

    Each of `kernels` serves an equal share of the expanded channels. `expand_groups` (`ge`) and
    `project_groups` (`gp`) split the two 1x1 convolutions likewise: as many convolutions, each from
    its share of the channels to its share, and what does not divide goes to the first.
    Squeeze-and-excitation and residual are those of the inverted residual.
    """

    kind: ClassVar[str] = "mix"
    kernels: tuple[int, ...] = numbers_field("k", _WINDOWS)
    stride: int = stride_field()
    expanded: int = expanded_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")
    expand_groups: int = size_field("ge", default=1)
    project_groups: int = size_field("gp", default=1)
    skip: bool = flag_field("noskip", True)

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` without arguments fails in a class with slots
        _check_split(self.kind, "kernels", len(self.kernels), self.expanded)
        _check_split(self.kind, "expand_groups", self.expand_groups, self.expanded)
        _check_split(self.kind, "project_groups", self.project_groups, self.expanded, self.channels)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        _check_split(self.kind, "expand_groups", self.expand_groups, in_channels)


def _check_split(kind: str, name: str, branches: int, *channels: int) -> None:
    for count in channels:
        expect(
            branches <= count,
            f"{kind} block, {name}: {branches} branches need as many channels; got {count}",
        )


BLOCKS: tuple[type[Block], ...] = (MixedInvertedResidual,)
