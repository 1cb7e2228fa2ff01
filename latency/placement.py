"""Which op ran where: one form for what Core ML's compute plans say, from wherever they come.

Sources: `placement.csv` of the app (`palmette.latency.suite.results`), the operations of an Xcode
performance report, and the dictionary that coremltools makes of a compute plan. A plan says which
unit an op prefers and what share of the time it is thought to take; neither is measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.latency.quarantine import BadRow
from palmette.latency.suite.results import PLACEMENT_COLUMNS, REQUESTED_UNITS, UNKNOWN
from palmette.latency.tables import read_csv
from palmette.space.errors import InputError, expect

UNITS = ("ane", "gpu", "cpu")
"""Of plans, in the order in which they are printed."""
_NAMES = {"neuralEngine": "ane", "gpu": "gpu", "cpu": "cpu"}
"""Unit as Xcode and coremltools write it -> ours."""
_VERSION = re.compile(r"^ios[0-9]+\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PlacedOp:
    """An op of a compute plan."""

    operator: str
    """Such as `conv`, without the version of its set; blank where the source does not tell."""
    output: str
    preferred: str
    """One of `UNITS`."""
    supported: tuple[str, ...] = ()
    cost: float | None = None
    """Estimated share of the time."""


@dataclass(frozen=True, slots=True)
class RanOn:
    """How many ops prefer each unit, and what share of the work that is."""

    counts: Mapping[str, int]
    shares: Mapping[str, float]

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> RanOn:
        """From numbers alone: the share is that of the ops; raises InputError if there are none."""
        total = sum(counts.values())
        expect(total > 0, "a placement needs at least one op")
        return cls(counts, {unit: count / total for unit, count in counts.items()})

    @property
    def unit(self) -> str:
        """The unit with the largest share."""
        return max(UNITS, key=lambda unit: self.shares.get(unit, 0.0))

    @property
    def text(self) -> str:
        """Such as `ane 52, cpu 3`."""
        return ", ".join(f"{unit} {self.counts[unit]}" for unit in UNITS if self.counts.get(unit))


@dataclass(frozen=True, slots=True)
class Placement:
    """Ops of one package with one choice of units, in the order of the program."""

    ops: tuple[PlacedOp, ...]

    @property
    def ran_on(self) -> RanOn:
        """By unit: numbers of ops, and shares by estimated cost if every op has one."""
        counts = {unit: sum(op.preferred == unit for op in self.ops) for unit in UNITS}
        costs = [op.cost for op in self.ops if op.cost is not None]
        if len(costs) < len(self.ops) or sum(costs) <= 0:
            return RanOn.from_counts(counts)
        sums = {unit: 0.0 for unit in UNITS}
        for op in self.ops:
            sums[op.preferred] += op.cost or 0.0
        return RanOn(counts, {unit: share / sum(costs) for unit, share in sums.items()})


Key = tuple[str, str]
"""Package and requested units."""


def read_placements(path: Path) -> tuple[dict[Key, Placement], list[BadRow]]:
    """Placements of a `placement.csv`, and the rows of it that were put aside.

    A package's plan may stand there several times; then it must be the same. Ops on a unit that
    the app has no name for are passed over.

    Raises:
        InputError: unreadable, or a column missing.
    """
    table = read_csv(path)
    missing = [name for name in PLACEMENT_COLUMNS if name not in table]
    expect(not missing, f"{path}: column '{', '.join(missing)}' is missing")
    found: dict[Key, dict[int, PlacedOp]] = {}
    bad = []
    for row, cells in zip(table.index.tolist(), table.to_dict("records"), strict=True):
        text = {str(name): cell if isinstance(cell, str) else "" for name, cell in cells.items()}
        if text["preferred"] == UNKNOWN:
            continue
        try:
            place, op = _row(text)
            known = found.setdefault((text["file"], text["units"]), {}).setdefault(place, op)
            expect(known == op, f"place {place} of {text['file']} was another op before")
        except InputError as error:
            bad.append(BadRow(str(path), row, text["file"], str(error)))
    ops = {key: Placement(tuple(ops[at] for at in sorted(ops))) for key, ops in found.items()}
    return {key: placement for key, placement in ops.items() if placement.ops}, bad


def _row(cells: Mapping[str, str]) -> tuple[int, PlacedOp]:
    expect(cells["file"] != "", "file must name the package, got ''")
    units = cells["units"]
    expect(
        units in REQUESTED_UNITS,
        f"units must be one of {', '.join(REQUESTED_UNITS)}, got '{units}'",
    )
    place = cells["place"]
    expect(
        re.fullmatch("[0-9]{1,6}", place) is not None,
        f"place must be a whole number, got '{place}'",
    )
    supported = tuple(name for name in cells["supported"].split(";") if name not in ("", UNKNOWN))
    for name in (cells["preferred"], *supported):
        expect(name in UNITS, f"a unit must be one of {', '.join(UNITS)}, got '{name}'")
    cost = _cost(cells["cost"]) if cells["cost"] else None
    operator = _VERSION.sub("", cells["operator"])
    return int(place), PlacedOp(operator, cells["output"], cells["preferred"], supported, cost)


def from_operations(operations: Sequence[Any]) -> Placement | None:
    """Placement from the operations of an Xcode report; None if none says where it runs.

    Ops without a unit, such as constants, are passed over.

    Raises:
        InputError: an entry of another form.
    """
    ops = []
    for at, item in enumerate(operations):
        where = f"operation {at}"
        entry = _mapping(item, where)
        usage = entry.get("deviceUsage")
        if not usage:
            continue
        preferred = _mapping(_mapping(usage, where).get("preferred"), where).get("deviceType")
        outputs = entry.get("outputs") or [{}]
        name = _mapping(outputs[0] if isinstance(outputs, list) else None, where).get("name", "")
        weight = _mapping(entry.get("cost") or {}, where).get("weight")
        ops.append(
            PlacedOp(
                _VERSION.sub("", str(entry.get("operatorName", ""))),
                str(name),
                _unit(preferred, where),
                cost=None if weight is None else _cost(weight),
            )
        )
    return Placement(tuple(ops)) if ops else None


def from_plan(plan: Any) -> Placement | None:
    """Placement from the dictionary of a compute plan of coremltools; None if it has no ops.

    The form is that of `ComputePlan.from_dict` of coremltools 9.0. It names ops by their outputs
    alone: `operator` stays blank.

    Raises:
        InputError: another form.
    """
    infos = _mapping(plan, "the compute plan").get("infos")
    if isinstance(infos, Mapping):  # `to_dict` of the same class gives the paths as keys
        infos = list(infos.values())
    expect(isinstance(infos, list), "the compute plan: 'infos' must be a list")
    assert isinstance(infos, list)
    ops = []
    for at, info in enumerate(infos):
        where = f"the compute plan: entry {at}"
        usage = _mapping(_mapping(info, where).get("deviceUsage"), where)
        supported = usage.get("supported")
        expect(isinstance(supported, list), f"{where}: 'supported' must be a list of units")
        cost = info.get("estimatedCost")
        ops.append(
            PlacedOp(
                "",
                _output(info.get("path"), where),
                _unit(usage.get("preferred"), where),
                tuple(_unit(one, where) for one in supported or ()),
                None if cost is None else _cost(cost),
            )
        )
    return Placement(tuple(ops)) if ops else None


def _output(path: Any, where: str) -> str:
    """Name of the output that ends a path of coremltools."""
    components = _mapping(path, where).get("components")
    expect(isinstance(components, list), f"{where}: 'components' must be a list")
    for component in components or ():
        for key, name in (("programOperation", "outputName"), ("neuralNetworkLayer", "name")):
            if isinstance(found := _mapping(component, where).get(key), Mapping):
                return str(_mapping(found.get("data"), where).get(name, ""))
    return ""


def _unit(device: Any, where: str) -> str:
    names = [name for name in _NAMES if name in _mapping(device, where)]
    expect(len(names) == 1, f"{where}: a unit must be one of {', '.join(_NAMES)}, got {device!r}")
    return _NAMES[names[0]]


def _cost(value: Any) -> float:
    try:
        cost = float(value)
    except (TypeError, ValueError, OverflowError):
        cost = math.nan
    expect(0 <= cost <= 1, f"cost must be a share from 0 to 1, got {value!r:.60}")
    return cost


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    expect(isinstance(value, Mapping), f"{where}: expected an object, got {value!r:.60}")
    found: Mapping[str, Any] = value
    return found
