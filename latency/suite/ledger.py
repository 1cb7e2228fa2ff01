"""What a suite's folder holds for certain: `made.jsonl`, a line for each package once it is there.

A line is written after the package is proven and in its place. It says what the package was made of
and the hash of its files. So a package counts when a line names it, the line says what would be
made today, and the files have that hash: not one that was half copied or changed, nor one that
another version made. A torn last line is no line.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

from palmette.latency.suite.manifest import hash_package
from palmette.latency.suite.packages import Job, Package
from palmette.space.errors import InputError, expect

LEDGER = "made.jsonl"


class Ledger:
    """Packages of a suite's folder, by file name; open it with `opened`."""

    def __init__(self, folder: Path, handle: int) -> None:
        self._folder = folder
        self._handle = handle
        self._packages = {package.file: package for package in _read(folder / LEDGER)}

    def holds(self, job: Job) -> Package | None:
        """Package of a job that is there, whole, and as it would be made today."""
        found = self._packages.get(job.file)
        if found is None or found.making != job.making:
            return None
        path = self._folder / found.file
        return found if path.exists() and hash_package(path) == found.sha256 else None

    def add(self, package: Package) -> None:
        """Note a package, through to the disk."""
        self._packages[package.file] = package
        os.write(self._handle, f"\n{json.dumps(asdict(package))}\n".encode())  # a torn line ends
        os.fsync(self._handle)


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """The ledger of a folder, which nobody else may write meanwhile.

    Raises:
        InputError: somebody else does.
    """
    handle = os.open(folder / LEDGER, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"{folder}: another process is writing this suite; wait for it, or name another"
                " folder"
            ) from None
        yield Ledger(folder, handle)
    finally:
        os.close(handle)


def _read(path: Path) -> Iterator[Package]:
    keys = {field.name for field in fields(Package)}
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # torn
        if isinstance(row, dict) and row.keys() == keys:
            expect(
                Path(str(row["file"])).name == row["file"], f"{path}: '{row['file']}' is no name"
            )
            yield Package(**{key: str(value) for key, value in row.items()})
