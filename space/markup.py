"""Pieces of HTML that notebooks show: escaped, without scripts, in the colours of the page around.

All colours are the page's own, or see-through on it, so that they are read on light and on dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

FRAME = "border:1px solid rgba(128,128,128,0.45);border-radius:4px;"
QUIET = "opacity:0.75;"
_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;"


def titled(title: str, *pieces: str) -> str:
    """A block with a title in bold; the pieces are HTML already."""
    body = "".join(pieces)
    return (
        f'<div style="{FRAME}padding:8px 12px;margin:4px 0;max-width:60em;overflow-x:auto">'
        f"<strong>{escape(title)}</strong>{body}</div>"
    )


def facts(rows: Mapping[str, str]) -> str:
    """A table of names and what they are."""
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL}{QUIET}font-weight:normal">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(text)}</td></tr>'
        for name, text in rows.items()
    )
    return f'<table style="border-collapse:collapse">{lines}</table>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], bold: int = -1) -> str:
    """A table with a head; `bold` is the index of a row that stands out."""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(name)}</th>' for name in columns)
    body = ""
    for index, row in enumerate(rows):
        weight = "font-weight:bold;" if index == bold else ""
        cells = "".join(f'<td style="{_CELL}{weight}">{escape(text)}</td>' for text in row)
        body += f"<tr>{cells}</tr>"
    return (
        f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def sentence(text: str) -> str:
    """A quiet line."""
    return f'<div style="{QUIET}margin-top:4px">{escape(text)}</div>'
