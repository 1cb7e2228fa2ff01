"""`results.csv` and `placement.csv` while a suite is timed: whole rows, each seen to the disk.

A run that was ended goes on: rows that are there are not timed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from palmette.latency.devices.place import Place
from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.results import (
    COLUMNS,
    KEY,
    PLACEMENT_COLUMNS,
    placement_beside,
)
from palmette.latency.suite.row_file import Row, RowFile
from palmette.space.errors import expect


class ResultsLog:
    """Both files of one run."""

    def __init__(self, path: Path, entries: Sequence[Entry], place: Place) -> None:
        """Open them, or begin them.

        Raises:
            InputError: they hold timings of another suite or another machine.
        """
        self._results = RowFile(path, COLUMNS)
        self._placement = RowFile(placement_beside(path), PLACEMENT_COLUMNS)
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
        self._done = {tuple(row[name] for name in KEY) for row in self._results.rows}
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
        self._done.add(tuple(row[name] for name in KEY))

    def add_plan(self, rows: Sequence[Row]) -> None:
        """Note where the ops of a package run."""
        self._placement.append(rows)
