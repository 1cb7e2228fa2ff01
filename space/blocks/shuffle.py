"""Blocks of ShuffleNet v1, v2, v2+."""

from __future__ import annotations

from palmette.space.blocks.base import Block

BLOCKS: tuple[type[Block], ...] = ()
