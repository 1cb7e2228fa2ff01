"""A CSV file that grows while a suite is timed, and outlives a run that is ended at any moment."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

Row = Mapping[str, str]


class RowFile:
    """A CSV file that grows by whole rows."""

    def __init__(self, path: Path, columns: Sequence[str], *, synced: bool = True) -> None:
        """Open a file, or begin one; a last line that was torn is cut off.

        Args:
            path: of the file.
            columns: its header.
            synced: rows are seen to the disk, each before the next.

        Raises:
            InputError: it cannot be read, or its columns are others.
        """
        self.path = path
        self.synced = synced
        self.columns = tuple(columns)
        self.rows: list[Row] = []
        if not path.exists():
            self._rewrite([])
            return
        try:
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]  # a line may be torn inside a character
            lines = list(csv.reader(io.StringIO(whole.decode("utf-8"), newline="")))
        except (OSError, ValueError, csv.Error) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        begun = ",".join(self.columns).encode()
        expect(
            whole != b"" or begun.startswith(data),
            f"{path}: cannot be read (its first line has no end); name another file",
        )
        header, *lines = lines or [list(self.columns)]
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
        if not whole:
            self._rewrite([])
        elif len(whole) < len(data):
            os.truncate(path, len(whole))

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows and see them to the disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(self._text(rows))
            file.flush()
            if self.synced:
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
