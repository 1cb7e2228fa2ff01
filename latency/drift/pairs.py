"""What two tables both timed, on one device and unit: pairs of timings, and what has no partner.

Runtimes may differ: that is what is compared. How a thing was timed may not (`HOW`), where both
tables say it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency.chains import Chain
from palmette.latency.drift.noise import Noise, calls_open, noise_of
from palmette.latency.op_lists import network_ops
from palmette.latency.passports import counted_mean, marked_down
from palmette.latency.per_op.kernels import SORTS, KernelTable, kernel_from_text
from palmette.latency.targets import parse_target
from palmette.space import ZOO, Architecture, InputError, load
from palmette.space.errors import expect

HOW = ("input_kind", "precision", "requested_units")
"""Columns of a passport that make a timing another one."""
STATE = ("os_build", "power_mode", "thermal_before", "thermal_after", "source")
"""Those that may say why a table differs from another."""
SAME_UNITS = {"cpuOnly": "cpu", "cpuAndGPU": "gpu", "cpuAndNeuralEngine": "ane"}
"""Core ML's names of units -> ours."""

OTHER_SHARE = 0.05
"""Share of the ops from which on they ran elsewhere: converters count one or two more or less."""
_COUNTS = re.compile(r"(ane|gpu|cpu) (\d+)")
_PASSPORT = ("source", "os_build", "power_mode")
_READ = ("subject_kind", "part_of", *HOW, *_PASSPORT)

Key = tuple[str, str, str]
"""Kind of the subject, the subject, and the network inside which it was timed."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A thing that a table timed, once or more."""

    ms: float
    """As the fit takes it, see `passports.typical_ms`."""
    spread: float
    """Of its log: what another run would be off."""
    placement: str
    how: Mapping[str, frozenset[str]]
    """Columns of `HOW` that are filled -> what they say."""


@dataclass(frozen=True, slots=True)
class Side:
    """The timings of one table on one device and unit, all of one runtime."""

    target: str
    timed: Mapping[Key, Timed]
    noise: Noise

    @property
    def networks(self) -> dict[str, Key]:
        """Key of each timed network by its id, see `network_id`."""
        return {network_id(key[1]): key for key in self.timed if key[0] == "network"}

    def has_network(self, subject: str) -> bool:
        """Whether it timed a network, by whatever name."""
        return network_id(subject) in self.networks


@dataclass(frozen=True, slots=True)
class Pair:
    """A thing that both tables timed."""

    key: Key
    sort: str
    """Kind of op or of block, `network` or `probe`."""
    a: Timed
    b: Timed

    @property
    def ratio(self) -> float:
        """Milliseconds of the second table over those of the first."""
        return self.b.ms / self.a.ms

    @property
    def spread(self) -> float:
        """Of the log of the ratio, by noise alone."""
        return math.hypot(self.a.spread, self.b.spread)

    @property
    def moved_unit(self) -> bool:
        """Whether both tables say where it ran, and not the same."""
        texts = self.a.placement, self.b.placement
        if "" in texts or texts[0] == texts[1]:
            return False
        a, b = map(_shares, texts)
        if not a or not b:
            return True
        return any(abs(a.get(unit, 0) - b.get(unit, 0)) > OTHER_SHARE for unit in {*a, *b})


@dataclass(frozen=True, slots=True)
class Paired:
    """Two tables on one device and unit."""

    a: Side
    b: Side
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    """Things that both timed, but not alike, with the reason."""

    @property
    def name(self) -> str:
        """`device/unit`."""
        return self.a.target.partition("@")[0]

    @property
    def dof(self) -> float:
        """Degrees of freedom behind the noise of a ratio: no more than those of either table."""
        return min(self.a.noise.dof, self.b.noise.dof)

    @property
    def alone(self) -> tuple[int, int]:
        """How many things only the first timed, and only the second."""
        a, b = set(self.a.timed), set(self.b.timed)
        return len(a - b), len(b - a)


def _shares(placement: str) -> dict[str, float]:
    """Share of the ops by unit of `ane 52, cpu 3`; nothing of other texts."""
    counts = {unit: int(count) for unit, count in _COUNTS.findall(placement)}
    total = sum(counts.values())
    return {unit: count / total for unit, count in counts.items()} if total else {}


def paired(rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> list[Paired]:
    """Pairs of two tables (as `read_timings` gives them), by device and unit.

    Raises:
        InputError: several runtimes of one device and unit in one table, or nothing in common.
    """
    sides_a, sides_b = _sides(rows_a, "first"), _sides(rows_b, "second")
    found = [_paired(side, sides_b[name]) for name, side in sides_a.items() if name in sides_b]
    expect(
        bool(found),
        f"the first table is of {', '.join(sides_a)}, the second of {', '.join(sides_b)}; compare"
        " tables of one model of phone and one unit",
    )
    if not any(one.pairs for one in found):
        reason = next((line for one in found for line in one.left_out), "no subject is in both")
        raise InputError(f"{found[0].name}: nothing to compare: {reason}")
    return found


def passports(rows_a: pd.DataFrame, rows_b: pd.DataFrame) -> list[tuple[str, list[str], list[str]]]:
    """Columns of the passport in which two tables differ, with what each says."""
    found = []
    for column in STATE + HOW:
        a, b = (sorted(set(rows[column].tolist()) - {""}) for rows in (rows_a, rows_b))
        if a != b:
            found.append((column, a, b))
    return found


def network_id(subject: str) -> str:
    """Id of the architecture that a table's subject names; the subject itself for others."""
    name, at, size = subject.partition("@")
    if "|" in subject:
        return Architecture.from_text(subject).id
    if name not in ZOO:
        return subject
    if not at:
        return load(name).id
    height, _, width = size.partition("x")
    return load(name).with_resolution(int(height), int(width)).id


def _sides(rows: pd.DataFrame, which: str) -> dict[str, Side]:
    by_name: dict[str, Side] = {}
    for target, own in rows.groupby("target", sort=True):
        name = str(target).partition("@")[0]
        other = by_name.get(name)
        expect(
            other is None,
            f"the {which} table has timings of {other.target if other else ''} and of {target}:"
            " runtimes are never pooled; compare tables of one each",
        )
        by_name[name] = side_of(str(parse_target(str(target))), own)
    return by_name


def side_of(target: str, rows: pd.DataFrame) -> Side:
    """Timings by key of one target's rows; only repeats with one passport tell what noise is."""
    columns = (*_READ, "latency_ms", "p10_ms", "p90_ms", "repeats", "placement")
    by_key: defaultdict[Key, list[dict[str, Any]]] = defaultdict(list)
    by_passport: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)
    # plain lists: a group of a data frame costs more than all that is done with it
    read = (_subjects(rows), marked_down(rows).tolist(), *(rows[name].tolist() for name in columns))
    for cells in zip(*read, strict=True):
        row = dict(zip(("subject", "down", *columns), cells, strict=True))
        key = (row["subject_kind"], row["subject"], row["part_of"])
        by_key[key].append(row)
        by_passport[(*key, *(row[name] for name in _PASSPORT))].append(row["latency_ms"])
    noise = noise_of(by_passport.values())
    return Side(target, {key: _timed(own, noise) for key, own in by_key.items()}, noise)


def _subjects(rows: pd.DataFrame) -> list[str]:
    """Subjects; a list of ops by its name and content, wherever each table keeps it."""
    found = []
    for kind, text in zip(rows["subject_kind"], rows["subject"], strict=True):
        if kind == "network" and text.endswith(".csv"):
            ops = "\n".join(op.to_text() for op in network_ops(text))
            text = f"{Path(text).name} {hashlib.sha256(ops.encode()).hexdigest()[:8]}"
        found.append(str(text))
    return found


def _timed(rows: Sequence[Mapping[str, Any]], noise: Noise) -> Timed:
    calls = max(calls_open(row["p10_ms"], row["p90_ms"], row["repeats"]) for row in rows)
    how = {
        name: frozenset(SAME_UNITS.get(row[name], row[name]) for row in rows) - {""} for name in HOW
    }
    return Timed(
        counted_mean([row["latency_ms"] for row in rows], [row["down"] for row in rows]),
        noise.of(len(rows), calls),
        " | ".join(sorted({row["placement"].strip() for row in rows} - {""})),
        {name: said for name, said in how.items() if said},
    )


def _paired(a: Side, b: Side) -> Paired:
    pairs, left_out = [], []
    for key in a.timed:
        if key not in b.timed:
            continue
        differs = list(_differences(a.timed[key], b.timed[key]))
        if differs:
            left_out.append(f"{key[0]} {key[1]}: {differs[0]}")
        else:
            pairs.append(Pair(key, sort_of(*key[:2]), a.timed[key], b.timed[key]))
    return Paired(a, b, tuple(pairs), tuple(left_out))


def _differences(a: Timed, b: Timed) -> Iterator[str]:
    for name in HOW:
        if name in a.how and name in b.how and a.how[name] != b.how[name]:
            words = (" and ".join(sorted(side.how[name])) for side in (a, b))
            yield f"{name} is {' in the first table, but '.join(words)} in the second"


@cache
def sort_of(subject_kind: str, subject: str) -> str:
    """Kind of op, convolutions told apart by groups and window; of block; `network` or `probe`."""
    if subject_kind in ("network", "probe"):
        return subject_kind
    if subject_kind == "chain":
        return f"block {Chain.from_text(subject).block.kind}"
    table = KernelTable.of([kernel_from_text(subject)])
    sort = SORTS[int(table.column("sort")[0])]
    if sort != "conv":
        return sort
    return "pointwise conv" if table.column("window")[0] == 1 else "dense conv"
