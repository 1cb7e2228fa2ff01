"""Tables of reference networks: a line each, under its family, and the sources below."""

from __future__ import annotations

import textwrap
from typing import Any

WIDTH = 80


def number(value: float | None, form: str) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else format(value, form)


def print_families(
    title: str, columns: list[str], rows: list[dict[str, Any]], cells: list[list[str]]
) -> None:
    """Print a line of cells for each row, with its `name` before and a mark of its `source` behind.

    Columns are as wide as they need: 80 characters hold a name and eight short figures.
    """
    marks = _marks(rows)
    lines = [["network", *columns, "source"]]
    lines += [
        [row["name"], *values, marks[row["source"]]]
        for row, values in zip(rows, cells, strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *body = [_line(values, widths) for values in lines]
    print(f"{title}\n\n{head}")
    family = None
    for row, line in zip(rows, body, strict=True):
        if row["family"] != family:
            family = row["family"]
            print(f"\n{family}")
        print(line)


def print_sources(rows: list[dict[str, Any]]) -> None:
    """Print what the marks of `print_families` stand for."""
    print("\nSources")
    for source, mark in _marks(rows).items():
        print_folded(f"{mark} {source}")


def print_folded(line: str) -> None:
    """Print a sentence on as many lines as it needs, the later ones indented."""
    print(textwrap.fill(line, WIDTH, subsequent_indent="    "))


def _marks(rows: list[dict[str, Any]]) -> dict[str, str]:
    """A numbered mark for every source, in order of appearance."""
    sources = dict.fromkeys(row["source"] for row in rows)
    return {source: f"[{count}]" for count, source in enumerate(sources, 1)}


def _line(values: list[str], widths: list[int]) -> str:
    name, *rest = zip(values, widths, strict=True)
    return " ".join([name[0].ljust(name[1]), *(text.rjust(width) for text, width in rest)])
