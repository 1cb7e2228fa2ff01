"""Files of `results/` as tables: what is one number stands in one, rows stand in others.

Numbers are rounded for reading, never so far that one near 1 becomes 1; units stand in names, or
behind them where `results.toml` says so. The file beside has all in full. Of a long CSV file there
is a summary, chosen in `results.toml` too, and its beginning.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

COMMAND = "command"
ROWS = 40
"""Rows of a table that are shown, of a CSV file if it has no more."""
FIRST_ROWS = 8
"""Rows of a longer CSV file that are shown."""
NEAR = 1e-3
"""Closer to 1 than this, a number keeps two digits of the difference."""
NUMBERS = 6
TEXT = 160

Table = tuple[str, list[str], list[list[str]], int]
"""What it is of, names of columns, cells of the rows that are shown, number of all rows."""


Summary = Mapping[str, Any]
"""Of a CSV file: `by`, columns whose values name a row, and column -> words of `FIGURES`."""


def tables(
    path: Path, units: Mapping[str, str] | None = None, summary: Summary | None = None
) -> Iterator[Table]:
    """Tables of a JSON or CSV file; the command of a JSON file is left to `command_of`.

    Args:
        path: of the file.
        units: pattern of `FILE.KEY`, without the suffix, -> unit, the first that fits.
        summary: of a CSV file, shown before its beginning.
    """
    for name, columns, rows, count in _tables(path, summary):
        named = [_with_unit(column, path.stem, units or {}) for column in columns]
        keys = [_with_unit(row[0], path.stem, units or {}) for row in rows]
        figures = columns == ["figure", "value"]
        shown = [[k, *row[1:]] for k, row in zip(keys, rows, strict=True)] if figures else rows
        yield name, named, shown, count


def _tables(path: Path, summary: Summary | None) -> Iterator[Table]:
    if path.suffix == ".csv":
        yield from _of_csv(path, summary)
    else:
        data = json.loads(path.read_text("utf-8"))
        yield from _of_json({key: data[key] for key in data if key != COMMAND}, "")


def _with_unit(name: str, stem: str, units: Mapping[str, str]) -> str:
    key = f"{stem}.{name}"
    unit = next((unit for pattern, unit in units.items() if fnmatchcase(key, pattern)), "")
    return f"{name} [{unit}]" if unit else name


def command_of(path: Path) -> str:
    """The command line that a JSON file says it was made by; blank if it says none."""
    return (
        str(json.loads(path.read_text("utf-8")).get(COMMAND, "")) if path.suffix == ".json" else ""
    )


def _of_csv(path: Path, summary: Summary | None) -> Iterator[Table]:
    with path.open(encoding="utf-8") as lines:
        header, *rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    if summary:
        yield _summary([dict(zip(header, row, strict=True)) for row in rows], summary)
    most = ROWS if len(rows) <= ROWS else FIRST_ROWS
    shown = [[cell_of_text(cell) for cell in row] for row in rows[:most]]
    yield "", header, shown, len(rows)


def _off(values: Sequence[str]) -> list[float]:
    return [100 * abs(float(value) - 1) for value in values]


FIGURES: dict[str, Callable[[Sequence[str]], Any]] = {
    "mean": lambda values: math.fsum(map(float, values)) / len(values),
    "least": lambda values: min(map(float, values)),
    "most": lambda values: max(map(float, values)),
    "share true": lambda values: sum(value == "True" for value in values) / len(values),
    "number true": lambda values: sum(value == "True" for value in values),
    "mean % from 1": lambda values: math.fsum(_off(values)) / len(values),
    "most % from 1": lambda values: max(_off(values)),
}
"""What a summary says of the cells of a column that are not blank."""


def _summary(rows: Sequence[dict[str, str]], summary: Summary) -> Table:
    by = list(summary["by"])
    figures = [(c, one) for c, words in summary.items() if c != "by" for one in words]
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in by), []).append(row)
    shown = []
    for key, group in groups.items():
        cells = [[row[c] for row in group if row[c]] for c, _ in figures]
        found = [FIGURES[w](v) if v else None for (_, w), v in zip(figures, cells, strict=True)]
        shown.append([*key, cell(len(group)), *map(cell, found)])
    columns = [*by, "rows", *(f"{column}, {words}" for column, words in figures)]
    return "all rows, summed up", columns, shown, len(groups)


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
    """A value for reading: four digits, more beside 1; of long texts and lists the beginning."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value.is_integer() or abs(value) >= 10_000:
            return f"{value:,.0f}"
        return _rounded(value)
    if isinstance(value, list):
        more = f", … ({len(value)})" if len(value) > NUMBERS else ""
        return ", ".join(cell(one) for one in value[:NUMBERS]) + more
    if isinstance(value, dict):
        return f"{len(value)} values"
    text = str(value)
    return text if len(text) <= TEXT else text[:TEXT] + "…"


def _rounded(value: float) -> str:
    off = abs(1 - abs(value))
    return f"{value:.{1 - math.floor(math.log10(off))}f}" if 0 < off < NEAR else f"{value:.4g}"


def cell_of_text(text: str) -> str:
    """A cell of a CSV file; a fraction is rounded, everything else stays."""
    try:
        return cell(float(text)) if "." in text or "e-" in text else cell(text)
    except ValueError:
        return cell(text)
