"""Files: read with a fault in one line, written so that a crash leaves the old or the new whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from palmette.space.errors import InputError, expect


def expect_file(path: Path) -> None:
    """Raise InputError where there is no such file."""
    expect(path.is_file(), f"{path}: no such file")


def expect_new(path: Path, force: bool) -> None:
    """Raise InputError where `--out` can't be written, or stands and is not to be replaced."""
    expect(
        force or not path.exists(),
        f"{path}: exists; name another file with --out, or replace it with --force",
    )
    expect(not path.is_dir(), f"{path}: is a folder; name a file with --out")
    expect(
        path.parent.is_dir(),
        f"{path.parent}: is no folder; make it, or name another file with --out",
    )


def expect_readable(path: Path) -> None:
    """Raise InputError for a file that cannot be opened."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_text(path: Path, what: str = "") -> str:
    """Text of a UTF-8 file; raises InputError that names it, `what` before its path."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{what}{path}: cannot be read ({reason})") from None


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, making its folder; raises OSError as `open` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes, durable: bool = False) -> None:
    """Write a file atomically, making its folder; raises OSError as `open` does.

    Args:
        path: of the file.
        data: its content.
        durable: see it to the disk first, so that a power cut leaves no empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
