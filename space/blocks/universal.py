"""Blocks of MobileNetV4 of convolutions: the universal inverted bottleneck.

Qin et al., MobileNetV4, 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from palmette.space.blocks.base import (
    MAX_KERNEL,
    Block,
    act_field,
    dilation_field,
    expanded_field,
    flag_field,
    size_field,
    stride_field,
)
from palmette.space.errors import expect


def _optional_kernel(token: str, **size: int) -> Any:
    """An odd window, 0 for none."""
    return size_field(token, low=0, high=MAX_KERNEL, **size)


@dataclass(frozen=True, slots=True)
class UniversalInvertedBottleneck(Block):
    """Depthwise, 1x1 expansion, depthwise, linear 1x1; either depthwise may be absent (`uir`).

    `first_kernel` stands before the expansion, without an activation, `kernel` after it; 0 leaves
    one away. The four cases are the paper's: both (extra depthwise), only `kernel` (the inverted
    residual of MobileNetV2), only `first_kernel` (as in ConvNeXt), none (feed-forward). The stride
    is that of the last depthwise, the dilation that of both. A residual is added where shapes allow
    it and `skip` is true.
    """

    kind: ClassVar[str] = "uir"
    kernel: int = _optional_kernel("k")
    stride: int = stride_field()
    expanded: int = expanded_field()
    channels: int = size_field("c")
    act: str = act_field()
    first_kernel: int = _optional_kernel("a", default=0)
    skip: bool = flag_field("noskip", True)
    dilation: int = dilation_field()

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` does not find the class that `slots` makes anew
        for name in ("kernel", "first_kernel"):
            value: int = getattr(self, name)
            expect(
                value == 0 or value % 2 == 1,
                f"{self.kind} block, {name}: must be odd, or 0 for none; got {value}",
            )
        expect(
            self.stride == 1 or max(self.kernel, self.first_kernel) > 0,
            f"{self.kind} block, stride: without a depthwise convolution it must be 1,"
            f" got {self.stride}",
        )


BLOCKS: tuple[type[Block], ...] = (UniversalInvertedBottleneck,)
