"""CSV files from outside, as tables of text that know their row numbers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from palmette.space.errors import InputError, expect


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
        reason = " ".join(str(error).split())  # pandas ends some of its messages with a new line
        raise InputError(f"{path}: cannot be read as CSV ({reason})") from None
    header = str(table.columns[0])
    expect(
        not header.startswith("PK\x03\x04"),
        f"{path}: is a workbook, as Excel keeps it; save it as CSV, with commas between cells",
    )
    expect(
        len(table.columns) > 1 or ";" not in header,
        f"{path}: has semicolons between cells; save it with commas, and with points in numbers",
    )
    expect(
        isinstance(table.index, pd.RangeIndex),  # pandas takes surplus cells for row names
        f"{path}: rows have more cells than the header has columns; a comma too many?",
    )
    table.index = pd.RangeIndex(2, len(table) + 2)
    return table[(table != "").any(axis=1)]
