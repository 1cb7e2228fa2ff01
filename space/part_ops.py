"""Ops of the parts of an architecture, each traced once.

Networks that differ in one block share all others, so that looking at hundreds of them costs a few
traces. Together they are the whole network's trace wherever nothing is fused across two parts and
no part reads more than the one before; `adds_up` tells.
"""

from __future__ import annotations

import functools

from palmette.space.architecture import Architecture, Part
from palmette.space.blocks import Block, Head
from palmette.space.errors import InputError
from palmette.space.ops import Op


def part_ops(part: Part) -> tuple[tuple[Op, ...], int]:
    """Ops and number of parameters of one part by itself.

    Raises:
        InputError: the part reads more than the one before it.
    """
    return _traced(part.block, part.in_channels, part.height, part.width)


def adds_up(architecture: Architecture) -> bool:
    """Whether the parts have, in their order, the ops and the parameters of the whole network."""
    if not isinstance(architecture.head, Head):  # other heads may read several maps
        return False
    try:
        found = [part_ops(part) for part in architecture.parts()]
    except InputError:
        return False
    ops = tuple(op for own, _ in found for op in own)
    return (ops, sum(count for _, count in found)) == (architecture.ops(), architecture.params())


@functools.lru_cache(maxsize=65_536)
def _traced(block: Block, in_channels: int, height: int, width: int) -> tuple[tuple[Op, ...], int]:
    import torch  # slow to import

    from palmette.space.modules import build_part
    from palmette.space.modules.reparameterise import reparameterise
    from palmette.space.trace import trace_ops

    with torch.device("meta"):
        module = reparameterise(build_part(block, in_channels).eval())
    ops = trace_ops(module, (in_channels, height, width))
    return ops, sum(p.numel() for p in module.parameters())
