"""Modules of the blocks of ResNet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from palmette.space.blocks.base import Block

BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {}
