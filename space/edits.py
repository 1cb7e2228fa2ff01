"""One choice of a network changed, in the words of search spaces: `stage4.kernel=5`.

A search space names its choices `part.key`; the same words here change any architecture, of a space
or not. Whatever follows a changed width follows it, so ratios stay ratios; a residual between
widths that are no longer equal falls away.

    network.resolution=192   network.width=0.75   network.activation=relu   network.se=0.25
    stage4.kernel=5          stage4.channels=72   stage4.depth=2            stem.channels=24
    stage4.block2.expansion=3                     head.channels=960
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from palmette.space.architecture import IMAGE_CHANNELS, MAX_RESOLUTION, Architecture
from palmette.space.blocks import Block
from palmette.space.choices import Choice, image_size, resolution, resolution_of
from palmette.space.errors import InputError, expect
from palmette.space.scaling import follow, scale, staged, with_depth
from palmette.space.stage_blocks import KEYS, KINDS

_GENE = re.compile(
    r"(?P<part>network|stem|head|stage(?P<stage>[1-9][0-9]?)(?:\.block(?P<block>[1-9][0-9]?))?)"
    r"\.(?P<key>[a-z_]+)=(?P<value>[0-9a-z.]+)"
)
_WHOLE_NETWORK = ("resolution", "width")
_FIELDS = {"activation": "act", "channels": "channels"}
"""Key -> field of any block, stem or head; keys of a kind of block are in `KINDS`."""
_Place = tuple[int, int]
"""Stage and block, counted from 0; the stem is (-1, 0), the head stands behind the stages."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change, and the network with it."""

    text: str
    key: str
    choices: tuple[Choice, ...]
    """The values that go and the one that comes, each once."""
    kinds: tuple[str, ...]
    """Of the blocks that it changes, as in `KINDS`."""
    network: Architecture


def edits(network: Architecture, text: str) -> list[Edit]:
    """Changes one after the other, parted by commas; the last one's network has all of them.

    Raises:
        InputError: see `edit`.
    """
    found: list[Edit] = []
    for piece in text.split(","):
        found.append(edit(found[-1].network if found else network, piece))
    return found


def edit(network: Architecture, text: str) -> Edit:
    """The network with one choice changed.

    Args:
        network: any.
        text: `part.key=value`: of the whole network (`network`), the `stem`, the `head`, `stageN`
            or `stageN.blockM`, counted from 1. Values are those of a space: ratios for `expansion`
            and `se`, a side or `192x256` for `resolution`; `network.width` is a factor.

    Raises:
        InputError: another form, no such part, nothing there with such a key, or no such network.
    """
    found = _GENE.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"change '{text.strip()}': expected 'part.key=value', such as stage4.kernel=5,"
            " stage2.block1.expansion=3 or network.resolution=192"
        )
    key, choice = found["key"], _choice(found["value"])
    try:
        if key in _WHOLE_NETWORK:
            expect(found["part"] == "network", f"{key} is of the whole network: network.{key}")
            return _of_network(network, text.strip(), key, choice)
        if key == "depth":
            return _of_depth(network, text.strip(), _stage(network, found), choice)
        return _of_blocks(network, text.strip(), key, choice, _places(network, found))
    except InputError as error:
        raise InputError(f"change '{text.strip()}': {error}") from None


def _choice(text: str) -> Choice:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


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
        return Edit(text, key, (choice,), (), scale(network, width=float(choice)))
    rule = resolution(1, MAX_RESOLUTION)
    expect(rule.holds(choice), f"resolution must be {rule.text} got {choice}")
    made = network.with_resolution(*image_size(choice))
    return Edit(text, key, _once(resolution_of(*network.resolution), choice), (), made)


def _of_depth(network: Architecture, text: str, stage: int, choice: Choice) -> Edit:
    expect(type(choice) is int and 1 <= choice <= 99, "depth must be an integer from 1 to 99")
    rows = staged(network)
    was, rows[stage] = len(rows[stage]), with_depth(rows[stage], int(choice))
    least = len(rows[stage])
    expect(least == choice, f"the stage's first {least} blocks change the shape, and must stay")
    return Edit(text, "depth", _once(was, choice), (), _rebuilt(network, rows))


def _of_blocks(
    network: Architecture, text: str, key: str, choice: Choice, places: list[_Place]
) -> Edit:
    rows, stem, head = staged(network), network.stem, network.head
    was: list[Choice] = []
    kinds: dict[str, None] = {}
    for stage, column in places:
        block, before = _at(network, rows, stage, column)
        name = _field(block, key)
        if not name:
            continue
        was.append(getattr(block, name))
        changed: Any = replace(block, **{name: _made(block, key, choice, before)})
        if stage < 0:
            stem = changed
        elif stage == len(rows):
            head = changed
        else:
            rows[stage][column] = changed, before
            kinds[_kind(block)] = None
    expect(bool(was), f"nothing there has '{key}'; {_known(network, rows, places)}")
    made = _rebuilt(replace(network, head=head), rows, stem)
    return Edit(text, key, _once(*was, choice), tuple(kinds), made)


def _at(network: Architecture, rows: Any, stage: int, column: int) -> tuple[Block, int]:
    """A block and the channels of its input."""
    if stage < 0:
        return network.stem, IMAGE_CHANNELS
    if stage == len(rows):
        return network.head, network.stages[-1][-1].out_channels
    found: tuple[Block, int] = rows[stage][column]
    return found


def _kind(block: Block) -> str:
    """Row of `KINDS` that makes such a block; blank if none does."""
    if block.kind in KINDS:
        return block.kind
    return next((name for name, kind in KINDS.items() if type(block) in kind.blocks), "")


def _field(block: Block, key: str) -> str:
    """Field of a block that a key is about; blank if it has none, or a head lacks the layer."""
    names = {item.name for item in fields(block)}
    if key in _FIELDS:
        name = _FIELDS[key]
        # a head without its 1x1 convolution, or a layer without an activation
        absent = not getattr(block, "channels", 0) or getattr(block, name, "none") == "none"
        return "" if absent else name
    kind = _kind(block)
    if not kind or key not in KINDS[kind].keys:
        return ""
    name = KINDS[kind].keys[key].field
    return name if name in names else ""


def _made(block: Block, key: str, choice: Choice, in_channels: int) -> Any:
    """Value of the field for a choice."""
    if key in _FIELDS:
        return choice
    row = KINDS[_kind(block)].keys[key]
    expect(row.rule.holds(choice), f"{key} must be {row.rule.text} got {choice}")
    return row.made(choice, in_channels)


def _known(network: Architecture, rows: Any, places: list[_Place]) -> str:
    """Keys that do mean something at some places, in words."""
    blocks = [_at(network, rows, *place)[0] for place in places]
    keys = [key for key in (*_FIELDS, *KEYS) if any(_field(block, key) for block in blocks)]
    return f"there are {', '.join(keys)}" if keys else "there is nothing to change"


def _once(*values: Choice) -> tuple[Choice, ...]:
    return tuple(dict.fromkeys(values))


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
