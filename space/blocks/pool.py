"""Pooling as a block of its own, between the blocks of networks that downsample so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    MAX_KERNEL,
    Block,
    flag_field,
    learned,
    size_field,
    stride_field,
)
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class MaxPool(Block):
    """Maximum over a window; sizes are divided by the stride and rounded up (`mp`).

    An odd window is padded by half of itself on every side (ResNet), a window of 2 beyond the right
    and lower edges alone (Darknet), so it keeps the size at stride 1. `padded` false (`valid`)
    leaves the padding away; then the last window may reach beyond the edge, as in Caffe
    (SqueezeNet). `channels` is the input's count: a pool changes none.
    """

    kind: ClassVar[str] = "mp"
    kernel: int = size_field("k", low=2, high=MAX_KERNEL)
    stride: int = stride_field()
    channels: int = size_field("c")
    padded: bool = learned(flag_field("valid", True))

    def __post_init__(self) -> None:
        # a class with slots is made anew, which `super()` without arguments does not survive
        super(MaxPool, self).__post_init__()
        expect(
            self.kernel == 2 or self.kernel % 2 == 1,
            f"{self.kind} block, kernel: must be 2 or odd, got {self.kernel}",
        )

    @property
    def least_size(self) -> int:
        """See `Block.least_size`."""
        return self.stride if self.padded else self.kernel

    def out_size(self, size: int) -> int:
        """See `Block.out_size`."""
        return -(-(size if self.padded else size - self.kernel + self.stride) // self.stride)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_same_channels(self.kind, self.channels, in_channels)


@dataclass(frozen=True, slots=True)
class AveragePool(Block):
    """Mean over a window, without padding: a last window that does not fit is left away (`ap`).

    `channels` is the input's count: a pool changes none.
    """

    kind: ClassVar[str] = "ap"
    kernel: int = size_field("k", low=2, high=MAX_KERNEL)
    stride: int = stride_field()
    channels: int = size_field("c")

    @property
    def least_size(self) -> int:
        """See `Block.least_size`."""
        return self.kernel

    def out_size(self, size: int) -> int:
        """See `Block.out_size`."""
        return (size - self.kernel) // self.stride + 1

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_same_channels(self.kind, self.channels, in_channels)


def check_same_channels(kind: str, channels: int, in_channels: int) -> None:
    """Raise InputError if a block that keeps the count of channels names another one."""
    expect(
        channels == in_channels,
        f"{kind} block, channels: must equal the {in_channels} channels of its input,"
        f" got {channels}",
    )


BLOCKS: tuple[type[Block], ...] = (MaxPool, AveragePool)
