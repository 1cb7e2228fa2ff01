"""Processes that this one started, and the end of those that hang.

coremltools runs `devicectl` without a limit of time, and waits for it even where nobody waits for
the answer any more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def descendants() -> set[int]:
    """Ids of all processes that come from this one and still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listed.stdout.splitlines())}
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        parent = todo.pop()
        own = {pid for pid, of in parents.items() if of == parent and pid not in found}
        found |= own
        todo += own
    return found


def end_since(before: set[int]) -> None:
    """End all that were started since `before` was taken, by their ids."""
    for pid in descendants() - before:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
