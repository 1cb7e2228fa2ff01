"""Blocks of MobileNetV4 of convolutions."""

from __future__ import annotations

from palmette.space.blocks.base import Block

BLOCKS: tuple[type[Block], ...] = ()
