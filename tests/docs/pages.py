"""Pages of the documentation, taken apart: blocks by their language, command lines."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def fenced(name: str, *languages: str) -> list[str]:
    """Blocks of a page with one of these languages."""
    return [body for language, body in FENCE.findall(text(name)) if language in languages]


def lines(name: str) -> list[str]:
    """Every `palmette` line of a page's blocks without a language, as it is to be typed."""
    shown = (line.removeprefix("$ ") for body in fenced(name, "") for line in body.splitlines())
    return [line for line in shown if line.startswith("palmette ")]


def arguments_of(line: str) -> list[str]:
    """Arguments of a `palmette` line, its comment left out."""
    return shlex.split(line, comments=True)[1:]
