"""Module of the feature extractor."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from palmette.space.blocks.base import Block
from palmette.space.blocks.taps import FeatureTaps


class Taps(nn.Module):
    """Gives the maps that it gets."""

    def forward(self, *maps: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The map, or the maps in order if there are several."""
        return maps if len(maps) > 1 else maps[0]


def _taps(block: FeatureTaps, *channels: int) -> nn.Module:
    return Taps()


BUILDERS: dict[type[Block], Callable[..., nn.Module]] = {FeatureTaps: _taps}
