"""Blocks that may stand at each place of a space's networks, as far as they differ in shape.

A tensor is largest where the channels are, so of widths only the largest counts, and of other
numbers the ends: at the lowest a layer may be missing. Of kernels every one counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from palmette.space import SearchSpace
from palmette.space.architecture import IMAGE_CHANNELS, Part
from palmette.space.blocks import Block, Stem
from palmette.space.choices import Choice

Placed = tuple[Block, int]
"""A block and the channels that enter it."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a space's networks: the stem, a block of a stage (both from 1), or the head."""

    section: str
    """As in the space: `stem`, `stage3`, `head`."""
    block: int = 1

    @property
    def name(self) -> str:
        """Such as `stage3.2`; `stem` and `head` have no number."""
        return f"{self.section}.{self.block}" if self.section.startswith("stage") else self.section


def position_of(part: Part, stages: int, block: int) -> Position:
    """Place of an architecture's part, which is block `block` (from 1) of its stage."""
    if part.stage < 0 or part.stage == stages:
        return Position("stem" if part.stage < 0 else "head")
    return Position(f"stage{part.stage + 1}", block)


def positions(space: SearchSpace) -> list[Position]:
    """Every place, in the order of a forward pass; stages at their greatest depth."""
    found = [Position("stem")]
    for stage in range(1, space.depth + 1):
        section = f"stage{stage}"
        deepest = max(int(choice) for choice in space.sections[section]["depth"])
        found += [Position(section, block) for block in range(1, deepest + 1)]
    return [*found, Position("head")]


def blocks_at(space: SearchSpace, position: Position) -> list[Placed]:
    """Blocks that together have every layer of a place at its largest, and every kernel."""
    return _blocks(space)[position]


def _blocks(space: SearchSpace) -> dict[Position, list[Placed]]:
    key = space.id
    if key not in _CACHE:
        if len(_CACHE) >= _CACHED:
            _CACHE.clear()
        _CACHE[key] = _enumerated(space)
    return _CACHE[key]


_CACHED = 8
_CACHE: dict[str, dict[Position, list[Placed]]] = {}


def _enumerated(space: SearchSpace) -> dict[Position, list[Placed]]:
    found: dict[Position, dict[Placed, None]] = {place: {} for place in positions(space)}
    activation = space.sections["network"]["activation"][0]
    widths: set[int] = set()
    for value in _values(space, [("stem", "channels")]):
        channels = int(space.getter(value)("stem", "channels"))
        found[Position("stem")][Stem(3, 2, channels, str(activation)), IMAGE_CHANNELS] = None
        widths.add(channels)
    for stage in range(1, space.depth + 1):
        section, after = f"stage{stage}", set[int]()
        keys = [(section, key) for key in space.sections[section]] + space.network_genes(stage)
        for value in _values(space, keys):
            for before in widths:
                blocks = space.stage_blocks(stage, before, space.getter(value))
                after.add(blocks[-1].out_channels)
                entering = before
                for number, block in enumerate(blocks, 1):
                    found[Position(section, number)][block, entering] = None
                    entering = block.out_channels
        widths = after
    for value in _values(space, [("head", key) for key in space.sections["head"]]):
        block = space.head(space.getter(value))
        found[Position("head")] |= {(block, before): None for before in widths}
    return {place: list(placed) for place, placed in found.items()}


def _values(space: SearchSpace, keys: list[tuple[str, str]]) -> Iterator[dict[str, Choice]]:
    """Combinations of some keys. Blocks of a shallower stage are the first of the deepest one."""
    names = [f"{section}.{key}" for section, key in keys]
    choices = [_counting(key, space.sections[section][key]) for section, key in keys]
    fixed = {"network.activation": space.sections["network"]["activation"][0]}
    for combination in itertools.product(*choices):
        yield {**fixed, **dict(zip(names, combination, strict=True))}


def _counting(key: str, given: tuple[Choice, ...]) -> tuple[Choice, ...]:
    if key in ("activation", "resolution"):
        return given[:1]
    if key in ("depth", "channels"):
        return (max(given, key=float),)
    if "kernel" in key or isinstance(given[0], str):
        return given
    return tuple(dict.fromkeys((min(given, key=float), max(given, key=float))))
