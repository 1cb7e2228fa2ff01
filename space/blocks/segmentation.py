"""Heads that score every pixel: DeepLab and LR-ASPP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    MAX_DILATION,
    Block,
    act_field,
    flag_field,
    size_field,
)
from palmette.space.blocks.heads import TaskHead, taps_field
from palmette.space.blocks.numbers import Numbers, Rising, numbers_field
from palmette.space.errors import expect

_RATES = Rising(
    range(2, MAX_DILATION + 1), ("6.12.18", f"... (rising, 2 to {MAX_DILATION})"), least=0
)


@dataclass(frozen=True, slots=True)
class _Segmenter(TaskHead):
    """Scores of `classes` (the background is one) for every pixel of the image."""

    sized: ClassVar[bool] = True

    taps: tuple[int, ...] = taps_field()
    channels: int = size_field("c")
    act: str = act_field()
    classes: int = size_field("n", default=21)

    @property
    def outputs(self) -> tuple[str, ...]:
        """See `TaskHead.outputs`."""
        return ("scores",)


@dataclass(frozen=True, slots=True)
class DeepLab(_Segmenter):
    """Atrous spatial pyramid, optional decoder, 1x1 classifier (`deeplab`).

    Chen et al., Rethinking Atrous Convolution, 2017 (v3), and Encoder-Decoder with Atrous Separable
    Convolution, 2018 (v3+). The pyramid reads the last tap: a 1x1 convolution, a 3x3 for each of
    `rates` (its dilation; none in MobileNetV2's), the mean of the map through a 1x1. A tap before
    it makes a decoder: the finer map, reduced to `low` channels, joins the pyramid's. `layers` 3x3
    convolutions stand before the classifier. The 3x3 are separable unless `dense` is set.
    """

    kind: ClassVar[str] = "deeplab"
    rates: tuple[int, ...] = numbers_field("a", _RATES, Numbers())
    low: int = size_field("low", default=48)
    layers: int = size_field("l", low=0, high=8, default=0)
    dense: bool = flag_field("dense", False)

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` does not find the class that `slots` makes anew
        expect(
            len(self.taps) <= 2,
            f"{self.kind} block, taps: must be the pyramid's, or a finer one for the decoder"
            f" before it; got {Numbers(self.taps)}",
        )


@dataclass(frozen=True, slots=True)
class LRASPP(_Segmenter):
    """Lite reduced atrous spatial pyramid pooling (`lraspp`; Howard et al., MobileNetV3, 2019).

    The last tap, through a 1x1 convolution and gated by its mean, is brought to the size of the
    first; the classifier reads both.
    """

    kind: ClassVar[str] = "lraspp"

    def __post_init__(self) -> None:
        Block.__post_init__(self)  # `super()` does not find the class that `slots` makes anew
        expect(
            len(self.taps) == 2,
            f"{self.kind} block, taps: must be two, a finer and the last one; got"
            f" {Numbers(self.taps)}",
        )


HEADS: tuple[type[TaskHead], ...] = (DeepLab, LRASPP)
