"""Blocks of the MobileNet family: plain, separable, inverted residual, fused."""

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
    dilation_field,
    expanded_field,
    flag_field,
    kernel_field,
    learned,
    same_field,
    size_field,
    squeeze_field,
    stride_field,
)
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class ConvBlock(Block):
    """Plain convolution, BatchNorm, activation (`cn`)."""

    kind: ClassVar[str] = "cn"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    groups: int = size_field("g", default=1)
    dilation: int = dilation_field()
    same: bool = same_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_groups(self.kind, self.groups, in_channels, self.channels)


@dataclass(frozen=True, slots=True)
class DepthwiseSeparable(Block):
    """Depthwise kxk, optional squeeze-and-excitation, 1x1 (`ds`).

    The 1x1 is linear (MobileNetV2) unless `point_act` is set (MobileNetV1). A residual is added
    where shapes allow it and `skip` is true.
    """

    kind: ClassVar[str] = "ds"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")
    groups: int = size_field("g", default=1)
    point_act: bool = flag_field("pointact", False)
    skip: bool = flag_field("noskip", True)
    dilation: int = dilation_field()
    same: bool = same_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_groups(self.kind, self.groups, in_channels, self.channels)


@dataclass(frozen=True, slots=True)
class _Expanding(Block):
    """A convolution between an expansion and a linear 1x1 convolution."""

    kernel: int = kernel_field()
    stride: int = stride_field()
    expanded: int = expanded_field()
    channels: int = size_field("c")
    act: str = act_field()
    se: int = squeeze_field()
    se_act: str = choice_field("in", ACTIVATIONS, "relu")
    gate: str = choice_field("gate", GATES, "sigmoid")
    groups: int = size_field("g", default=1)
    skip: bool = flag_field("noskip", True)
    dilation: int = dilation_field()
    same: bool = same_field()

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        check_groups(self.kind, self.groups, in_channels, self.expanded)
        check_groups(self.kind, self.groups, self.expanded, self.channels)


@dataclass(frozen=True, slots=True)
class InvertedResidual(_Expanding):
    """1x1 expansion, depthwise kxk, optional squeeze-and-excitation, linear 1x1 (`ir`).

    Sandler et al., MobileNetV2, 2018; with squeeze-and-excitation as in MnasNet and MobileNetV3:
    `se` squeeze channels (0: none), `se_act` inside, `gate` at its end. `groups` applies to both
    1x1 convolutions; `shuffle` interleaves them behind the expansion (FBNet). The residual is added
    where shapes allow it and `skip` is true.
    """

    kind: ClassVar[str] = "ir"
    shuffle: bool = learned(flag_field("shuffle", False))

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` without arguments fails in a class with slots
        expect(
            not self.shuffle or self.groups > 1,
            f"{self.kind} block, shuffle: needs groups to shuffle; give their number as gN",
        )


@dataclass(frozen=True, slots=True)
class FusedInvertedResidual(_Expanding):
    """Dense kxk expansion, optional squeeze-and-excitation, linear 1x1 (`er`, as in timm).

    Gupta and Akin, EfficientNet-EdgeTPU, 2019: the 1x1 expansion and the depthwise convolution of
    an inverted residual fused into one dense convolution.
    """

    kind: ClassVar[str] = "er"


BLOCKS: tuple[type[Block], ...] = (
    ConvBlock,
    DepthwiseSeparable,
    InvertedResidual,
    FusedInvertedResidual,
)
