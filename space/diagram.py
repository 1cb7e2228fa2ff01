"""A network as a block diagram in HTML: a row per part, a box per run of equal blocks.

Boxes are coloured by the kind of block and carry its notation, so nothing is told by colour alone.
The bar under a part is as long as its map is wide: it shows where the network shrinks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from palmette.space.markup import FRAME, QUIET, titled

if TYPE_CHECKING:
    from palmette.space.architecture import Architecture

_HUES = (210, 30, 145, 280, 55, 180, 330, 0)
"""Degrees, given out to the kinds of blocks in the order in which a network has them."""
_RUN = re.compile("_r([0-9]+)(?=_|$)")


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    words: tuple[str, ...]
    """Notation of each run of blocks."""
    shape: str
    """Of what leaves the part; of a head, of what enters it."""
    side: int


def diagram(architecture: Architecture, notes: Mapping[str, str] | None = None) -> str:
    """HTML of a network, without scripts or anything from elsewhere.

    Args:
        architecture: the network.
        notes: words beside parts, such as milliseconds, by "stem", "stage 1", ..., "head".
    """
    notes = notes or {}
    rows = list(_rows(architecture))
    kinds = {_kind(word): None for row in rows for word in row.words}
    hues = {kind: _HUES[index % len(_HUES)] for index, kind in enumerate(kinds)}
    widest = max(row.side for row in rows)
    height, width = architecture.resolution
    head = f'<div style="{QUIET}">image 3 × {height} × {width}</div>'
    body = "".join(_row_html(row, hues, widest, notes.get(row.name, "")) for row in rows)
    return titled(f"Architecture {architecture.id}", head, body)


def _rows(architecture: Architecture) -> Iterator[_Row]:
    first, *pieces = architecture.to_text().split(" | ")
    words = [first.split()[1], *pieces]
    last = len(words) - 1
    shapes: dict[int, tuple[int, int, int]] = {}
    for part in architecture.parts():
        height, width, channels = part.height, part.width, part.in_channels
        if part.stage < len(architecture.stages):
            block = part.block
            channels = block.out_channels
            height, width = block.out_size(height), block.out_size(width)
        shapes[part.stage + 1] = (channels, height, width)
    for index, text in enumerate(words):
        name = "stem" if index == 0 else "head" if index == last else f"stage {index}"
        channels, height, width = shapes[index]
        arrow = "from" if index == last else "→"
        yield _Row(name, tuple(text.split()), f"{arrow} {channels} × {height} × {width}", width)


def _kind(word: str) -> str:
    return word.partition("_")[0]


def _row_html(row: _Row, hues: Mapping[str, int], widest: int, note: str) -> str:
    boxes = "".join(_box(word, hues[_kind(word)]) for word in row.words)
    share = 100 * row.side / widest
    beside = f' <span style="{QUIET}">{escape(note)}</span>' if note else ""
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:4px;margin-top:4px">'
        f'<span style="min-width:4.5em">{escape(row.name)}</span>'
        f'<span style="min-width:9.5em;{QUIET}">{escape(row.shape)}</span>{boxes}{beside}</div>'
        f'<div aria-hidden="true" style="height:2px;margin-top:3px;width:{share:.1f}%;'
        'background:rgba(128,128,128,0.5)"></div>'
    )


def _box(word: str, hue: int) -> str:
    found = _RUN.search(word)
    count = int(found.group(1)) if found else 1
    text = _RUN.sub("", word, count=1)
    times = f" × {count}" if count > 1 else ""
    return (
        f'<code style="{FRAME}border-left:4px solid hsl({hue},60%,50%);padding:1px 6px;'
        f'background:hsla({hue},60%,50%,0.14);color:inherit">{escape(text)}{times}</code>'
    )
