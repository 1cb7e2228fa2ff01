"""A notebook as a page to read: its prose, and its code without outputs, as it is stored."""

from __future__ import annotations

import json
from pathlib import Path


def page_of_notebook(path: Path) -> str:
    """Markdown of a notebook; its first heading is the page's, and how to run it stands below."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    parts = [_cell(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    parts.insert(1, _how_to_run(path.name))
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(kind: str, source: str) -> str:
    if kind == "markdown":
        return source
    return f"```{'python' if kind == 'code' else 'text'}\n{source}\n```" if source else ""


def _how_to_run(name: str) -> str:
    return (
        f"```{{note}}\nThis page shows the notebook's text and code. To see its figures, download\n"
        f"[{name}]({name}) and run it in Jupyter, beside an installed palmette.\n```"
    )
