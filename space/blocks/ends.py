"""First part of a network and the usual last one: the stem and the classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    ACTIVATIONS,
    Block,
    act_field,
    check_groups,
    choice_field,
    flag_field,
    kernel_field,
    learned,
    same_field,
    size_field,
    stride_field,
)
from palmette.space.blocks.heads import TaskHead
from palmette.space.errors import expect

STEM_NORMS = ("norm", "bias", "bare")


@dataclass(frozen=True, slots=True)
class Stem(Block):
    """First convolution of a network, on the RGB image (`stem`).

    `padded` false (`valid`) leaves the padding away (SqueezeNet). `norm` says what follows the
    weights: BatchNorm, a bias in its place (SqueezeNet), or nothing (CondenseNet, whose layers
    begin with a BatchNorm).
    """

    kind: ClassVar[str] = "stem"
    kernel: int = kernel_field()
    stride: int = stride_field()
    channels: int = size_field("c")
    act: str = act_field()
    padded: bool = learned(flag_field("valid", True))
    norm: str = learned(choice_field("", STEM_NORMS, "norm"))
    same: bool = same_field()

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` does not find the class that `slots` makes anew
        expect(
            not self.same or (self.padded and self.norm == "norm"),
            f"{self.kind}, same: is a padding before BatchNorm; leave out 'valid', 'bias', 'bare'",
        )

    @property
    def least_size(self) -> int:
        """See `Block.least_size`."""
        return self.stride if self.padded else self.kernel

    def out_size(self, size: int) -> int:
        """See `Block.out_size`; without padding a window that does not fit is left away."""
        return -(-size // self.stride) if self.padded else (size - self.kernel) // self.stride + 1


@dataclass(frozen=True, slots=True)
class Head(TaskHead):
    """Last 1x1 convolution, global pooling, classifier (`head`).

    `channels` 0 means no 1x1 (MobileNetV1). `pool_first` puts the pooling before the 1x1, which
    then has a bias and no BatchNorm (MobileNetV3), and may be in `groups` (DiCENet). `classes` 0
    leaves the classifier away. The classifier reads `kept` of the features (CondenseNet), or all.
    """

    kind: ClassVar[str] = "head"
    channels: int = size_field("c", low=0, default=0)
    act: str = choice_field("", ACTIVATIONS, "none")
    classes: int = size_field("n", low=0, default=1000)
    pool_first: bool = flag_field("poolfirst", False)
    groups: int = learned(size_field("g", default=1))
    kept: int = learned(size_field("keep", low=0, default=0))

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` does not find the class that `slots` makes anew
        expect(
            self.channels > 0 or self.act == "none",
            "head: an activation needs a 1x1 convolution; give its channels",
        )
        expect(
            self.groups == 1 or (self.channels > 0 and self.pool_first),
            f"head, groups: are those of a 1x1 behind the pooling; got {self.groups} groups",
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """See `TaskHead.outputs`."""
        return ("logits",) if self.classes else ("features",)

    def check_input(self, in_channels: int) -> None:
        """See `Block.check_input`."""
        if self.channels:
            check_groups(self.kind, self.groups, in_channels, self.channels)
        features = self.channels or in_channels
        expect(
            self.kept <= features,
            f"{self.kind}, kept: must be at most the {features} features, got {self.kept}",
        )


HEADS: tuple[type[TaskHead], ...] = (Head,)
