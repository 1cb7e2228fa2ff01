"""Base of all heads: what a network's last part reads of its backbone, and what it gives.

A *tap* is an output stride: the output of the last stage that has it. A head names its taps; the
architecture checks that they exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from palmette.space.blocks.base import Block
from palmette.space.blocks.numbers import Rising, numbers_field

STRIDES = (4, 8, 16, 32)
"""Output strides that can be tapped."""


@dataclass(frozen=True, slots=True)
class TaskHead(Block):
    """Last part of a network, on the maps of its backbone."""

    sized: ClassVar[bool] = False
    """Whether its module asks for the image's (height, width) in px beside the maps."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Output strides that it reads, finest first; none: the last map, whatever its stride."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs in order."""
        raise NotImplementedError

    @property
    def classes(self) -> int:
        """Classes that it tells apart, 0 if it tells none."""
        return 0


def taps_field() -> Any:
    """Output strides, finest first."""
    return numbers_field("t", Rising(STRIDES, ("4", "16.32", "... (rising, of 4, 8, 16 and 32)")))
