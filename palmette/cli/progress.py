"""How a search stands, shown while it runs; always on standard error, which no program reads.

A terminal gets a display that is drawn anew; a log file gets a line from time to time, and nothing
of a search that is over before the first is due.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from palmette.cli.log_lines import EVERY_S, LogLines

if TYPE_CHECKING:
    from rich.console import Console, Group

    from palmette.search.trials.progress import Snapshot

MOST_WORKERS = 12
"""Rows of workers on a terminal."""


@contextmanager
def shown(
    console: Console | None = None, every_s: float = EVERY_S
) -> Iterator[Callable[[Snapshot], None]]:
    """What to tell of snapshots while a search runs.

    Args:
        console: default: standard error.
        every_s: seconds between lines, where the console is no terminal.
    """
    from rich.console import Console

    console = Console(stderr=True) if console is None else console
    if not console.is_terminal:
        yield _lines(console, every_s)
        return
    from rich.live import Live

    with Live(console=console, refresh_per_second=4, transient=True) as live:

        def told(snapshot: Snapshot) -> None:
            live.update(display(snapshot))

        yield told


def line(snapshot: Snapshot) -> str:
    """A snapshot in one line; what is not known is left out."""
    parts = [f"{snapshot.stage} {snapshot.done:,}/{snapshot.planned:,}"]
    parts += [f"{snapshot.failed:,} failed"] if snapshot.failed else []
    parts += [f"{snapshot.running:,} running"] if snapshot.running else []
    if not math.isnan(snapshot.hypervolume):
        trend = "" if math.isnan(snapshot.trend) else f" ({snapshot.trend:+.1%} lately)"
        parts.append(f"hypervolume {snapshot.hypervolume:.4g}{trend}")
    if not math.isnan(snapshot.best):
        parts.append(f"best score {snapshot.best:.2f}")
    if math.isfinite(snapshot.eta_s):
        parts.append(f"{_duration(snapshot.eta_s)} to go")
    return ", ".join(parts)


def display(snapshot: Snapshot) -> Group:
    """What a terminal shows: the line, a bar, and a row for each worker."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = ProgressBar(max(snapshot.planned, 1), snapshot.done + snapshot.failed, width=60)
    if not snapshot.workers:
        return Group(Text(line(snapshot)), bar)
    table = Table("worker", "trial", "for", "done", "restarts", box=None, pad_edge=False)
    for row in snapshot.workers[:MOST_WORKERS]:
        busy = row.task is not None
        table.add_row(
            Text(row.worker),
            str(row.task.trial) if row.task is not None else "idle",
            _duration(row.seconds) if busy and math.isfinite(row.seconds) else "",
            f"{row.done:,}",
            f"{row.restarts:,}",
        )
    more = len(snapshot.workers) - MOST_WORKERS
    under = [Text(f"and {more} workers more")] if more > 0 else []
    return Group(Text(line(snapshot)), bar, table, *under)


def _lines(console: Console, every_s: float) -> Callable[[Snapshot], None]:
    lines = LogLines(every_s, console.file)
    return lambda snapshot: lines.tell(lambda: line(snapshot))


def _duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
