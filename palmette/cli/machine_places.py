"""Where things are kept: the database of studies, the cache, the disks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from palmette.cli.machine_row import Row

STORAGE_VARIABLE = "PALMETTE_STORAGE"
"""As `palmette.search.ledger.place` has it, which takes a second to import."""
ANSWER_S = 5.0
"""Most seconds that a database may take to answer."""
LEAST_FREE_MB = 200.0
"""Of a disk; a run with its packages takes tens."""
_MB = 1e6


def storage_rows() -> Iterator[Row]:
    """Where studies are kept, and whether that answers."""
    named = os.environ.get(STORAGE_VARIABLE)
    if not named:
        detail = f"{STORAGE_VARIABLE} is not set: a study is kept in its run's folder"
        yield Row("storage", "works", detail, needed=True)
        return
    from palmette.search.ledger.place import database, masked  # imports all of search: seconds
    from palmette.space.errors import InputError

    remedy = f"start the server, or put {STORAGE_VARIABLE} right, or unset it"
    try:
        reached = _reach(named)
    except InputError as error:
        detail = f"{STORAGE_VARIABLE}: {str(error).removeprefix('--storage: ')}"
        yield Row("storage", "broken", detail, remedy, True)
    else:
        yield Row("storage", "works", f"{masked(database(named))}: {reached}", needed=True)


def _reach(named: str) -> str:
    """How a database answers; a file that is not there is not made. InputError if it does not."""
    from palmette.search.ledger.place import database, masked
    from palmette.search.ledger.storage import connected
    from palmette.space.errors import expect

    url = database(named)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        folder = Path(str(url.database)).parent
        words = f"{masked(url)}: its folder is not there, or can't be written"
        expect(folder.is_dir() and os.access(folder, os.W_OK), words)
        return "not there yet, and can be made"
    connected(url, within_s=ANSWER_S).dispose()
    return "reached"


def folder_rows() -> Iterator[Row]:
    """The cache, the disk under it, and the one under the folder that one is in."""
    cache = cache_folder()
    size, count = _size(cache)
    writable = _writable(cache)
    held = f"{size / _MB:.1f} MB in {count} files" if count else "nothing yet"
    if writable:
        yield Row("cache", "works", f"{cache}: {held}")
    else:
        remedy = "set XDG_CACHE_HOME to a folder that can be written; without one spaces are traced"
        yield Row("cache", "broken", f"{cache}: can't be written", f"{remedy} anew each time")
    for name, folder in {"disk of this folder": Path.cwd(), "disk of the cache": cache}.items():
        free_mb = shutil.disk_usage(_existing(folder)).free / _MB
        enough = free_mb >= LEAST_FREE_MB
        remedy = "" if enough else f"free some: at least {LEAST_FREE_MB:.0f} MB"
        yield Row(
            name, "works" if enough else "broken", f"{free_mb / 1e3:.1f} GB free", remedy, True
        )


def cache_folder() -> Path:
    """Where palmette keeps what it traced and checked."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palmette"


def _size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files in a folder; what can't be read does not count."""
    total = count = 0
    for path, _, files in os.walk(folder):
        for file in files:
            try:
                total += (Path(path) / file).stat().st_size
            except OSError:
                continue
            count += 1
    return total, count


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself."""
    for path in (folder, *folder.parents):
        if path.exists():
            return path.is_dir() and os.access(path, os.W_OK)
    return False
