"""Blocks of GhostNet (Han et al., CVPR 2020): half of the channels computed, half derived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from palmette.space.blocks.base import (
    ACTIVATIONS,
    GATES,
    MAX_KERNEL,
    Block,
    act_field,
    choice_field,
    expanded_field,
    kernel_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class GhostBottleneck(Block):
    """Ghost module, depthwise kxk at stride 2, optional gate, linear ghost module (`ghost`).

    A ghost module computes half of its channels by a 1x1 convolution and derives the other half
    from them by a depthwise convolution of `cheap_kernel` (`d`). The shortcut is the input where
    shapes allow it, else a depthwise `kernel` and a 1x1; so at stride 1 `kernel` acts there alone.
    """

    kind: ClassVar[str] = "ghost"
    kernel: int = kernel_field()
    stride: int = stride_field()
    expanded: int = expanded_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")
    cheap_kernel: int = field(
        default=3, metadata={"token": "d", "low": 1, "high": MAX_KERNEL, "odd": True}
    )

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` without arguments fails in a class with slots
        for name, count in (("expanded", self.expanded), ("channels", self.channels)):
            expect(
                count % 2 == 0,
                f"{self.kind} block, {name}: must be even, half computed and half derived;"
                f" got {count}",
            )


BLOCKS: tuple[type[Block], ...] = (GhostBottleneck,)
