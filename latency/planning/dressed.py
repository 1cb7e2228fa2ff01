"""Architectures of a space dressed in the kinds of blocks that it lacks, and ops that no block has.

A predictor of timings of one space alone knows nothing of other kinds of blocks. With these it can
answer for the reference networks too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from palmette.space import Architecture, Block, Op
from palmette.space.blocks import (
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InvertedResidual,
)

_ACTS = ("relu", "relu6", "hswish", "swish")
_GATES = ("sigmoid", "hsigmoid")


def dressed(architecture: Architecture, rng: np.random.Generator) -> Architecture:
    """The same widths, depths and strides with each stage's kind of block drawn anew.

    Stages become inverted residuals, depthwise separable, fused or plain convolutions, with an
    activation, squeeze-and-excitation and kernel of their own; the head may pool first.
    """
    stages, channels = [], architecture.stem.channels
    for stage in architecture.stages:
        kind = int(rng.choice(len(_DRESSES), p=_CHANCES))
        style = {
            "act": str(rng.choice(_ACTS)),
            "se": float(rng.choice([0, 0.25])) if rng.random() < 0.8 else 0.5,
            "gate": str(rng.choice(_GATES)),
            "kernel": int(rng.choice([3, 5])),
            "expansion": int(rng.choice([2, 3, 4, 6])),
        }
        blocks: list[Block] = []
        for block in stage:
            blocks.append(_DRESSES[kind](block, channels, style))
            channels = blocks[-1].out_channels
        stages.append(tuple(blocks))
    stem = replace(architecture.stem, act=str(rng.choice(_ACTS)))
    head = architecture.head
    if isinstance(head, Head) and head.channels and rng.random() < 0.3:
        head = Head(head.channels, str(rng.choice(_ACTS)), head.classes, pool_first=True)
    return Architecture(architecture.resolution, stem, tuple(stages), head)


def _gated(style: dict[str, Any], channels: int) -> dict[str, Any]:
    if not style["se"]:
        return {}
    return {"se": max(1, round(style["se"] * channels)), "gate": style["gate"]}


def _inverted(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return InvertedResidual(
        style["kernel"],
        block.stride,
        style["expansion"] * channels,
        block.channels,
        style["act"],
        **_gated(style, channels),
    )


def _separable(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return DepthwiseSeparable(
        style["kernel"], block.stride, block.channels, style["act"], **_gated(style, channels)
    )


def _fused(block: Any, channels: int, style: dict[str, Any]) -> Block:
    expanded = min(style["expansion"], 4) * channels
    return FusedInvertedResidual(3, block.stride, expanded, block.channels, style["act"])


def _plain(block: Any, channels: int, style: dict[str, Any]) -> Block:
    return ConvBlock(3, block.stride, block.channels, style["act"])


_DRESSES = (_inverted, _separable, _fused, _plain)
_CHANCES = (0.55, 0.2, 0.1, 0.15)


def other_ops(count: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Texts of ops that no block has, at most `count`, all different."""
    drawn = [_OTHERS[at % len(_OTHERS)](*_size(rng)) for at in range(count)]
    return tuple(dict.fromkeys(op.to_text() for op in drawn))


_OTHERS: tuple[Callable[[int, int], Op], ...] = (
    lambda c, px: Op("pool", ((c, 2 * px, 2 * px),), (c, px, px), (3, 3), (2, 2)),
    lambda c, px: Op("concat", ((c, px, px),) * 2, (2 * c, px, px)),
    lambda c, px: Op("permute", ((2, c, px, px),), (c, 2, px, px)),
    lambda c, px: Op("slice", ((2 * c, px, px),), (c, px, px)),
    lambda c, px: Op("add", ((c, px, px),) * 2, (c, px, px), act="relu"),
)
"""Ops that no block has, by channels and side."""


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Channels and side of a map; larger maps have fewer channels."""
    px = int(rng.choice([7, 14, 28, 56]))
    return int(rng.integers(1, 5)) * 8 * (112 // px), px
