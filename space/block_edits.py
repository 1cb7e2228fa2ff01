"""One key of a block changed, as the kinds of blocks of search spaces mean it.

`KINDS` says into which field a choice goes. What a space would say beside it, such as the gate of a
squeeze-and-excitation that is switched on, is taken from the network's other blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block, Head
from palmette.space.blocks.numbers import Numbers
from palmette.space.choices import Choice
from palmette.space.errors import expect
from palmette.space.stage_blocks import KEYS, KINDS

_FIELDS = {"activation": "act", "channels": "channels"}
"""Key -> field of any block, stem or head; keys of a kind of block are in `KINDS`."""
BLOCK_KEYS = (*_FIELDS, *KEYS)
"""Every key that a block, stem or head may take."""
_RATIOS = ("expansion", "se")
"""Keys whose choices are ratios to the block's input."""
_GATE_FIELDS = ("se_act", "gate")


@dataclass(frozen=True, slots=True)
class Habits:
    """What a network shows of the choices that its blocks share."""

    act: str
    """Of the stem."""
    gates: Mapping[str, str] = field(default_factory=dict)
    """Fields of the first squeeze-and-excitation; empty if there is none."""
    keeps_expansion: bool = False
    """Whether a first 1x1 stands at expansion 1, as in FBNet."""

    @classmethod
    def of(cls, network: Architecture) -> Habits:
        """Habits of a network."""
        parts = list(network.parts())[1:-1]
        gated = next((one.block for one in parts if getattr(one.block, "se", 0)), None)
        gates = {name: getattr(gated, name) for name in _GATE_FIELDS if hasattr(gated, name)}
        kept = any(
            one.block.kind == "ir" and getattr(one.block, "expanded", 0) == one.in_channels
            for one in parts
        )
        return cls(network.stem.act, gates, kept)

    def kind(self, block: Block) -> str:
        """Row of `KINDS` that makes such a block; blank if none does."""
        if block.kind == "ir" and self.keeps_expansion:
            return "fb"
        if block.kind in KINDS:
            return block.kind
        return next((name for name, kind in KINDS.items() if type(block) in kind.blocks), "")


def takes_key(block: Block, key: str, kind: str) -> bool:
    """Whether a key means something for a block, stem or head."""
    if key in _FIELDS:
        if isinstance(block, Head) and key == "channels":
            return True
        # a head without its 1x1 convolution, or a layer without an activation
        return (
            bool(getattr(block, "channels", 0)) and getattr(block, _FIELDS[key], "none") != "none"
        )
    if not kind or key not in KINDS[kind].keys:
        return False
    # MobileNetV1's separable blocks are no inverted residuals of expansion 1
    stands_for = key == "expansion" and not getattr(block, "point_act", False)
    return hasattr(block, KINDS[kind].keys[key].field) or stands_for


def has_layer(block: Block, key: str, kind: str) -> bool:
    """Whether a block has what a key is about: a window beyond 1x1, an expansion."""
    if key in _FIELDS:
        return True
    row = KINDS[kind].keys[key]
    if row.window:
        windows: int | tuple[int, ...] = getattr(block, row.field)
        return max(windows if isinstance(windows, tuple) else (windows,)) > 1
    return hasattr(block, row.field)


def choice_of(block: Block, key: str, kind: str, in_channels: int) -> Choice:
    """The choice of a space that made a block: of `expansion` and `se` a ratio to its input."""
    if key in _FIELDS:
        found: Choice = getattr(block, _FIELDS[key])
        return found
    seen = KINDS[kind].seen(key, block, in_channels)
    if isinstance(seen, Numbers):
        return str(seen) if len(seen) > 1 else seen[0]
    if key in _RATIOS:
        ratio = round(seen / in_channels, 3)
        return int(ratio) if ratio.is_integer() else ratio
    return int(seen)


def with_choice(
    block: Block, key: str, text: str, kind: str, in_channels: int, habits: Habits
) -> Block:
    """The block with another choice of a key that it takes.

    Raises:
        InputError: the choice is none of the key's, or makes no block.
    """
    choice = read_choice(text, key, kind)
    if isinstance(block, Head) and key == "channels":
        return _head(block, choice, habits)
    if key in _FIELDS:
        return replace(block, **{_FIELDS[key]: choice})
    row = KINDS[kind].keys[key]
    expect(row.rule.holds(choice), f"{key} must be {row.rule.text} got {choice}")
    values: dict[str, Any] = {item.name: getattr(block, item.name) for item in fields(block)}
    values[row.field] = row.made(choice, in_channels)
    made: Any = type(block)
    unexpanded = KINDS[kind].unexpanded
    if key == "expansion" and unexpanded:
        made = unexpanded if choice == 1 else KINDS[kind].block
    if key == "se":
        values |= _gates(block, bool(values[row.field]), habits)
    known = {item.name for item in fields(made)}
    changed: Block = made(**{name: value for name, value in values.items() if name in known})
    return changed


def _head(head: Head, choice: Any, habits: Habits) -> Head:
    """A head with another 1x1 convolution, with its first one, or (0) without."""
    if choice == 0:
        return replace(head, channels=0, act="none", pool_first=False, groups=1)
    return replace(head, channels=choice, act=head.act if head.channels else habits.act)


def _gates(block: Block, gated: bool, habits: Habits) -> dict[str, Any]:
    """Fields of the gate where it comes or goes: a block without one has none of its words."""
    was: int = getattr(block, "se", 0)
    if gated and was:
        return {}
    own = {item.name: item.default for item in fields(block) if item.name in _GATE_FIELDS}
    return own | (dict(habits.gates) if gated else {})


def read_choice(text: str, key: str = "", kind: str = "") -> Choice:
    """A choice from text: the first of integer, number and text that the key's rule allows."""
    read: list[Choice] = []
    for form in (int, float, str):
        try:
            read.append(form(text))
        except ValueError:
            continue
    rule = KINDS[kind].keys[key].rule if kind and key in KINDS[kind].keys else None
    # `3.5` is two windows of a mixed convolution, not a number
    return next((one for one in read if rule is not None and rule.holds(one)), read[0])
