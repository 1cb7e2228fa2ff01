"""Writing files so that a crash leaves the old one or the new one, never a half."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
