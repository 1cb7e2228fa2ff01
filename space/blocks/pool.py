"""Blocks of Tiny YOLO's Darknet features."""

from __future__ import annotations

from palmette.space.blocks.base import Block

BLOCKS: tuple[type[Block], ...] = ()
