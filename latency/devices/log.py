"""`results.csv` and `placement.csv` while a suite is timed: whole rows, each seen to the disk.

A run that was ended goes on: rows that are there are not timed again. A last line that was torn is
cut off.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from palmette.latency.devices.place import Place
from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.results import COLUMNS, PLACEMENT_COLUMNS
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

PLACEMENT = "placement.csv"
_KEY = ("position", "file", "units", "mode")

Row = Mapping[str, str]


class RowFile:
    """A CSV file that grows by whole rows."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        """Open a file, or begin one.

        Raises:
            InputError: it cannot be read, or its columns are others.
        """
        self.path = path
        self.columns = tuple(columns)
        self.rows: list[Row] = []
        if not path.exists():
            self._rewrite([])
            return
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        whole = text[: text.rfind("\n") + 1]
        header, *lines = list(csv.reader(io.StringIO(whole, newline=""))) or [list(self.columns)]
        expect(
            tuple(header) == self.columns,
            f"{path}: the columns must be {','.join(self.columns)}; name another file",
        )
        for number, cells in enumerate(lines, start=2):
            expect(
                len(cells) == len(self.columns),
                f"{path}: row {number}: must have {len(self.columns)} cells, got {len(cells)};"
                " take that row out",
            )
            self.rows.append(dict(zip(self.columns, cells, strict=True)))
        if len(whole) < len(text) or not whole:
            self._rewrite(self.rows)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows and see them to the disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._text(rows))
            file.flush()
            os.fsync(file.fileno())
        self.rows += rows

    def keep(self, rows: Sequence[Row]) -> None:
        """Leave only these."""
        if len(rows) < len(self.rows):
            self._rewrite(rows)
            self.rows = list(rows)

    def _rewrite(self, rows: Sequence[Row]) -> None:
        write_text(self.path, ",".join(self.columns) + "\n" + self._text(rows))

    def _text(self, rows: Iterable[Row]) -> str:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(
            [row.get(name, "") for name in self.columns] for row in rows
        )
        return text.getvalue()


class ResultsLog:
    """Both files of one run."""

    def __init__(self, path: Path, entries: Sequence[Entry], place: Place) -> None:
        """Open them, or begin them.

        Raises:
            InputError: they hold timings of another suite or another machine.
        """
        self._results = RowFile(path, COLUMNS)
        self._placement = RowFile(path.with_name(PLACEMENT), PLACEMENT_COLUMNS)
        known = {(str(entry.position), entry.file, entry.sha256) for entry in entries}
        passport = (place.machine, place.os_build)
        for number, row in enumerate(self._results.rows, start=2):
            expect(
                (row["position"], row["file"], row["sha256"]) in known,
                f"{path}: row {number}: is of another suite; name another file",
            )
            expect(
                (row["machine"], row["os_build"]) == passport,
                f"{path}: row {number}: is of {row['machine']} with {row['os_build']}, this is"
                f" {' with '.join(passport)}; name another file",
            )
        self._done = {tuple(row[name] for name in _KEY) for row in self._results.rows}
        # a plan is written before its row: a plan without one may be torn
        timed = {(row["file"], row["units"]) for row in self._results.rows}
        kept = [row for row in self._placement.rows if (row["file"], row["units"]) in timed]
        self._placement.keep(kept)

    @property
    def failed(self) -> int:
        """Rows with an error."""
        return sum(row.get("error", "") != "" for row in self._results.rows)

    @property
    def count(self) -> int:
        """Rows that are there."""
        return len(self._results.rows)

    def has(self, position: int, file: str, units: str, mode: str) -> bool:
        """Whether a timing is done, with an error or without."""
        return (str(position), file, units, mode) in self._done

    def plan(self, file: str, units: str) -> list[Row] | None:
        """Rows of a package's plan, or None if it has none yet."""
        own = [row for row in self._placement.rows if (row["file"], row["units"]) == (file, units)]
        return own or None

    def add(self, row: Row) -> None:
        """Note a timing."""
        self._results.append([row])
        self._done.add(tuple(row[name] for name in _KEY))

    def add_plan(self, rows: Sequence[Row]) -> None:
        """Note where the ops of a package run."""
        self._placement.append(rows)
