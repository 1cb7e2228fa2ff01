"""First and last parts of a network: the stem and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    ACTIVATIONS,
    Block,
    act_field,
    choice_field,
    flag_field,
    kernel_field,
    learned,
    size_field,
    stride_field,
)


@dataclass(frozen=True, slots=True)
class Stem(Block):
    """First convolution of a network, on the RGB image (`stem`).

    `padded` false (`valid`) leaves the padding away (SqueezeNet).
    """

    kind: ClassVar[str] = "stem"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    padded: bool = learned(flag_field("valid", True))

    @property
    def least_size(self) -> int:
        """See `Block.least_size`."""
        return self.stride if self.padded else self.kernel

    def out_size(self, size: int) -> int:
        """See `Block.out_size`; without padding a window that does not fit is left away."""
        return -(-size // self.stride) if self.padded else (size - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True)
class Head(Block):
    """Last 1x1 convolution, global pooling, classifier (`head`).

    `channels` 0 means no 1x1 (MobileNetV1). `pool_first` puts the pooling before the 1x1, which
    then has a bias and no BatchNorm (MobileNetV3). `classes` 0 leaves the classifier away.
    """

    kind: ClassVar[str] = "head"
    channels: int = size_field("c", low=0, default=0)
    act: str = choice_field("", ACTIVATIONS, "none")
    classes: int = size_field("n", low=0, default=1000)
    pool_first: bool = flag_field("poolfirst", False)
