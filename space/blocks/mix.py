"""Blocks of MixNet (Tan and Le, BMVC 2019): kernels of several sizes within one convolution."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

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
from palmette.space.errors import expect


class Kernels(tuple[int, ...]):
    """Windows of a mixed convolution, smallest first; as text `3.5.7`."""

    __slots__ = ()

    def __str__(self) -> str:
        return ".".join(map(str, self))


class _Mixes:
    """All allowed `Kernels`: what a field asks of its names, without a list of 65,535 of them."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, str):  # of a text
            return re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,2})*", value) is not None
        return (
            isinstance(value, Kernels)
            and len(value) > 0
            and all(type(k) is int and k % 2 == 1 and 1 <= k <= MAX_KERNEL for k in value)
            and all(small < large for small, large in itertools.pairwise(value))
        )

    def __iter__(self) -> Iterator[str]:
        yield from ("3", "3.5", "3.5.7", f"... (rising odd windows up to {MAX_KERNEL})")


def kernels_field() -> Any:
    """Odd windows, rising, one for each branch: `k3.5.7`; a list of integers in JSON."""
    return field(metadata={"token": "k", "names": _Mixes()})


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
    kernels: tuple[int, ...] = kernels_field()
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
        object.__setattr__(self, "kernels", _kernels(self.kernels))
        Block.__post_init__(self)  # `super()` without arguments fails in a class with slots
        _check_split(self.kind, "kernels", len(self.kernels), self.expanded)
        _check_split(self.kind, "expand_groups", self.expand_groups, self.expanded)
        _check_split(self.kind, "project_groups", self.project_groups, self.expanded, self.channels)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        _check_split(self.kind, "expand_groups", self.expand_groups, in_channels)


def _kernels(value: Any) -> Any:
    """`Kernels` of a text or a list; anything else as it is, for the validation to refuse."""
    if isinstance(value, str) and value in _Mixes():
        return Kernels(int(window) for window in value.split("."))
    return Kernels(value) if isinstance(value, (list, tuple)) else value


def _check_split(kind: str, name: str, branches: int, *channels: int) -> None:
    for count in channels:
        expect(
            branches <= count,
            f"{kind} block, {name}: {branches} branches need as many channels; got {count}",
        )


BLOCKS: tuple[type[Block], ...] = (MixedInvertedResidual,)
