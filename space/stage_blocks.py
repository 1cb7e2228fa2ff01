"""Kinds of blocks that a stage of a search space may name: one table, `KINDS`.

A row says which keys of the stage a kind takes, into which field of the block each goes and what a
choice comes to there. Blocks are made by this table and read back by it, so that decoding and
encoding cannot differ.

All blocks of a stage are made of the same choices. The first has the stage's stride and the width
before it; each further one has stride 1 and follows the stage's own width. So a family whose blocks
alternate within a stage (RepViT's gates) or whose first block differs (FBNet, MobileNetV4) is laid
out as several stages, those behind the first without `channels`, which keep the width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from palmette.space.blocks import (
    MAX_KERNEL,
    Block,
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    InvertedResidual,
)
from palmette.space.blocks.ghost import GhostBottleneck
from palmette.space.blocks.mix import MixedInvertedResidual
from palmette.space.blocks.mobileone import MAX_BRANCHES, MobileOneBlock
from palmette.space.blocks.numbers import Numbers
from palmette.space.blocks.repvit import RepViTBlock
from palmette.space.blocks.universal import UniversalInvertedBottleneck
from palmette.space.choices import Choice, Rule, Table, odd, ratio, whole

DEFAULT_KIND = "ir"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a stage, as a kind of block takes it."""

    field: str
    """Of the block."""
    rule: Rule
    made: Callable[[Any, int], Any] = lambda choice, _: choice
    """What a choice comes to after some channels: a ratio becomes a count."""
    default: Choice | None = None
    """Where the stage has no such key; None if it must."""
    fixed: bool = False
    """One value, never a list."""
    sizes: bool = True
    """Whether it decides, with others, if a block is possible at all."""
    window: bool = False


StageRule = Callable[[Table, set[int]], str]
"""What is wrong with a stage (empty: nothing), given its table and the widths before it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of block as a choice of a stage."""

    block: type[Block]
    keys: Mapping[str, Key]
    unexpanded: type[Block] | None = None
    """What stands for it at expansion 1, where the field leaves the first 1x1 away."""
    rules: tuple[StageRule, ...] = ()
    shows: tuple[str, ...] = ()
    """Ops beyond those of MobileNets that its blocks trace to, by their names in a `Support`."""
    dense: bool = False
    """Whether its kernel is that of a dense convolution, not of a depthwise one."""
    gate_fields: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        known = {item.name for item in fields(self.block)}
        object.__setattr__(
            self, "gate_fields", tuple(name for name in ("se_act", "gate") if name in known)
        )

    @property
    def blocks(self) -> tuple[type[Block], ...]:
        """Every class of block that it makes."""
        return (self.block, self.unexpanded) if self.unexpanded else (self.block,)

    def make(self, get: Callable[[str], Choice], stride: int, in_channels: int) -> Block:
        """Block after some channels; `get` gives the stage's value of a key.

        Raises:
            InputError: no such block is allowed.
        """
        values = {
            key.field: key.made(get(name), in_channels) for name, key in self.keys.items()
        } | {"stride": stride, "channels": get("channels"), "act": get("activation")}
        if values.get("se"):
            values |= {name: get(name) for name in self.gate_fields}
        if self.unexpanded and get("expansion") == 1:
            del values["expanded"]
            return self.unexpanded(**values)
        return self.block(**values)

    def seen(self, name: str, block: Block, in_channels: int) -> Any:
        """What a key's choice came to in a block; None if the block has no such field."""
        missing = in_channels if name == "expansion" and self.unexpanded else None
        return getattr(block, self.keys[name].field, missing)


def _expanded(expansion: float, in_channels: int) -> int:
    return round(expansion * in_channels)


def _squeezed(se: float, in_channels: int) -> int:
    return max(1, round(se * in_channels)) if se else 0


def _squeezed_by_8(se: float, in_channels: int) -> int:
    """Nearest multiple of 8 that is at least 8, as RepViT's authors round."""
    return max(8, int(se * in_channels + 4) // 8 * 8) if se else 0


def _windows(kernel: int | str, _: int) -> Numbers:
    return Numbers(int(window) for window in str(kernel).split("."))


_MIXES: Any = next(
    item.metadata["names"] for item in fields(MixedInvertedResidual) if item.name == "kernels"
)


def _is_mix(kernel: Any) -> bool:
    # a window of `3.5` without quotes is a number in TOML, and no mix
    text = str(kernel) if type(kernel) in (int, str) else ""
    return text in _MIXES and _windows(text, 0) in _MIXES


_WINDOW = Key("kernel", odd(MAX_KERNEL), sizes=False, window=True)
_EXPANSION = Key("expanded", ratio(1, 16), _expanded)
_SE = Key("se", ratio(0, 1), _squeezed)
_GROUPS = Key("groups", whole(1, 4096), default=1)
_MIX = Rule(f'an odd integer up to {MAX_KERNEL}, or several as text, such as "3.5.7";', _is_mix)
_BOTH_ABSENT = odd(MAX_KERNEL, none=True)


def _uir_strides(table: Table, _: set[int]) -> str:
    kernel, first = list(table["kernel"]), list(table.get("first_kernel", (0,)))
    if table["stride"][0] == 1 or 0 not in kernel or 0 not in first:
        return ""
    return (
        f"kernel {kernel} and first_kernel {first} may both be 0, but stride 2 needs a depthwise"
        " convolution; take the 0 out of one of them"
    )


def _ghost_windows(table: Table, before: set[int]) -> str:
    same = before & set(table.get("channels", before))
    if len(table["kernel"]) == 1 or table["stride"][0] == 2 or not same:
        return ""
    return (
        f"kernel varies ({list(table['kernel'])}), but at stride 1 and an unchanged width"
        f" ({min(same)}) a ghost block does not use it; give one kernel"
    )


_KERNELS: dict[str, Key] = {"kernel": _WINDOW}
_EXPANDING = {**_KERNELS, "expansion": _EXPANSION, "se": _SE}

KINDS: dict[str, Kind] = {
    "ir": Kind(InvertedResidual, {**_EXPANDING, "groups": _GROUPS}, unexpanded=DepthwiseSeparable),
    # FBNet's keeps its first 1x1 at expansion 1
    "fb": Kind(InvertedResidual, {**_EXPANDING, "groups": _GROUPS}),
    "er": Kind(FusedInvertedResidual, {**_EXPANDING, "groups": _GROUPS}, dense=True),
    "cn": Kind(ConvBlock, {**_KERNELS, "groups": _GROUPS}, dense=True),
    "uir": Kind(
        UniversalInvertedBottleneck,
        {
            "kernel": Key("kernel", _BOTH_ABSENT, sizes=False, window=True),
            "first_kernel": Key("first_kernel", _BOTH_ABSENT, default=0, sizes=False, window=True),
            "expansion": _EXPANSION,
        },
        rules=(_uir_strides,),
    ),
    "one": Kind(
        MobileOneBlock,
        {
            **_KERNELS,
            "se": _SE,
            # of the training form alone: nothing that runs on a device depends on it
            "branches": Key("branches", whole(1, MAX_BRANCHES), default=1, fixed=True),
        },
    ),
    "rv": Kind(RepViTBlock, {**_EXPANDING, "se": Key("se", ratio(0, 1), _squeezed_by_8)}),
    "ghost": Kind(GhostBottleneck, _EXPANDING, rules=(_ghost_windows,), shows=("concat",)),
    "mix": Kind(
        MixedInvertedResidual,
        {**_EXPANDING, "kernel": Key("kernels", _MIX, _windows, window=True)},
        shows=("concat", "slice"),
    ),
}
"""Kinds of blocks by the name that a stage's `block` gives."""

KEYS: tuple[str, ...] = tuple(dict.fromkeys(key for kind in KINDS.values() for key in kind.keys))
"""Keys of a stage that belong to its kind of block."""

DEFAULTS: dict[str, Choice] = {
    "block": DEFAULT_KIND,
    **{
        name: key.default
        for kind in KINDS.values()
        for name, key in kind.keys.items()
        if key.default is not None
    },
}
"""Values of the keys that a stage may leave away."""


def kinds_of(table: Table) -> list[str]:
    """Kinds of blocks that a stage may be made of."""
    return [str(kind) for kind in table.get("block", (DEFAULT_KIND,))]


def takes(table: Table, key: str) -> bool:
    """Whether every kind of block of a stage takes a key."""
    return all(key in KINDS[kind].keys for kind in kinds_of(table))
