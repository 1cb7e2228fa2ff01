"""What an import gives: the timings, the rows that are none, and why."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pandas as pd

from palmette.latency.passports import lacking
from palmette.latency.quarantine import BadRow
from palmette.space.files import write_text

FIRST_ROWS = 5
"""Row numbers that a summary of rows left out names."""
BAD_COLUMNS = [one.name for one in fields(BadRow)]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows of a file were left out: the words of the first, how many, the first row numbers."""

    file: str
    text: str
    count: int
    first_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """Timings from foreign files.

    `rows` are text, the columns those of a timing table that a map fills; `left_out` are the rows
    that are not among them, by file and row; `notes` say what else a reader should know. `taken`
    counts the foreign rows in `rows`: a row there may stand for several.
    """

    rows: pd.DataFrame
    left_out: tuple[BadRow, ...]
    notes: tuple[str, ...]
    taken: int

    @property
    def without_passport(self) -> int:
        """Rows that do not say how they were taken."""
        return int(lacking(self.rows).sum())

    def write(self, path: Path) -> None:
        """Write `rows` as a timing table, atomically."""
        write_text(path, str(self.rows.to_csv(index=False, lineterminator="\n")))

    def write_left_out(self, path: Path) -> None:
        """Write `left_out` as CSV, a column for each field of `BadRow`, atomically."""
        table = pd.DataFrame(map(astuple, self.left_out), columns=BAD_COLUMNS)
        write_text(path, str(table.to_csv(index=False, lineterminator="\n")))

    def reasons(self) -> list[Reason]:
        """Rows left out, counted by file and reason (figures and values aside), most first."""
        groups: defaultdict[tuple[str, str], list[BadRow]] = defaultdict(list)
        for row in self.left_out:
            groups[row.file, re.sub(r"'[^']*'|\d[\d.]*", "..", row.reason)].append(row)
        found = [
            Reason(file, rows[0].reason, len(rows), tuple(row.row for row in rows[:FIRST_ROWS]))
            for (file, _), rows in groups.items()
        ]
        return sorted(found, key=lambda reason: -reason.count)
