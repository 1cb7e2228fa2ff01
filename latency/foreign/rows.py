"""One foreign file by its `ImportMap`: rows in our columns, as text, or a reason against each."""

from __future__ import annotations

import re
import zlib
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pandas as pd

from palmette.latency.foreign.cells import Cells, kernel_of
from palmette.latency.foreign.maps import CellRule, ImportMap, Join
from palmette.latency.per_op.kernels import kernel_text
from palmette.latency.tables import read_csv
from palmette.latency.timings import RULES
from palmette.space.errors import InputError, expect
from palmette.space.files import expect_file

IN_MS = {"ns": "0.000001", "us": "0.001", "µs": "0.001", "ms": "1", "s": "1000"}
"""Unit of time -> milliseconds."""


def read_table(
    file: Path, import_map: ImportMap, joined: Path | None, notes: list[str]
) -> pd.DataFrame:
    """Cells of a file, with those of the joined one.

    Args:
        file: CSV, gzipped or not.
        import_map: says which columns are needed, and what is joined.
        joined: the file to join, in place of the one that the map names.
        notes: gets a line if rows have no partner in the joined file.

    Raises:
        InputError: unreadable, no rows, a missing column, or a join that is not one to one.
    """
    table = _read(file)
    if import_map.join:
        table = _joined(file, table, import_map.join, joined, notes)
    expect(
        "target" in import_map.columns,
        f"{import_map.where}: columns.target is missing, and no target is named",
    )
    known = ", ".join(table.columns)
    for name, key in import_map.reads().items():
        expect(
            name in table,
            f"{file}: column '{name}' is missing, {import_map.where} reads it in {key}; the file"
            f" has {known}",
        )
    return table


def _read(path: Path) -> pd.DataFrame:
    expect_file(path)
    try:
        table = read_csv(path)
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error})") from None
    expect(len(table) > 0, f"{path}: the table has no rows")
    return table


def _joined(
    file: Path, table: pd.DataFrame, join: Join, given: Path | None, notes: list[str]
) -> pd.DataFrame:
    """The table with the columns of the other file; blank where that has no such row."""
    path = given or file.parent / join.file
    other = _read(path)
    for where, columns in ((file, table), (path, other)):
        expect(join.on in columns, f"{where}: column '{join.on}' is missing, by which files join")
    both = [name for name in table if name in other and name != join.on]
    expect(not both, f"{file} and {path} both have the column '{(both or [''])[0]}'; rename one")
    found = _by_name(path, other, join.on)
    names = table[join.on].str.strip()
    alone = sorted(set(names) - set(found))
    expect(
        len(alone) < names.nunique(),
        f"{path}: none of its {join.on} is in {file}; got '{next(iter(found))}'",
    )
    if alone:
        some = ", ".join(map(repr, alone[:3]))
        notes.append(f"{path} has no row for {len(alone)} {join.on} of {file}: {some}")
    for column in other.columns.drop(join.on):
        table[column] = [found[name][column] if name in found else "" for name in names]
    return table


def _by_name(path: Path, table: pd.DataFrame, on: str) -> dict[str, dict[str, str]]:
    """Cells of rows by the cell of a column; equal rows may repeat."""
    found: dict[str, dict[str, str]] = {}
    for row, cells in zip(table.index.tolist(), table.to_dict("records"), strict=True):
        name = cells[on].strip()
        expect(name != "", f"{path}: row {row}: {on} must not be blank")
        text = {str(column): str(cell) for column, cell in cells.items()}
        expect(
            found.setdefault(name, text) == text,
            f"{path}: row {row}: {on} '{name}' is in a row before, with other cells; keep one",
        )
    return found


def one_values(file: Path, table: pd.DataFrame, import_map: ImportMap) -> dict[str, str]:
    """Columns of `one_value` with their value; raises InputError if one has several."""
    found = {}
    for name in import_map.one_value:
        values = sorted(set(table[name].str.strip().tolist()) - {""})
        expect(
            len(values) < 2,
            f"{file}: column '{name}' has {' and '.join(values[:3])}; devices and runtimes are"
            " never pooled, give each a file of its own",
        )
        found[name] = "".join(values)
    return found


def map_rows(file: Path, table: pd.DataFrame, import_map: ImportMap) -> pd.DataFrame:
    """Our columns as text, with `file`, `row`, `index` and `reason`, blank unless a row is bad.

    Of a bad row those cells are filled that could be had.
    """
    blank = {**dict.fromkeys(RULES, ""), "file": str(file), "index": ""}
    rows = []
    for row, cells in zip(table.index.tolist(), table.to_dict("records"), strict=True):
        text = {str(name): str(cell) for name, cell in cells.items()}
        rows.append({**blank, "row": row, **_row(file, text, import_map)})
    return pd.DataFrame(rows)


def _row(file: Path, cells: Cells, import_map: ImportMap) -> dict[str, str]:
    """Cells of a row; also of one with a `reason` against it, as far as they can be had."""
    try:
        for name, rule in import_map.keep.items():
            _named(name, rule, cells)
    except InputError as error:
        return {"reason": f"not kept: {error}"}
    found: dict[str, str] = {}
    reasons = []
    for name, rule in import_map.columns.items():
        try:
            found[name] = _in_ms(name, rule, cells) if rule.unit else _named(name, rule, cells)
        except InputError as error:
            reasons.append(str(error))
    for fill in (_index, _kernel):
        try:
            found |= fill(cells, found, import_map)
        except InputError as error:
            reasons.append(str(error))
    if found.get("subject_kind") == "network" and found.get("subject", "").endswith(".csv"):
        found["subject"] = str((file.parent / found["subject"]).resolve())
    return found | {"reason": (reasons or [""])[0]}


def _index(cells: Cells, found: Cells, import_map: ImportMap) -> dict[str, str]:
    """Place of a kernel in its network; blank for an op that was timed by itself."""
    index = _named("index", import_map.index, cells) if import_map.index else ""
    part_of = found.get("part_of", "")
    expect(not index or bool(part_of), f"part_of must name the network of kernel {index}, got ''")
    expect(
        re.fullmatch("[0-9]{1,6}", index) is not None or not (import_map.index and part_of),
        f"index must be a whole number, got '{index}'",
    )
    return {"index": index}


def _kernel(cells: Cells, found: Cells, import_map: ImportMap) -> dict[str, str]:
    if not import_map.kernel:
        return {}
    given = {name: rule.text(cells) for name, rule in import_map.kernel.items()}
    return {"subject": kernel_text(kernel_of(given, import_map.names))}


def _named(name: str, rule: CellRule, cells: Cells) -> str:
    try:
        return rule.text(cells)
    except InputError as error:
        raise InputError(f"{name} {error}") from None


def _in_ms(name: str, rule: CellRule, cells: Cells) -> str:
    """A time in milliseconds with all its digits; what is no number stays as it is."""
    assert rule.unit is not None
    unit, text = _named("unit", rule.unit, cells), _named(name, rule, cells)
    expect(unit in IN_MS, f"unit must be {' or '.join(IN_MS)}, got '{unit}'")
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    return f"{value * Decimal(IN_MS[unit]):f}" if unit != "ms" and value.is_finite() else text
