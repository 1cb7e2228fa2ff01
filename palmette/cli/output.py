"""What commands print: tables, listed metrics, and that something is going on."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from palmette.cli.log_lines import LogLines, ticking

FIGURE = re.compile(r"[-+×÷/x ]*\d[\d.,]*(e[-+]?\d+)?( .*|%)?")
"""A cell that is a figure: `0.642`, `+4.2 ± 1.0`, `×/÷ 1.15`, `17`."""
BESIDE_FIGURES = re.compile(r"-?|[a-z]{1,5}")
"""What may stand among figures: nothing, a dash, a short word such as `tie`."""
GAP = 2
"""Characters between columns."""
LEAST_TEXT = 24
"""Characters that the last column has at least, before others fold too."""


def print_table(
    title: str, columns: list[str], rows: list[list[str]], to_stderr: bool = False
) -> None:
    """Print rows under a line of heads; columns that say nothing are left out.

    Words and figures stay whole, and nothing is cut off: where a line is too narrow the last column
    folds at spaces, then other texts do, then the table is wider than the line.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    told = [i for i in range(len(columns)) if not rows or any(row[i] for row in rows)]
    cells = [[row[i] for row in rows] for i in told]
    heads = [columns[i] for i in told]
    figures = [_are_figures(column) for column in cells]
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    widths = _widths([[head, *column] for head, column in zip(heads, cells, strict=True)], figures)
    for head, width, right in zip(heads, widths, figures, strict=True):
        table.add_column(head, justify="right" if right else "left", width=width)
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    # as wide as the table, also where a line is not: nothing is cut off
    width = max(sum(widths) + GAP * len(widths), len(title))
    console = Console(stderr=to_stderr, width=width, markup=False, emoji=False, highlight=False)
    out = sys.stderr if to_stderr else sys.stdout
    with console.capture() as captured:
        console.print(_folded(title, out), style="bold")
        console.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip(), file=out)
    print(file=out)


def _widths(columns: list[list[str]], figures: list[bool]) -> list[int]:
    """Characters of each column: what it asks for, less what a line of the terminal has not."""
    widths = [max(len(line) for cell in cells for line in cell.split("\n")) for cells in columns]
    words = [max(len(word) for cell in cells for word in cell.split() or [""]) for cells in columns]
    least = [
        width if right else word for width, word, right in zip(widths, words, figures, strict=True)
    ]
    last = len(columns) - 1
    missing = sum(widths) + GAP * last - _width()
    readable = max(least[last], min(LEAST_TEXT, widths[last]))
    for i, floor in [(last, readable), *enumerate(least)]:
        cut = min(max(missing, 0), widths[i] - floor)
        widths[i] -= cut
        missing -= cut
    return widths


def _are_figures(cells: list[str]) -> bool:
    """Whether a column stands at the right, so that its figures are below each other."""
    others = [cell for cell in cells if not FIGURE.fullmatch(cell)]
    return len(others) < len(cells) and all(map(BESIDE_FIGURES.fullmatch, others))


def say(line: str, to_stderr: bool = False) -> None:
    """A sentence of the answer; on a terminal it is folded at words, elsewhere it is one line."""
    out = sys.stderr if to_stderr else sys.stdout
    print(_folded(line, out), file=out)


def _folded(line: str, out: TextIO) -> str:
    """A line as it is, or in lines of a terminal that are parted at spaces alone."""
    if not out.isatty():
        return line
    return textwrap.fill(line, _width(), break_long_words=False, break_on_hyphens=False)


def at_confidence(confidence: float) -> str:
    """What a column `at conf.` holds."""
    return (
        f"at conf.: milliseconds that a network stays below with {percent(confidence)} confidence"
    )


def percent(share: float) -> str:
    """A confidence as people say it: `80 %`, `97.5 %`."""
    return f"{100 * share:.4g} %"


def say_next(command: str, purpose: str) -> None:
    """What to do next; the command, which is copied, is never folded."""
    line = f"next: {command} ({purpose})"
    if sys.stdout.isatty() and len(line) > _width():
        line = f"next: {command}\n      ({purpose})"
    print(line)


def _width() -> int:
    return shutil.get_terminal_size().columns


def listed(metrics: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in metrics.items())


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show that something is going on; in a log, from time to time."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(text) if console.is_terminal else ticking(text):
        yield


def note(line: str) -> None:
    """A line beside the answer, on standard error."""
    say(line, to_stderr=True)


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bar of things that are counted, or lines of a log: tell(what, done, of)."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    off = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=off) as bar:
        task = bar.add_task("", total=None)
        lines = LogLines()

        def tell(what: str, done: int, of: int) -> None:
            if off:
                lines.tell(lambda: f"{what} {done}/{of}")
            bar.update(task, description=what, completed=done, total=of)

        yield tell
