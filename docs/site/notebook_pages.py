"""A notebook as a page to read: its prose, and its code without outputs, as it is stored.

Below the cells whose figures are kept as pictures stand these; `PICTURES` says which, and the tests
that draw them are held against it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PICTURES = {
    ("1_which_backbone.ipynb", "cell-11"): (
        "figure-front.png",
        "The front, and published networks",
    ),
    ("3_anatomy_of_a_backbone.ipynb", "cell-05"): (
        "figure-waterfall.png",
        "Where the milliseconds of MobileNetV3 go",
    ),
    ("5_one_search_many_phones.ipynb", "cell-08"): (
        "figure-transfer.png",
        "The best for one target, run on another",
    ),
}
"""Notebook and id of a cell -> the file in `docs/`, and what it shows."""
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def title(path: Path) -> str:
    """First heading of a notebook."""
    for cell in _cells(path):
        if found := TITLE.search("".join(cell["source"])):
            return found[1]
    raise ValueError(f"{path.name}: no heading")


def answers(path: Path, readme: str) -> str:
    """What the README's table says of a notebook."""
    row = re.search(rf"\| \[[^\]]+\]\(notebooks/{re.escape(path.name)}\) \| (.+?) \|", readme)
    if row is None:
        raise ValueError(f"README.md: no row for {path.name}")
    return row[1]


def page_of_notebook(path: Path) -> str:
    """Markdown of a notebook; its first heading is the page's, and how to run it stands below."""
    cells = _cells(path)
    parts = [_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    for place, cell in enumerate(cells):
        if shown := PICTURES.get((path.name, cell["id"])):
            parts[place] += f"\n\n![{shown[1]}](../docs/{shown[0]})"
    parts.insert(1, _how_to_run(path.name))
    return "\n\n".join(part for part in parts if part) + "\n"


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return cells


def _cell(kind: str, source: str) -> str:
    if kind == "markdown":
        return source
    return f"```{'python' if kind == 'code' else 'text'}\n{source}\n```" if source else ""


def _how_to_run(name: str) -> str:
    return (
        f"```{{note}}\nThis page shows the notebook's text and code. To see all figures, download\n"
        f"[{name}]({name}) and run it in Jupyter, beside an installed palmette.\n```"
    )
