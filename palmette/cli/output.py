"""What commands print: tables, listed metrics, and that something is going on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def print_table(
    title: str, columns: list[str], rows: list[list[str]], to_stderr: bool = False
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(stderr=to_stderr).print(table)


def listed(metrics: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in metrics.items())


def status(text: str) -> Any:
    from rich.console import Console

    return Console(stderr=True).status(text)


def note(line: str) -> None:
    """A line beside the answer, on standard error."""
    print(line, file=sys.stderr)


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bar of things that are counted, if somebody looks on: tell(what, done, of)."""
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

        def tell(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        yield tell
