"""Blocks: the units that stages are made of, as plain data with a compact text in timm's notation.

A family of blocks is a file; `FAMILIES` lists what each adds. Its modules are in the file of the
same name in `space.modules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from palmette.space.blocks import (
    base,
    blaze,
    condense,
    detection,
    dice,
    ends,
    espnet,
    fire,
    ghost,
    mix,
    mobile,
    mobileone,
    pool,
    repvit,
    residual,
    segmentation,
    shuffle,
    taps,
    universal,
)
from palmette.space.blocks.base import ACTIVATIONS as ACTIVATIONS
from palmette.space.blocks.base import GATES as GATES
from palmette.space.blocks.base import MAX_CHANNELS as MAX_CHANNELS
from palmette.space.blocks.base import MAX_KERNEL as MAX_KERNEL
from palmette.space.blocks.base import Block as Block
from palmette.space.blocks.base import block_to_json as block_to_json
from palmette.space.blocks.base import format_block as format_block
from palmette.space.blocks.ends import Head as Head
from palmette.space.blocks.ends import Stem as Stem
from palmette.space.blocks.heads import TaskHead as TaskHead
from palmette.space.blocks.mobile import ConvBlock as ConvBlock
from palmette.space.blocks.mobile import DepthwiseSeparable as DepthwiseSeparable
from palmette.space.blocks.mobile import FusedInvertedResidual as FusedInvertedResidual
from palmette.space.blocks.mobile import InvertedResidual as InvertedResidual

FAMILIES = (
    mobile,
    ghost,
    mix,
    shuffle,
    fire,
    residual,
    pool,
    universal,
    mobileone,
    repvit,
    blaze,
    condense,
    espnet,
    dice,
)
BLOCKS: dict[str, type[Block]] = {
    block.kind: block for family in FAMILIES for block in family.BLOCKS
}
"""Every block class by the first token of its text."""

TASKS = (ends, taps, detection, segmentation)
HEADS: dict[str, type[TaskHead]] = {head.kind: head for task in TASKS for head in task.HEADS}
"""Every class of heads by the first token of its text."""


def parse_block(
    text: str, in_channels: int, classes: Mapping[str, type[Block]] | None = None
) -> Block:
    """Block from its text, of `BLOCKS` unless other classes are given; see `base.parse_block`."""
    return base.parse_block(text, in_channels, BLOCKS if classes is None else classes)


def block_from_json(
    data: Any, where: str, classes: Mapping[str, type[Block]] | None = None
) -> Block:
    """Block from JSON, of `BLOCKS` unless other classes are given; see `base.block_from_json`."""
    return base.block_from_json(data, where, BLOCKS if classes is None else classes)
