"""The manifest of a suite: `manifest.csv` in its folder, a row for each timing in the run's order.

Packages lie beside it. An anchor has a row for each time that it is timed, all with one file.
`sha256` is that of the package's files, so that a result can be traced to what was timed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from palmette.latency.planning.plan import KINDS, ROLES
from palmette.latency.tables import read_csv
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

MANIFEST = "manifest.csv"


@dataclass(frozen=True, slots=True)
class Entry:
    """A timing to be made."""

    position: int
    """In the run, from 1."""
    file: str
    """Of the package, a name in the suite's folder."""
    sha256: str
    subject_kind: str
    subject: str
    role: str
    target: str
    """Full name of what it was made for."""
    input_name: str
    """Of the only input; names by `;` where there are several."""
    input_shape: str
    """`1x24x56x56`; shapes by `;` where there are several."""
    format: str
    """`mlprogram` or `neuralnetwork`."""
    system: str
    """Oldest that runs it, such as `iOS17`."""


COLUMNS = tuple(field.name for field in fields(Entry))


def write_manifest(folder: Path, entries: Sequence[Entry]) -> None:
    """Write a suite's manifest, atomically."""
    import pandas as pd

    table = pd.DataFrame([astuple(entry) for entry in entries], columns=list(COLUMNS))
    write_text(folder / MANIFEST, table.to_csv(index=False))


def read_manifest(folder: Path) -> list[Entry]:
    """Entries of a suite's manifest, in the run's order.

    Raises:
        InputError: unreadable, a column missing, no rows, or a cell against its rule; the message
            names file, row, column, rule and value.
    """
    path = folder / MANIFEST
    table = read_csv(path)
    missing = [name for name in COLUMNS if name not in table]
    expect(not missing, f"{path}: column '{', '.join(missing)}' is missing; write the suite again")
    expect(len(table) > 0, f"{path}: the manifest has no rows; write the suite again")
    entries = []
    for at, (row, *cells) in enumerate(table[list(COLUMNS)].itertuples(name=None)):
        entry = Entry(at + 1, *cells[1:])
        _check(entry, cells[0], f"{path}: row {row}")
        entries.append(entry)
    return entries


def _check(entry: Entry, position: str, where: str) -> None:
    expect(
        position == str(entry.position),
        f"{where}: position must be {entry.position}, got '{position}'; a row is missing or moved",
    )
    for column, value, known in (
        ("subject_kind", entry.subject_kind, KINDS),
        ("role", entry.role, ROLES),
    ):
        expect(
            value in known,
            f"{where}: {column} must be one of {', '.join(known)}, got '{value}'",
        )
    expect(
        Path(entry.file).name == entry.file and entry.file not in ("", ".", ".."),
        f"{where}: file must be a name in the folder, got '{entry.file}'",
    )
    try:
        parse_target(entry.target)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def hash_package(path: Path) -> str:
    """SHA-256 of a package, a file or a folder: of names and contents, in the order of names."""
    digest = hashlib.sha256()
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in inside:
        if file.is_file():
            name = file.relative_to(path).as_posix() if path.is_dir() else ""
            digest.update(f"{name}\n{file.stat().st_size}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
