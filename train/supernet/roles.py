"""Which tensors of a block are shared, by the part that they play in it.

A layer's place in its module moves with the choice: without squeeze-and-excitation the projection
is the second layer of a separable block, with it the third. Its role stays, so weights are kept by
role. Blocks of different shape (separable, expanded, fused, plain) share nothing with each other:
their layers see different things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from palmette.space import SearchSpace
from palmette.space.blocks import (
    Block,
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InvertedResidual,
    Stem,
)
from palmette.space.blocks.universal import UniversalInvertedBottleneck
from palmette.space.errors import expect
from palmette.train.supernet.choices import blocks_at, positions

Roles = Callable[[Any], tuple[str, ...]]


def _gate(block: Any, name: str) -> tuple[str, ...]:
    return (name,) if block.se else ()


def _universal(block: UniversalInvertedBottleneck) -> tuple[str, ...]:
    first = ("first",) if block.first_kernel else ()
    spatial = ("spatial",) if block.kernel else ()
    return (*first, "expand", *spatial, "project")


# the layers of a block in the order of its module
LAYERS: dict[type[Block], Roles] = {
    DepthwiseSeparable: lambda b: ("direct", *_gate(b, "direct_gate"), "direct_project"),
    InvertedResidual: lambda b: ("expand", "spatial", *_gate(b, "gate"), "project"),
    FusedInvertedResidual: lambda b: ("fused", *_gate(b, "fused_gate"), "fused_project"),
    UniversalInvertedBottleneck: _universal,
}
WHOLE: dict[type[Block], str] = {ConvBlock: "plain", Stem: "stem", Head: "head"}
"""Blocks whose layers have names that never change."""

_MERGED = (
    "runs as one convolution that its branches merge into, each by statistics of its own width"
)
_MOVED = "joins groups of channels, which lie elsewhere at another width"
REASONS = {"rv": _MERGED, "one": _MERGED, "ghost": _MOVED, "mix": _MOVED}
"""Why a kind of block does not share."""
ANY_REASON = "has layers whose cut is not defined"


def roles(block: Block, names: Iterable[str]) -> dict[str, str]:
    """Shared name of each tensor of a block's module: `body.0.conv.weight` to `expand.conv.weight`.

    Args:
        block: of a class that shares.
        names: of the module's tensors.
    """
    if type(block) in WHOLE:
        return {name: f"{WHOLE[type(block)]}.{name}" for name in names}
    layers = LAYERS[type(block)](block)
    found = {}
    for name in names:
        place, _, rest = name.removeprefix("body.").partition(".")
        found[name] = f"{layers[int(place)]}.{rest}"
    return found


def expect_shares(space: SearchSpace) -> None:
    """Raise InputError naming the stage unless all blocks of a space can share their weights."""
    for position in positions(space):
        for block, _ in blocks_at(space, position):
            expect_block_shares(block, f"space '{space.name}': {position.section}")


def expect_block_shares(block: Block, where: str) -> None:
    """Raise InputError unless a block can share its weights with its wider and narrower forms."""
    where = f"{where} can't share weights"
    known = ", ".join(kind.kind for kind in LAYERS)
    expect(
        type(block) in LAYERS or type(block) in WHOLE,
        f"{where}: block '{block.kind}' {REASONS.get(block.kind, ANY_REASON)}; a supernet takes"
        f" {known} and {ConvBlock.kind}",
    )
    groups = getattr(block, "groups", 1)
    expect(
        groups == 1,
        f"{where}: block '{block.kind}' has {groups} groups, which other widths cut elsewhere; give"
        " groups = 1",
    )
