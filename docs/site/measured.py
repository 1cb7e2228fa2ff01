"""Files of `results/` as tables: what is one number stands in one, rows stand in others.

Numbers are rounded for reading; units are in the names of keys. The file beside has them in full.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

COMMAND = "command"
ROWS = 8
"""Rows of a table that are shown."""
NUMBERS = 6
TEXT = 160

Table = tuple[str, list[str], list[list[str]], int]
"""What it is of, names of columns, cells of the rows that are shown, number of all rows."""


def tables(path: Path) -> Iterator[Table]:
    """Tables of a JSON or CSV file; the command of a JSON file is left to `command_of`."""
    if path.suffix == ".csv":
        yield _of_csv(path)
    else:
        data = json.loads(path.read_text("utf-8"))
        yield from _of_json({key: data[key] for key in data if key != COMMAND}, "")


def command_of(path: Path) -> str:
    """The command line that a JSON file says it was made by; blank if it says none."""
    return (
        str(json.loads(path.read_text("utf-8")).get(COMMAND, "")) if path.suffix == ".json" else ""
    )


def _of_csv(path: Path) -> Table:
    with path.open(encoding="utf-8") as lines:
        header, *rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    shown = [[cell_of_text(cell) for cell in row] for row in rows[:ROWS]]
    return "", header, shown, len(rows)


def _of_json(data: dict[str, Any], name: str) -> Iterator[Table]:
    plain = {key: value for key, value in data.items() if not _has_rows(value)}
    plain = dict(_flat(plain))
    if plain:
        yield name, ["figure", "value"], [[key, cell(plain[key])] for key in plain], len(plain)
    for key, value in data.items():
        title = f"{name}.{key}" if name else key
        if isinstance(value, list) and _has_rows(value):
            yield _rows(title, [("", row) for row in value])
        elif isinstance(value, dict) and _is_nest(value):
            yield _rows(title, list(_leaves(value)))
        elif isinstance(value, dict) and _has_rows(value):
            yield from _of_json(value, title)


def _has_rows(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    if isinstance(value, dict):
        return _is_nest(value) or any(_has_rows(one) for one in value.values())
    return False


def _is_nest(value: dict[str, Any]) -> bool:
    """Whether a dictionary is a table: two or more rows, each a dictionary too."""
    return len(value) > 1 and all(isinstance(one, dict) for one in value.values())


def _leaves(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, row in value.items():
        name = f"{path} / {key}" if path else key
        if _is_nest(row):
            yield from _leaves(row, name)
        else:
            yield name, row


def _flat(data: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _rows(name: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> Table:
    columns = list(dict.fromkeys(key for _, row in rows for key in dict(_flat(row))))
    named = any(title for title, _ in rows)
    shown = []
    for title, row in islice(rows, ROWS):
        values = dict(_flat(row))
        cells = [cell(values[key]) if key in values else "" for key in columns]
        shown.append([title, *cells] if named else cells)
    return name, ["", *columns] if named else columns, shown, len(rows)


def cell(value: Any) -> str:
    """A value for reading: four digits, whole numbers whole, long lists by their beginning."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() or abs(value) >= 10_000:
            return f"{value:,.0f}"
        return f"{value:.4g}"
    if isinstance(value, list):
        more = f", … ({len(value)})" if len(value) > NUMBERS else ""
        return ", ".join(cell(one) for one in value[:NUMBERS]) + more
    if isinstance(value, dict):
        return f"{len(value)} values"
    text = str(value)
    return text if len(text) <= TEXT else text[:TEXT] + "…"


def cell_of_text(text: str) -> str:
    """A cell of a CSV file; a fraction is rounded, everything else stays."""
    try:
        return cell(float(text)) if "." in text or "e-" in text else cell(text)
    except ValueError:
        return cell(text)
