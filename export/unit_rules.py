"""Rules of thumb on ops and compute units: which op may leave the Neural Engine, or be slow there.

The rules are data (`data/unit_rules.toml`), each with its source; this file reads and evaluates
them. Apple keeps no list of what runs where. A rule is a prior for a warning, never a fact.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.space.blocks import ACTIVATIONS
from palmette.space.errors import InputError, expect
from palmette.space.ops import KINDS, OpTable

FORMAT = "palmette/unit-rules@1"
LEVELS = ("refused", "risk", "slow")
"""From the worst on: the unit refuses the op, the op may leave the unit, the op is slow on it."""

Mask = NDArray[np.bool_]
Values = NDArray[Any]


class HasUnit(Protocol):
    """What is asked of a target, such as `palmette.latency.Target`."""

    @property
    def device(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def runtime(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Era:
    """Where an op would run: unit, system and chip."""

    unit: str
    ios: int
    """Major version of iOS; 0 if the runtime is not Core ML, and no rule of a unit holds."""
    chip: str
    """Apple's name; blank if the device is not known, and no rule of a chip holds."""

    @classmethod
    def of(cls, target: HasUnit) -> Era:
        """Era of a target."""
        found = re.fullmatch("coreml-ios([0-9]{1,3})", target.runtime)
        chips = {device: chip for chip, devices in _data()["chips"].items() for device in devices}
        return cls(target.unit, int(found.group(1)) if found else 0, chips.get(target.device, ""))


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a column of ops with a number, such as `kernel_width > 13`."""

    column: str
    operator: str
    number: int

    @classmethod
    def from_text(cls, text: str) -> Condition:
        """Condition from its text; raises InputError with what is allowed."""
        column, operator, number = (*text.split(), "", "", "")[:3]
        expect(
            column in COLUMNS and operator in OPERATORS and number.isdigit(),
            f"condition '{text}': must be a column ({', '.join(COLUMNS)}), an operator"
            f" ({', '.join(OPERATORS)}) and a number",
        )
        return cls(column, operator, int(number))

    def holds(self, ops: OpTable) -> Mask:
        """Mask of the ops for which it holds, shape (ops,)."""
        return OPERATORS[self.operator](COLUMNS[self.column](ops), self.number)


@dataclass(frozen=True, slots=True)
class Rule:
    """An expectation about ops on a unit; the keys are those of `data/unit_rules.toml`."""

    name: str
    level: str
    why: str
    source: str
    replacement: str
    units: tuple[str, ...]
    ios: tuple[int, int] = (0, 0)
    chips: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    when: tuple[Condition, ...] = ()
    swap: Mapping[str, Any] = field(default_factory=dict)
    swap_op: Mapping[str, Any] = field(default_factory=dict)
    shown_by: str = ""

    def speaks_of(self, era: Era) -> bool:
        """Whether the source speaks of a unit, system and chip."""
        return (
            era.unit in self.units
            and in_systems(self.ios, era.ios)
            and (not self.chips or era.chip in self.chips)
        )

    def holds(self, ops: OpTable) -> Mask:
        """Mask of the ops that it is about, shape (ops,)."""
        mask = np.ones(len(ops), dtype=np.bool_)
        if self.kinds:
            mask &= ops.is_kind(*self.kinds)
        if self.acts:
            mask &= ops.has_act(*self.acts)
        for condition in self.when:
            mask &= condition.holds(ops)
        return mask


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a format lacks, or that its converter does; keys as in the file."""

    name: str
    formats: tuple[str, ...]
    why: str
    remedy: str
    fatal: bool
    """Whether there is no package at all."""
    ios: tuple[int, int] = (0, 0)
    kinds: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    """Classes of torch modules."""


def in_systems(systems: tuple[int, int], ios: int) -> bool:
    """Whether a system is in a range of systems, whose last is 0 where there is no end."""
    first, last = systems
    return ios > 0 and first <= ios and (last == 0 or ios <= last)


def _smooth(values: Values, largest: int) -> Mask:
    """Whether a prime factor of a value is beyond `largest`."""
    rest = np.array(values, dtype=np.int64)
    for factor in range(2, largest + 1):
        while bool((divisible := rest % factor == 0).any()):
            rest = np.where(divisible, rest // factor, rest)
    return rest > 1


OPERATORS: dict[str, Callable[[Values, int], Mask]] = {
    ">": lambda values, number: values > number,
    ">=": lambda values, number: values >= number,
    "=": lambda values, number: values == number,
    "not-multiple": lambda values, number: values % number != 0,
    "factors-beyond": _smooth,
}
"""Comparisons by their names in rules."""

COLUMNS: dict[str, Callable[[OpTable], Values]] = {
    **{
        name: lambda ops, name=name: getattr(ops, name)  # type: ignore[misc]
        for name in (
            "kernel",
            "kernel_width",
            "stride",
            "dilation",
            "rank",
            "inputs",
            "broadcast",
            "out_channels",
            "out_height",
            "out_width",
        )
    },
    "side": lambda ops: np.maximum(ops.out_height, ops.out_width),
    "elements": lambda ops: np.maximum(ops.in_elements, ops.out_elements),
    # of height and width alike
    "scale": lambda ops: np.sqrt(ops.out_height * ops.out_width / ops.in_area),
}
"""What a condition may look at: columns of an `OpTable`, and what follows from them."""

_LISTS = ("units", "ios", "chips", "kinds", "acts", "formats", "modules")
_KNOWN = {"level": LEVELS, "units": ("cpu", "gpu", "ane"), "kinds": KINDS, "acts": ACTIVATIONS}


def rule_from(row: Mapping[str, Any], where: str) -> Rule:
    """Rule from the plain values of a table.

    Raises:
        InputError: an unknown key, level, unit, kind or column; the message names row and rule.
    """
    row = dict(row)
    name = f"{where}, rule '{row.get('name')}'"
    try:
        row["when"] = tuple(Condition.from_text(text) for text in row.get("when", ()))
        rule = Rule(**_listed(row))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except TypeError as error:
        raise InputError(f"{name}: {error}; see the keys at the top of the file") from None
    for key, known in _KNOWN.items():
        found = row.get(key, ())
        for value in [found] if isinstance(found, str) else found:
            expect(value in known, f"{name}: {key} '{value}' is none of {', '.join(known)}")
    return rule


def rules_for(era: Era) -> tuple[Rule, ...]:
    """The shipped rules that speak of an era, the worst level first."""
    found = [rule for rule in all_rules() if rule.speaks_of(era)]
    return tuple(sorted(found, key=lambda rule: LEVELS.index(rule.level)))


def count_levels(ops: OpTable, era: Era) -> NDArray[np.float64]:
    """For each op 1 in the column of the worst level that holds: (ops, `LEVELS`)."""
    counts = np.zeros((len(ops), len(LEVELS)))
    for rule in rules_for(era):
        free = rule.holds(ops) & (counts.sum(axis=1) == 0)
        counts[free, LEVELS.index(rule.level)] = 1
    return counts


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """Every shipped rule, as they stand in the file."""
    return tuple(rule_from(row, "unit_rules.toml") for row in _data()["rules"])


@functools.cache
def all_gaps() -> tuple[Gap, ...]:
    """Every shipped gap of a format."""
    rows: Sequence[Mapping[str, Any]] = _data()["gaps"]
    return tuple(Gap(**_listed(row)) for row in rows)


def _listed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if key in _LISTS else value for key, value in row.items()}


@functools.cache
def _data() -> dict[str, Any]:
    text = (files("palmette.export") / "data" / "unit_rules.toml").read_text("utf-8")
    data = tomllib.loads(text)
    expect(data.get("format") == FORMAT, f"unit_rules.toml: 'format' must be '{FORMAT}'")
    return data
