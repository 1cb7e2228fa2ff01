"""CSV files from outside, as tables of text that know their row numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from palmette.space.errors import InputError, expect

SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write in place of commas -> its name."""
_SURPLUS = re.compile("Expected ([0-9]+) fields in line ([0-9]+), saw ([0-9]+)")
"""In what pandas says of a row with more cells than those before it."""
_TOO_MANY = (
    "is there a decimal comma (write 0.51), or a comma within a cell (put the cell in quotes)?"
)


def read_csv(path: Path) -> pd.DataFrame:
    """Cells of a CSV file as text; the index holds row numbers (the header is row 1).

    Empty rows are left out.

    Raises:
        InputError: unreadable, no commas between cells, or rows with more cells than the header
            has columns.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {_complaint(error)}") from None
    header = str(table.columns[0])
    expect(
        not header.startswith("PK\x03\x04"),
        f"{path}: is a workbook, as Excel keeps it; save it as CSV, with commas between cells",
    )
    for separator, name in SEPARATORS.items():
        expect(
            len(table.columns) > 1 or separator not in header,
            f"{path}: has {name} between cells; save it with commas, and with points in numbers",
        )
    expect(
        isinstance(table.index, pd.RangeIndex),  # pandas takes surplus cells for row names
        f"{path}: rows have more cells than the header has columns; {_TOO_MANY}",
    )
    table.index = pd.RangeIndex(2, len(table) + 2)
    return table[(table != "").any(axis=1)]


def _complaint(error: Exception) -> str:
    """What pandas found wrong, with what it may come from."""
    if isinstance(error, pd.errors.EmptyDataError):
        return "is empty; a table begins with a line of its columns' names"
    reason = " ".join(str(error).split())  # pandas ends some of its messages with a new line
    surplus = _SURPLUS.search(reason)
    if surplus is None:
        return f"cannot be read as CSV ({reason})"
    before, row, cells = surplus.groups()
    return f"row {row} has {cells} cells, those before it {before}; {_TOO_MANY}"
