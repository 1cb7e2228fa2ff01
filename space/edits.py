"""One choice of a network changed, in the words of search spaces: `stage4.kernel=5`.

Given the space that a network is of, a change is the network that the space decodes, whatever the
gene and the choice. The same words change any architecture, but not all of a space can be read off
one network: see `edit` for what is then taken for granted. Whatever follows a changed width follows
it, so ratios stay ratios; a residual between widths that are no longer equal falls away.

    network.resolution=192   network.width=0.75   network.activation=relu   network.se=0.25
    stage4.kernel=5          stage4.channels=72   stage4.depth=2            stem.channels=24
    stage4.block2.expansion=3                     head.channels=960
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from palmette.space.architecture import IMAGE_CHANNELS, MAX_RESOLUTION, Architecture
from palmette.space.block_edits import (
    BLOCK_KEYS,
    Habits,
    choice_of,
    has_layer,
    read_choice,
    takes_key,
    with_choice,
)
from palmette.space.blocks import Block
from palmette.space.choices import Choice, image_size, resolution, resolution_of
from palmette.space.errors import InputError, expect
from palmette.space.scaling import follow, scale, staged, with_depth
from palmette.space.search_space import SearchSpace
from palmette.space.space_point import choose, decoded, names_key, point_of

_GENE = re.compile(
    r"(?P<part>network|stem|head|stage(?P<stage>[1-9][0-9]?)(?:\.block(?P<block>[1-9][0-9]?))?)"
    r"\.(?P<key>[a-z_]+)=(?P<value>[0-9a-z.]+)"
)
_EXPECTED = (
    "expected 'part.key=value', such as stage4.kernel=5, stage2.block1.expansion=3 or"
    " network.resolution=192"
)
_WHOLE_NETWORK = ("resolution", "width")
_Place = tuple[int, int]
"""Stage and block, counted from 0; the stem is (-1, 0), the head stands behind the stages."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change, and the network with it."""

    text: str
    key: str
    goes: tuple[tuple[str, Choice], ...]
    """What is no longer there, each once: the kind of block as in `KINDS` (blank for stem, head and
    the whole network) and its choice, a ratio for `expansion` and `se`."""
    comes: Choice
    """The choice in place of them."""
    network: Architecture


def edits(network: Architecture, text: str, space: SearchSpace | None = None) -> list[Edit]:
    """Changes one after the other, parted by commas; the last one's network has all of them.

    Args:
        network: any; with `space`, one of the space.
        text: such as `stage4.kernel=5, stage5.kernel=5`; see `edit`.
        space: where given, each change to a key that the space names is made as the space makes it,
            with a choice of its or any other that is allowed. A change that it has no word for, of
            one block or by a factor, leaves the space, and those after it are made as without one.

    Raises:
        InputError: see `edit`, or the network is not in the space.
    """
    pieces = [piece.strip() for piece in text.split(",")]
    alone = len(pieces) > 1 and not all(pieces)
    expect(not alone, f"change '{text.strip()}': a comma with nothing beside it; {_EXPECTED}")
    point = None if space is None else point_of(space, network)
    found: list[Edit] = []
    for piece in pieces:
        now = found[-1].network if found else network
        made, point = _step(now, piece, point)
        found.append(made)
    return found


def edit(network: Architecture, text: str, space: SearchSpace | None = None) -> Edit:
    """The network with one choice changed.

    Without a space, a stage's width is changed alone, even if the stages behind it were to keep it;
    a block at expansion 1 has no first 1x1 unless another of the network does; a gate that comes is
    like the network's first one, else a ReLU and a sigmoid; and a head's first 1x1 stands before
    the pooling. Where some blocks of a part have no window beyond 1x1, or no expansion, `kernel`,
    `first_kernel` and `expansion` change the others alone.

    Args:
        network: any; with `space`, one of the space.
        text: `part.key=value`: of the whole network (`network`), the `stem`, the `head`, `stageN`
            or `stageN.blockM`, counted from 1. Values are those of a space: ratios for `expansion`
            and `se`, a side or `192x256` for `resolution`; `network.width` is a factor.
        space: see `edits`.

    Raises:
        InputError: another form, no such part, nothing there with such a key, no such network, or
            one that is not in the space.
    """
    return _step(network, text.strip(), None if space is None else point_of(space, network))[0]


def _step(
    network: Architecture, text: str, point: SearchSpace | None
) -> tuple[Edit, SearchSpace | None]:
    """A change, and the network as a point of its space; None if that was left."""
    found = _GENE.fullmatch(text)
    if found is None:
        raise InputError(f"change '{text}': {_EXPECTED}")
    try:
        if point is not None and names_key(point, found["part"], found["key"]):
            goes, comes, point = choose(point, found["part"], found["key"], found["value"])
            return Edit(text, found["key"], goes, comes, decoded(point)), point
        return _plain(network, text, found), None
    except InputError as error:
        raise InputError(f"change '{text}': {error}") from None


def _plain(network: Architecture, text: str, found: re.Match[str]) -> Edit:
    """A change without a space."""
    key, value = found["key"], found["value"]
    if key in _WHOLE_NETWORK:
        expect(found["part"] == "network", f"{key} is of the whole network: network.{key}")
        return _of_network(network, text, key, read_choice(value))
    if key == "depth":
        stage = _stage(network, found)
        whole = found["block"] is None
        expect(whole, f"depth is of a whole stage: give stage{stage + 1}.depth")
        return _of_depth(network, text, stage, read_choice(value))
    return _of_blocks(network, text, key, value, _places(network, found))


def _stage(network: Architecture, found: re.Match[str]) -> int:
    """Index of a stage that is named, and exists."""
    expect(found["stage"] is not None, "is of a stage, such as stage2")
    number = int(found["stage"])
    expect(number <= len(network.stages), f"the network has {len(network.stages)} stages")
    return number - 1


def _places(network: Architecture, found: re.Match[str]) -> list[_Place]:
    """Places of what a change is about."""
    last = len(network.stages)
    ends = {"stem": (-1, 0), "head": (last, 0)}
    if found["part"] in ends:
        return [ends[found["part"]]]
    if found["part"] == "network":
        expect(found["key"] != "channels", "give network.width, or one part's channels")
        inner = [(row, column) for row in range(last) for column in range(len(network.stages[row]))]
        return [ends["stem"], *inner, ends["head"]]
    stage = _stage(network, found)
    count = len(network.stages[stage])
    if found["block"] is None:
        return [(stage, column) for column in range(count)]
    expect(int(found["block"]) <= count, f"stage {stage + 1} has {count} blocks")
    expect(found["key"] != "channels", f"a stage has one width: give stage{stage + 1}.channels")
    return [(stage, int(found["block"]) - 1)]


def _of_network(network: Architecture, text: str, key: str, choice: Choice) -> Edit:
    if key == "width":
        expect(type(choice) in (int, float), "width must be a factor, such as 0.75")
        return Edit(text, key, (), choice, scale(network, width=float(choice)))
    rule = resolution(1, MAX_RESOLUTION)
    expect(rule.holds(choice), f"resolution must be {rule.text} got {choice}")
    was, comes = resolution_of(*network.resolution), rule.read(choice)
    made = network.with_resolution(*image_size(choice))
    return Edit(text, key, () if was == comes else (("", was),), comes, made)


def _of_depth(network: Architecture, text: str, stage: int, choice: Choice) -> Edit:
    expect(type(choice) is int and 1 <= choice <= 99, "depth must be an integer from 1 to 99")
    rows = staged(network)
    was, rows[stage] = len(rows[stage]), with_depth(rows[stage], int(choice))
    least = len(rows[stage])
    expect(least == choice, f"the stage's first {least} blocks change the shape, and must stay")
    goes = () if was == choice else (("", was),)
    return Edit(text, "depth", goes, choice, _rebuilt(network, rows))


def _of_blocks(
    network: Architecture, text: str, key: str, value: str, places: list[_Place]
) -> Edit:
    rows, habits = staged(network), Habits.of(network)
    ends: dict[int, Any] = {-1: network.stem, len(rows): network.head}
    goes: dict[tuple[str, Choice], None] = {}
    comes = read_choice(value)
    for stage, column in _takers(network, rows, key, places, habits):
        block, before = _at(network, rows, stage, column)
        kind = habits.kind(block)
        comes = read_choice(value, key, kind)
        changed = with_choice(block, key, value, kind, before, habits)
        if changed != block:
            goes[kind, choice_of(block, key, kind, before)] = None
        if stage in ends:
            ends[stage] = changed
        else:
            rows[stage][column] = changed, before
    made = _rebuilt(replace(network, head=ends[len(rows)]), rows, ends[-1])
    return Edit(text, key, tuple(goes), comes, made)


def _takers(
    network: Architecture, rows: Any, key: str, places: list[_Place], habits: Habits
) -> list[_Place]:
    """Places that a key changes: those that have such a layer, or if none has all that may."""
    blocks = {place: _at(network, rows, *place)[0] for place in places}
    kinds = {place: habits.kind(block) for place, block in blocks.items()}
    takers = [place for place in places if takes_key(blocks[place], key, kinds[place])]
    if not takers:
        known = [
            name
            for name in BLOCK_KEYS
            if any(takes_key(blocks[place], name, kinds[place]) for place in places)
        ]
        there = f"there are {', '.join(known)}" if known else "there is nothing to change"
        raise InputError(f"nothing there has '{key}'; {there}")
    having = [place for place in takers if has_layer(blocks[place], key, kinds[place])]
    return having or takers


def _at(network: Architecture, rows: Any, stage: int, column: int) -> tuple[Block, int]:
    """A block and the channels of its input."""
    if stage < 0:
        return network.stem, IMAGE_CHANNELS
    if stage == len(rows):
        return network.head, network.stages[-1][-1].out_channels
    found: tuple[Block, int] = rows[stage][column]
    return found


def _rebuilt(network: Architecture, rows: Any, stem: Any = None) -> Architecture:
    """The network of other stages, in which each block follows the width before it."""
    stem = network.stem if stem is None else stem
    return replace(network, stem=stem, stages=tuple(_followed(rows, stem.out_channels)))


def _followed(rows: Any, channels: int) -> Iterator[tuple[Block, ...]]:
    for row in rows:
        blocks = []
        for block, before in row:
            blocks.append(block if before == channels else follow(block, before, channels))
            channels = blocks[-1].out_channels
        yield tuple(blocks)
