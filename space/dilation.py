"""Strides beyond an output stride made dilation: finer last maps with the same weights.

Chen et al., DeepLab, 2018: a block that would halve the map keeps its size, and what follows reads
it with gaps instead, so that every convolution sees what it saw before.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.blocks import BLOCKS, Block
from palmette.space.blocks.residual import BottleneckResidual
from palmette.space.errors import expect

OUTPUT_STRIDES = (8, 16, 32)
WINDOWS = {"kernel", "first_kernel", "kernels"}
"""Fields of blocks that say how far a convolution reaches."""


def dilated(
    architecture: Architecture, output_stride: int = 16, *, strided_too: bool = False
) -> Architecture:
    """The network with no stride beyond an output stride, and dilation in its place.

    Args:
        architecture: a network; one whose output stride is not larger comes back as it is.
        output_stride: of the last map: 8, 16 or 32.
        strided_too: whether a block that loses its stride is dilated as those behind it are, as
            torchvision has it for MobileNetV3; the authors of DeepLab leave it as it was.

    Raises:
        InputError: another output stride, a head with taps, or a block behind the output stride
            that has a window and cannot be dilated; the message names it.
    """
    expect(
        output_stride in OUTPUT_STRIDES,
        f"dilated: the output stride must be one of 8, 16, 32; got {output_stride}",
    )
    expect(
        not architecture.head.taps,
        f"dilated: a '{architecture.head.kind}' head taps strides; dilate the backbone before",
    )
    stride, rate, stages = architecture.stem.downsampling, 1, []
    channels = architecture.stem.out_channels
    for index, stage in enumerate(architecture.stages):
        blocks: list[Block] = []
        for block in stage:
            factor = 1
            if stride * block.downsampling > output_stride:
                factor = block.downsampling
            stride = stride * block.downsampling // factor
            own = rate * factor if strided_too else rate
            where = f"stage {index + 1}"
            changed = _spread(block, own, where)
            blocks.append(_unstrided(changed, channels, where) if factor > 1 else changed)
            rate, channels = rate * factor, block.out_channels
        stages.append(tuple(blocks))
    return replace(architecture, stages=tuple(stages))


def _spread(block: Any, rate: int, where: str) -> Block:
    """The block with its windows `rate` times as far apart; a window of one value stays."""
    windows = [getattr(block, name) for name in _names(block) & WINDOWS]
    if rate == 1 or all(window in (0, 1) for window in windows):
        return block  # type: ignore[no-any-return]
    _expect_dilatable(block, where)
    changed: Block = replace(block, dilation=rate * block.dilation)
    return changed


def _unstrided(block: Any, in_channels: int, where: str) -> Block:
    """The block without its stride; a residual that it did not have is not added either."""
    _expect_dilatable(block, where)
    same = in_channels == block.out_channels
    expect(
        not (same and isinstance(block, BottleneckResidual)),
        f"{where}: a '{block.kind}' block of stride 2 that keeps its channels would lose its"
        " projection; it cannot be dilated",
    )
    residual = {"skip": False} if same and "skip" in _names(block) else {}
    changed: Block = replace(block, stride=1, **residual)
    return changed


def _expect_dilatable(block: Block, where: str) -> None:
    able = [kind for kind, other in BLOCKS.items() if "dilation" in _names(other)]
    expect(
        block.kind in able,
        f"{where}: a '{block.kind}' block cannot be dilated; those that can are {', '.join(able)}",
    )


def _names(block: Block | type[Block]) -> set[str]:
    return {item.name for item in fields(block)}
