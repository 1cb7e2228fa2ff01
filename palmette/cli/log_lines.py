"""Where nobody looks on: a line of a log from time to time, which says how work stands.

All on standard error; work that is over before the first line is due gets none.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

EVERY_S = 15.0
"""Between two lines."""


class LogLines:
    """At most one line every `every_s` seconds, of whatever is told."""

    def __init__(self, every_s: float | None = None, file: IO[str] | None = None) -> None:
        """Begin to wait; by default `EVERY_S` for a line on standard error."""
        self._every_s = EVERY_S if every_s is None else every_s
        self._file = file
        self._due = time.monotonic() + self._every_s

    def tell(self, line: Callable[[], str]) -> None:
        """Print a line if one is due; else it is not even made."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._every_s
            print(line(), file=self._file or sys.stderr, flush=True)


@contextmanager
def ticking(text: str) -> Iterator[None]:
    """Lines on work that tells nothing of itself: its name, and how long it has taken."""
    begun, over = time.monotonic(), threading.Event()
    every_s = EVERY_S

    def tick() -> None:
        while not over.wait(every_s):
            print(f"{text}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
