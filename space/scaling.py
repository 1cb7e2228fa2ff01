"""Width, depth and resolution multipliers: larger and smaller networks of one layout.

Width: Howard et al., MobileNets, 2017; channels are rounded as in MobileNetV2's code. All three by
one set of coefficients is the compound scaling of Tan and Le, EfficientNet, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TypeVar

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block
from palmette.space.errors import expect

B = TypeVar("B", bound=Block)
DIVISOR = 8
_LARGEST_FACTOR = 10_000.0


def round_channels(channels: float) -> int:
    """Nearest multiple of 8 that is at least 8 and not over 10 % below `channels`."""
    rounded = max(DIVISOR, int(channels + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * channels else rounded


def scale(
    architecture: Architecture,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    resolution: int | None = None,
    stem: bool = True,
    head: bool = True,
    end_stages: bool = True,
    depth_rounding: Callable[[float], int] = math.ceil,
) -> Architecture:
    """The network with wider, deeper stages on another input.

    Args:
        architecture: the network that has width and depth 1.
        width: factor of every block's channels, rounded to multiples of 8. Sizes that are ratios
            of a block's input stay these ratios; other squeezes follow the expansion.
        depth: factor of the blocks of a stage: its last block is repeated, or its last blocks that
            keep the shape are left away.
        resolution: height and width of the input in px; by default as it was.
        stem: whether the stem is scaled in width.
        head: whether the convolutions of the head are scaled in width.
        end_stages: whether the first and the last stage are scaled in depth.
        depth_rounding: of the scaled number of blocks; up, as in EfficientNet's code.

    Raises:
        InputError: a factor is not positive, is over 10,000, or makes a block that is not allowed.
    """
    expect(
        0 < width <= _LARGEST_FACTOR and 0 < depth <= _LARGEST_FACTOR,
        f"scale: factors must be positive, at most {_LARGEST_FACTOR:g}, got {width} and {depth}",
    )
    first = _widened(architecture.stem, width) if stem else architecture.stem
    channels, stages = first.out_channels, []
    for index, stage in enumerate(staged(architecture)):
        inner = 0 < index < len(architecture.stages) - 1
        blocks = []
        for block, before in with_depth(
            stage, depth_rounding(len(stage) * (depth if end_stages or inner else 1.0))
        ):
            blocks.append(follow(_widened(block, width), before, channels))
            channels = blocks[-1].out_channels
        stages.append(tuple(blocks))
    last = _widened(architecture.head, width) if head else architecture.head
    scaled = Architecture(architecture.resolution, first, tuple(stages), last)
    return scaled if resolution is None else scaled.with_resolution(resolution)


def _times(channels: int, factor: float) -> int:
    if factor == 1 or not channels:  # no channels: a head without its 1x1 convolution
        return channels
    rounded = round_channels(channels * factor)
    # rounding must not turn a narrower network into a wider one where channels are no multiple of 8
    return min(rounded, channels) if factor < 1 else max(rounded, channels)


def staged(architecture: Architecture) -> list[list[tuple[Block, int]]]:
    """Blocks of every stage, each with the channels of its input."""
    stages: list[list[tuple[Block, int]]] = [[] for _ in architecture.stages]
    for part in list(architecture.parts())[1:-1]:
        stages[part.stage].append((part.block, part.in_channels))
    return stages


def with_depth(stage: list[tuple[Block, int]], count: int) -> list[tuple[Block, int]]:
    """A stage of `staged` with so many blocks: its last repeated, or its last ones left away.

    No fewer are left than change the shape.
    """
    kept = list(stage)
    while len(kept) > max(1, count) and keeps_shape(*kept[-1]):
        kept.pop()
    last, before = kept[-1]
    if count > len(kept):
        # a block that cannot downsample may have no stride
        still = replace(last, stride=1) if last.downsampling > 1 else last  # type: ignore[call-arg]
        repeated = follow(still, before, last.out_channels)
        kept += [(repeated, last.out_channels)] * (count - len(kept))
    return kept


def keeps_shape(block: Block, in_channels: int) -> bool:
    """Whether a block's output has the shape of its input: what a residual needs."""
    return block.downsampling == 1 and block.out_channels == in_channels


def _widened(block: B, width: float) -> B:
    """The block with its output `width` times as wide."""
    sizes = {
        item.name: _times(getattr(block, item.name), width)
        for item in fields(block)
        if item.metadata.get("token") == "c"
    }
    return replace(block, **sizes)


def follow(block: Block, before: int, now: int) -> Block:
    """The block after `now` channels in place of `before`: its expansion and squeeze follow."""
    sizes: dict[str, int] = {}
    factor = now / before
    for item in fields(block):
        value, meta = getattr(block, item.name), item.metadata
        if "steps" not in meta or not value:
            continue
        if value / before in meta["steps"]:
            sizes[item.name] = max(1, int(value / before * now))
        else:
            sizes[item.name] = _times(value, factor)
        if meta["token"] == "x":
            factor = sizes[item.name] / value  # a squeeze stands behind the expansion
    return replace(block, **sizes)
