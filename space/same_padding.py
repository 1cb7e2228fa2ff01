"""TensorFlow's padding for a network that was trained under it.

torch pads a convolution alike on both sides; TensorFlow's `same` puts the odd zero of a stride at
the bottom and the right. With the weights of one and the padding of the other, every map is shifted
by a pixel where it is halved. Blocks that know `same` say so in their text and JSON.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block
from palmette.space.errors import expect


def same_padded(architecture: Architecture) -> Architecture:
    """The network with TensorFlow's padding wherever it halves a map.

    Raises:
        InputError: a block with a stride has no such padding; the message names it.
    """
    stages = tuple(
        tuple(_same(block, f"stage {index + 1}") for block in stage)
        for index, stage in enumerate(architecture.stages)
    )
    stem: Any = _same(architecture.stem, "stem")
    return replace(architecture, stem=stem, stages=stages)


def _same(block: Any, where: str) -> Block:
    if block.downsampling == 1:
        return block  # type: ignore[no-any-return]
    expect(
        "same" in {item.name for item in fields(block)},
        f"{where}: a '{block.kind}' block has no TensorFlow padding; only blocks of MobileNets do",
    )
    changed: Block = replace(block, same=True)
    return changed
