"""Head that gives maps of the backbone as they are: a feature extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from palmette.space.blocks.heads import TaskHead, taps_field


@dataclass(frozen=True, slots=True)
class FeatureTaps(TaskHead):
    """The tapped maps, finest first (`taps`)."""

    kind: ClassVar[str] = "taps"
    taps: tuple[int, ...] = taps_field()

    @property
    def outputs(self) -> tuple[str, ...]:
        """See `TaskHead.outputs`."""
        return tuple(f"stride{tap}" for tap in self.taps)


HEADS: tuple[type[TaskHead], ...] = (FeatureTaps,)
