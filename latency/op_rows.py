"""Files of timings per op as kernels: what a runtime starts at once, its network and its ms.

Three CSV files (gzipped or not) belong together: one row per started kernel of a network, one row
per whole network, and the family of each network. The columns are those of the public set
qed-usc/mobile-ml-benchmark, brought to one schema. A kernel is its main op and what the runtime
fused into it, read from the column `fused`: `add+relu` is an addition of the output's shape with a
ReLU. Which routine the runtime chose (`kernel_impl`) is not read: it is not known for new networks.

A bad row is put aside with its reason, the good ones are kept. A network that lost a row that way
has no sum of ops any more: see `OpRows.incomplete`.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency.kernels import Kernel
from palmette.latency.op_cells import SHAPE_COLUMNS, Cells, kernel_of, number
from palmette.latency.tables import read_csv
from palmette.space.errors import InputError, expect

Floats = NDArray[np.float64]

LONGEST_MS = 1e6
MOST_SPREAD = 10.0
"""Slowest over fastest of equal kernels above which their timings contradict each other."""
PASSPORT = ("framework", "device", "processor", "precision")
OP_COLUMNS = (
    *PASSPORT,
    *("network", "op_index", "op", *SHAPE_COLUMNS),
    *("kernel", "stride", "groups", "n_inputs", "act", "fused", "latency_ms", "unit"),
)
NETWORK_COLUMNS = ("device", "processor", "network", "latency_ms", "unit")
FAMILY_COLUMNS = ("network", "family")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was put aside; the header is row 1. `network` is blank if the row names none."""

    file: str
    row: int
    network: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}: {self.reason}"


@dataclass(frozen=True, slots=True)
class OpRows:
    """Timed kernels, one entry per good row of a file, and what was put aside.

    `kernels`, `networks` and `latency_ms` (n,) run in parallel; `incomplete` maps a network that
    lost a row to the reason; `passport` names what was timed on what.
    """

    kernels: tuple[Kernel, ...]
    networks: tuple[str, ...]
    latency_ms: Floats
    incomplete: Mapping[str, str]
    quarantined: tuple[BadRow, ...]
    passport: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NetworkRows:
    """Milliseconds of whole networks by name, and what was put aside."""

    latency_ms: Mapping[str, float]
    quarantined: tuple[BadRow, ...]
    passport: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Good:
    row: int
    network: str
    index: int
    kernel: Kernel
    ms: float


def read_op_rows(path: Path) -> OpRows:
    """Kernels of a file of timings per op.

    Put aside are rows without a network or index, with a time that is not a positive number of
    milliseconds, of an op or activation that is not known, of a shape that cannot be, that repeat
    an op of a network, or whose time is far from those of equal kernels (`MOST_SPREAD`).

    Raises:
        InputError: unreadable, a column is missing, two devices in one file, or no good row.
    """
    table = _table(path, OP_COLUMNS)
    passport = _passport(path, table, PASSPORT)
    bad: list[BadRow] = []
    good: list[_Good] = []
    for row, cells in table:
        try:
            good.append(_good(row, cells))
        except InputError as error:
            bad.append(BadRow(str(path), row, cells["network"].strip(), str(error)))
    for check in (_repeats, _contradictions):
        reasons = check(good)
        bad += [
            BadRow(str(path), g.row, g.network, reasons[g.row]) for g in good if g.row in reasons
        ]
        good = [g for g in good if g.row not in reasons]
    bad.sort(key=lambda one: one.row)
    expect(bool(good), f"{path}: no good row; the first bad one: {bad[0] if bad else 'none'}")
    return OpRows(
        tuple(g.kernel for g in good),
        tuple(g.network for g in good),
        np.array([g.ms for g in good]),
        _incomplete(good, bad),
        tuple(bad),
        passport,
    )


def read_network_rows(path: Path) -> NetworkRows:
    """Milliseconds of whole networks.

    Put aside are rows without a name, with a bad time, or that repeat a network.

    Raises:
        InputError: unreadable, a column is missing, two devices in one file, or no good row.
    """
    table = _table(path, NETWORK_COLUMNS)
    passport = _passport(path, table, ("device", "processor"))
    found: dict[str, float] = {}
    bad: list[BadRow] = []
    for row, cells in table:
        name = cells["network"].strip()
        try:
            expect(name != "", "network must not be blank")
            expect(name not in found, f"network '{name}' was timed in a row before; keep one")
            found[name] = _milliseconds(cells)
        except InputError as error:
            bad.append(BadRow(str(path), row, name, str(error)))
    expect(bool(found), f"{path}: no good row; the first bad one: {bad[0] if bad else 'none'}")
    return NetworkRows(found, tuple(bad), passport)


def read_families(path: Path) -> dict[str, str]:
    """Family of each network: networks of one family are never on both sides of a split.

    Raises:
        InputError: unreadable, a column is missing, a blank cell, or a network in two families.
    """
    families: dict[str, str] = {}
    for row, cells in _table(path, FAMILY_COLUMNS):
        name, family = cells["network"].strip(), cells["family"].strip()
        expect(bool(name and family), f"{path}: row {row}: network and family must not be blank")
        known = families.setdefault(name, family)
        expect(
            known == family,
            f"{path}: row {row}: network '{name}' is in '{known}' and in '{family}'; choose one",
        )
    return families


def _good(row: int, cells: Cells) -> _Good:
    name, index = cells["network"].strip(), cells["op_index"].strip()
    expect(name != "", "network must not be blank")
    expect(index.isdecimal(), f"op_index must be a whole number, got '{index}'")
    return _Good(row, name, int(index), kernel_of(cells), _milliseconds(cells))


def _milliseconds(cells: Cells) -> float:
    unit, ms = cells["unit"].strip(), number(cells["latency_ms"])
    expect(unit == "ms", f"unit must be ms, got '{unit}'")
    expect(
        0 < ms <= LONGEST_MS,
        f"latency_ms must be positive and at most {LONGEST_MS:g}, got '{cells['latency_ms']}'",
    )
    return ms


def _repeats(good: Sequence[_Good]) -> dict[int, str]:
    """Rows whose op of a network has a row before."""
    first: dict[tuple[str, int], int] = {}
    reasons = {}
    for one in good:
        before = first.setdefault((one.network, one.index), one.row)
        if before != one.row:
            reasons[one.row] = f"op {one.index} of network '{one.network}' is in row {before} too"
    return reasons


def _contradictions(good: Sequence[_Good]) -> dict[int, str]:
    """Rows far from the median of equal kernels, where these spread more than `MOST_SPREAD`."""
    groups: defaultdict[Kernel, list[_Good]] = defaultdict(list)
    for one in good:
        groups[one.kernel].append(one)
    reasons = {}
    for group in groups.values():
        logs = np.log([one.ms for one in group])
        if np.ptp(logs) <= math.log(MOST_SPREAD):
            continue
        middle = float(np.median(logs))
        # two timings have their median half-way: then neither can be trusted
        for one, distance in zip(group, np.abs(logs - middle), strict=True):
            if distance > math.log(MOST_SPREAD) / 2:
                reasons[one.row] = (
                    f"{one.ms:g} ms, but equal kernels take {math.exp(middle):.3g} ms (median of"
                    f" {len(group)}); more than {MOST_SPREAD:g} times between them"
                )
    return reasons


def _incomplete(good: Sequence[_Good], bad: Sequence[BadRow]) -> dict[str, str]:
    """Networks that miss an op, with a reason; an op that only repeats another is not missed."""
    reasons: dict[str, str] = {}
    indices: defaultdict[str, set[int]] = defaultdict(set)
    for one in good:
        indices[one.network].add(one.index)
    for network, found in indices.items():
        missing = sorted(set(range(max(found) + 1)) - found)
        if missing:
            reasons[network] = f"no good row for op {missing[0]}"
    for row in bad:
        if row.network and " is in row " not in row.reason:
            reasons.setdefault(row.network, str(row))
    return reasons


def _table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV file as text with their numbers."""
    expect(path.is_file(), f"{path}: no such file")
    try:
        table = read_csv(path)
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error})") from None
    missing = [column for column in columns if column not in table.columns]
    expect(not missing, f"{path}: columns are missing: {', '.join(missing)}")
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    return list(zip(table.index.tolist(), rows, strict=True))


def _passport(
    path: Path, table: Sequence[tuple[int, Cells]], columns: Sequence[str]
) -> dict[str, str]:
    """What all rows of a file were timed on; raises InputError if that is not one thing."""
    expect(bool(table), f"{path}: the table has no rows")
    found = {}
    for column in columns:
        values = sorted({cells[column].strip() for _, cells in table} - {""})
        expect(
            len(values) < 2,
            f"{path}: column '{column}' has {' and '.join(values[:3])}; devices and runtimes are"
            " never pooled, give each a file of its own",
        )
        found[column] = "".join(values)
    return found
