"""How long work is ended from outside: by Ctrl-C, or by SIGTERM as `kill` and clusters send it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer

from palmette.cli.door import RUN, TARGET_RUNS
from palmette.cli.output import note, status


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whatever tidies up after Ctrl-C does it after this too."""


def tell_interrupted(folder: Path, again: str) -> None:
    """Say on standard error what goes on with an interrupted run, or that it had not begun."""
    begun = any((folder / name).is_file() for name in (RUN, TARGET_RUNS))
    words = again if begun else "the same command; nothing was kept yet"
    note(f"interrupted; go on with: {words}")


def tell_repeatable() -> None:
    """Say the same where the command itself finds what it has done."""
    note("interrupted; go on with: the same command")


def tell_nothing() -> None:
    """Say the same of work whose files appear whole, and only at its end."""
    note("interrupted; nothing was written")


@contextmanager
def interruptible(tell: Callable[[], None]) -> Iterator[None]:
    """Work that Ctrl-C and SIGTERM end alike: `tell` says what goes on with it.

    The exit code is what a shell gives for the signal, 130 or 143.
    """
    owner = os.getpid()

    def terminated(number: int, _: FrameType | None) -> NoReturn:
        if os.getpid() != owner:  # a forked process, which has nothing to tell
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        sign = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
    except SystemExit as end:
        if end.code != signal.SIGTERM:
            raise
        sign = signal.SIGTERM  # Ray takes it in our place, once it is connected, and exits so
    else:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
    tell()
    raise typer.Exit(128 + sign)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Work that shows its name while it lasts, and whose files appear whole, at its end."""
    with interruptible(tell_nothing), status(text):
        yield
