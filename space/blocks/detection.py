"""Heads of single-shot detectors: SSD and SSDLite.

Liu et al., SSD, 2016; Sandler et al., MobileNetV2, 2018, section 6.2. Layers, boxes and predictors
as in the configurations of the TensorFlow Object Detection API for COCO. Every cell of a map has
six boxes (see `palmette.space.anchors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.base import (
    MAX_CHANNELS,
    act_field,
    flag_field,
    kernel_field,
    size_field,
)
from palmette.space.blocks.heads import TaskHead, taps_field
from palmette.space.blocks.numbers import Listed, numbers_field

BOXES = 6
"""Boxes of a cell."""
FEWER_BOXES = 3
"""Boxes of a cell of the first map where that has fewer."""
_WIDTHS = Listed(
    range(2, MAX_CHANNELS + 1, 2), ("512", "512.256", f"... (even, 2 to {MAX_CHANNELS})"), least=0
)


@dataclass(frozen=True, slots=True)
class Detector(TaskHead):
    """Boxes and scores of the tapped maps and of further maps, each half as large as the last.

    `extras` are the widths of the further layers: a 1x1 convolution to half of it, then a 3x3 of
    stride 2. `kernel` is that of the predictors. `full_first` gives the first map's cells six boxes
    instead of three. `classes` leaves the background out, which is predicted beside them.
    """

    sized: ClassVar[bool] = True

    taps: tuple[int, ...] = taps_field()
    act: str = act_field()
    extras: tuple[int, ...] = numbers_field("x", _WIDTHS, ())
    classes: int = size_field("n", default=90)
    kernel: int = kernel_field(default=3)
    full_first: bool = flag_field("fullfirst", False)

    @property
    def outputs(self) -> tuple[str, ...]:
        """See `TaskHead.outputs`."""
        return ("confidence", "coordinates")

    @property
    def least_size(self) -> int:
        """See `Block.least_size`; each further layer halves a map of more than one value."""
        return 2 ** (len(self.extras) - 1) + 1 if self.extras else 1

    @property
    def boxes(self) -> tuple[int, ...]:
        """Boxes of a cell of each map, the finest first."""
        first = BOXES if self.full_first else FEWER_BOXES
        return (first, *(BOXES,) * (len(self.taps) + len(self.extras) - 1))


@dataclass(frozen=True, slots=True)
class SSD(Detector):
    """Single-shot detector of dense convolutions (`ssd`)."""

    kind: ClassVar[str] = "ssd"


@dataclass(frozen=True, slots=True)
class SSDLite(Detector):
    """The same with every kxk convolution split into a depthwise and a 1x1 (`ssdlite`)."""

    kind: ClassVar[str] = "ssdlite"


HEADS: tuple[type[TaskHead], ...] = (SSD, SSDLite)
