"""One process at a time in a folder: a lock that the system lets go of when a process dies.

So a kill leaves nothing to clean up by hand.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from palmette.space.errors import InputError


class Held(InputError):
    """Another process works in the folder."""


@contextmanager
def held(
    folder: Path, lock: str, work: str, begun: Callable[[], bool], patience_s: float = 0.0
) -> Iterator[None]:
    """Hold a folder for this process, making it; left without anything begun, it is removed.

    Args:
        folder: to hold.
        lock: name of the file in it.
        work: what is done in it, for the message to another process.
        begun: whether the folder holds something to keep; asked at the end.
        patience_s: for how long to wait for a process that holds it.

    Raises:
        Held: another process holds it.
        InputError: it can't be made or written.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"{folder}: can't be a run's folder ({error.strerror})") from None
    try:
        until = time.monotonic() + patience_s
        while not _locked(handle):
            if time.monotonic() >= until:
                raise Held(f"{folder}: another {work} is running in this folder")
            time.sleep(0.1)
        yield
    finally:
        if not begun():
            (folder / lock).unlink(missing_ok=True)
        os.close(handle)
        _remove_empty(made)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, up to one that holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
