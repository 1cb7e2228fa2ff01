"""Blocks of GhostNet."""

from __future__ import annotations

from palmette.space.blocks.base import Block

BLOCKS: tuple[type[Block], ...] = ()
