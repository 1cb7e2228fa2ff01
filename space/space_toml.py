"""TOML text of a search space: read with care, key by key and then together.

What is checked together makes sure that every code is a valid architecture and that no two codes
are the same one.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterator
from typing import Any

from palmette.space.blocks import ACTIVATIONS, GATES, MAX_CHANNELS, Block
from palmette.space.choices import (
    YES_OR_NO,
    Choice,
    Rule,
    image_size,
    one_of,
    ratio,
    resolution,
    whole,
)
from palmette.space.errors import InputError, expect
from palmette.space.stage_blocks import DEFAULTS, KEYS, KINDS, Kind, kinds_of, takes

FORMAT = "palmette/space@1"
STEM_STRIDE = 2
Sections = dict[str, dict[str, tuple[Choice, ...]]]

_RULES: dict[str, dict[str, Rule]] = {
    "network": {
        "resolution": resolution(32, 4096),
        "activation": one_of(ACTIVATIONS),
        "se": ratio(0, 1),
        "se_act": one_of(ACTIVATIONS),
        "gate": one_of(GATES),
    },
    "stem": {"channels": whole(8, 1024)},
    "stages": {
        "block": one_of(tuple(KINDS)),
        "stride": whole(1, 2),
        "channels": whole(4, 4096),
        "activation": one_of(ACTIVATIONS),
        "depth": whole(1, 64),
    },
    "head": {
        "channels": whole(0, 16_384),
        "classes": whole(1, MAX_CHANNELS),
        "pool_first": YES_OR_NO,
    },
}
"""Section -> key -> rule; the other keys of a stage belong to its kind of block."""
STAGE_KEYS = (
    "block",
    "stride",
    "channels",
    "kernel",
    "first_kernel",
    "expansion",
    "depth",
    "se",
    "groups",
    "branches",
    "activation",
)
"""In the order of a stage's genes."""
_DEFAULTS: dict[str, dict[str, Choice]] = {
    "network": {"se": 0.0, "se_act": "relu", "gate": "sigmoid"},
    "head": {"classes": 1000},
}
_OPTIONAL = {
    "stages": ("block", "channels", "activation", "se", *DEFAULTS),
    "head": ("pool_first",),
}
"""Keys that may be absent: a stage then follows the network's, or keeps the width before it."""
_FIXED = ("stride", "se_act", "gate", "classes", "pool_first")
"""Keys with one value, never a list."""


def read_toml(text: str, where: str) -> tuple[Sections, str]:
    """Sections and description of a space.

    Raises:
        InputError: not TOML, another format version, an unknown or missing key, a wrong type, a
            value out of range, a choice given twice, or values that do not go together.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number or a nesting without end
        raise InputError(f"{where}: not valid TOML ({error})") from None
    version, description = data.pop("format", None), data.pop("description", "")
    expect(version == FORMAT, f"{where}: format must be '{FORMAT}', got {version!r}")
    expect(isinstance(description, str), f"{where}: description must be text, got {description!r}")
    stages = data.pop("stages", None)
    expect(
        isinstance(stages, list) and len(stages) > 0,
        f"{where}: at least one [[stages]] table is needed",
    )
    for key in data:
        expect(
            key in ("network", "stem", "head"),
            f"{where}: unknown key or table {key!r}; known: format, description, network, stem,"
            " stages, head",
        )
    tables = {**data, **{f"stage{i + 1}": stage for i, stage in enumerate(stages)}}
    sections = {}
    for section in ("network", "stem", *(f"stage{i + 1}" for i in range(len(stages))), "head"):
        expect(section in tables, f"{where}: table [{section}] is missing")
        sections[section] = _section(section, tables[section], where)
    _check_together(sections, where)
    return sections, description


def check_point(sections: Sections, where: str) -> None:
    """Check sections of one choice each as the text of such a space would be.

    Raises:
        InputError: see `read_toml`; keys that the chosen kind of block does not take are passed by.
    """
    read = {}
    for name, table in sections.items():
        (kind,) = kinds_of(table)
        taken = {
            key: choices[0]
            for key, choices in table.items()
            if key not in KEYS or name == "network" or key in KINDS[kind].keys
        }
        read[name] = _section(name, taken, where)
    _check_together(read, where)


# One section


def _section(section: str, table: Any, where: str) -> dict[str, tuple[Choice, ...]]:
    expect(isinstance(table, dict), f"{where}: [{section}] must be a table")
    family = "stages" if section.startswith("stage") else section
    rules = _RULES[family]
    known = STAGE_KEYS if family == "stages" else tuple(rules)
    for key in table:
        expect(key in known, f"{where}: [{section}] unknown key '{key}'; known: {', '.join(known)}")
    values = {}
    for key in known:
        value = table.get(key, _DEFAULTS.get(family, {}).get(key))
        if value is None and (key not in rules or key in _OPTIONAL.get(family, ())):
            continue
        expect(value is not None, f"{where}: [{section}] key '{key}' is missing")
        values[key] = _choices(f"{where}: [{section}] {key}", value, rules.get(key), key in _FIXED)
    if family == "stages":
        _check_kinds(values, f"{where}: [{section}]", "block" in table)
    return values


def _choices(place: str, value: Any, rule: Rule | None, fixed: bool) -> tuple[Choice, ...]:
    choices = tuple(value) if isinstance(value, list) else (value,)
    expect(len(choices) > 0, f"{place}: the list of choices is empty")
    expect(len(choices) == 1 or not fixed, f"{place}: takes one value, got {value}")
    if rule is not None:
        for choice in choices:
            _check(place, choice, rule)
        choices = tuple(rule.read(choice) for choice in choices)
    _check_once(place, choices)
    return choices


def _check(place: str, choice: Any, rule: Rule) -> None:
    expect(rule.holds(choice), f"{place}: must be {rule.text} got {choice!r}")


def _check_once(place: str, choices: tuple[Any, ...]) -> None:
    alike = any(one == other for one, other in itertools.combinations(choices, 2))
    expect(not alike, f"{place}: a choice is given twice in {list(choices)}")


def _check_kinds(table: dict[str, tuple[Choice, ...]], place: str, named: bool) -> None:
    """Keys of a stage against what its kinds of blocks take."""
    kinds = kinds_of(table)
    blocks = "block = " + ", ".join(f"'{kind}'" for kind in kinds)
    for one, other in itertools.combinations(kinds, 2):
        expect(
            not set(KINDS[one].blocks) & set(KINDS[other].blocks),
            f"{place} block: '{one}' and '{other}' make the same blocks; keep one of them",
        )
    for key in KEYS:
        takers = [kind for kind in kinds if key in KINDS[kind].keys]
        if key not in table:
            missing = bool(takers) and key not in _OPTIONAL["stages"]
            expect(not missing, f"{place} key '{key}' is missing ({blocks})")
            continue
        others = ", ".join(f"'{name}'" for name, kind in KINDS.items() if key in kind.keys)
        expect(
            bool(takers),
            f"{place} {key}: no block of the stage takes it ({blocks}); leave it away, or name one"
            f" of {others}",
        )
        expect(
            len(takers) == len(kinds) or len(table[key]) == 1,
            f"{place} {key} varies ({list(table[key])}), but of the stage's blocks ({blocks}) only"
            f" {', '.join(takers)} take it; give it one value, or leave the other blocks away",
        )
        for kind in takers:
            rule = KINDS[kind].keys[key]
            label = f"{place} {key}" + (f" of block '{kind}'" if named else "")
            for choice in table[key]:
                _check(label, choice, rule.rule)
            expect(
                len(table[key]) == 1 or not rule.fixed,
                f"{label}: takes one value, got {list(table[key])}",
            )


# Sections together


def widths_before(sections: Sections, section: str) -> tuple[str, str]:
    """Section and key of the width that enters a stage, or the head."""
    names = [name for name in sections if name not in ("network", "head")]
    end = names.index(section) if section in names else len(names)
    source = next(name for name in reversed(names[:end]) if "channels" in sections[name])
    return source, "channels"


def _check_together(sections: Sections, where: str) -> None:
    stages = [name for name in sections if name.startswith("stage")]
    followers = followers_of(sections)
    shared = sections["network"]["se"]
    expect(
        bool(followers) or len(shared) == 1,
        f"{where}: [network] se varies, but no stage follows it: each has its own se, or a block"
        " without squeeze-and-excitation; give one value, or leave a stage's se away",
    )
    for stage in stages:
        table, place = sections[stage], f"{where}: [{stage}]"
        source, key = widths_before(sections, stage)
        before = {int(width) for width in sections[source][key]}
        for kind in kinds_of(table):
            for rule in KINDS[kind].rules:
                wrong = rule(table, before)
                expect(not wrong, f"{place} {wrong}")
        # `encode` reads the network's ratio off the first stage that follows it
        ratios = {**table, "se": shared} if followers[:1] == [stage] else table
        _check_distinct(ratios, before, place)
        _check_possible(sections, stage, before, place)
    _check_resolution(sections, stages, where)


def followers_of(sections: Sections) -> list[str]:
    """Stages whose squeeze-and-excitation is the network's, whatever their block."""
    return [
        name
        for name, table in sections.items()
        if name.startswith("stage") and "se" not in table and takes(table, "se")
    ]


def _check_distinct(table: dict[str, tuple[Choice, ...]], before: set[int], place: str) -> None:
    for kind, in_channels in itertools.product(kinds_of(table), sorted(before)):
        for name, key in KINDS[kind].keys.items():
            choices = list(table.get(name, ()))
            counts = [key.made(choice, in_channels) for choice in choices]
            expect(
                len(set(counts)) == len(counts),
                f"{place} {name}: {choices} of {in_channels} input channels are"
                f" {counts}; leave out the choices that come to the same",
            )


def _check_possible(sections: Sections, stage: str, before: set[int], place: str) -> None:
    """Every block that the stage may have, first and repeated, is one that is allowed."""
    table = sections[stage]
    for name in kinds_of(table):
        for values in _sizes(sections, table, KINDS[name]):
            for in_channels in sorted(before):
                chosen = {"channels": in_channels, **values}
                # a second block follows the first one's width
                deep = max(int(depth) for depth in table["depth"]) > 1
                for width in {in_channels, int(chosen["channels"])} if deep else {in_channels}:
                    _check_block(KINDS[name], chosen, width, f"{place} block '{name}'")


def _sizes(
    sections: Sections, table: dict[str, tuple[Choice, ...]], kind: Kind
) -> Iterator[dict[str, Choice]]:
    """Values of a stage that decide, together, whether a block is possible."""
    network = sections["network"]
    choices: dict[str, tuple[Choice, ...]] = {}
    for name, key in kind.keys.items():
        inherited = network["se"] if name == "se" else (DEFAULTS.get(name, 0),)
        choices[name] = table.get(name, inherited)
        if not key.sizes:
            choices[name] = choices[name][-1:]
    if "channels" in table:
        choices["channels"] = table["channels"]
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True)) | {
            "activation": network["activation"][0],
            "se_act": network["se_act"][0],
            "gate": network["gate"][0],
        }


def _check_block(kind: Kind, values: dict[str, Choice], in_channels: int, place: str) -> None:
    try:
        block: Block = kind.make(values.__getitem__, 1, in_channels)
        block.check_input(in_channels)
    except InputError as error:
        shown = ("channels", *(name for name, key in kind.keys.items() if key.sizes))
        chosen = ", ".join(f"{name} = {values[name]}" for name in shown)
        raise InputError(
            f"{place} after {in_channels} channels ({chosen}): {error}; change one of these values"
        ) from None


def _check_resolution(sections: Sections, stages: list[str], where: str) -> None:
    total = STEM_STRIDE * math.prod(int(sections[stage]["stride"][0]) for stage in stages)
    smallest = min(min(image_size(choice)) for choice in sections["network"]["resolution"])
    # halves are rounded up, and one value cannot be halved: see `Block.least_size`
    least = total // 2 + 1
    expect(
        smallest >= least,
        f"{where}: [network] resolution: {smallest} px are too few for the strides of stem and"
        f" stages, which divide them by {total}; give {least} px or more, or fewer stages of"
        " stride 2",
    )
