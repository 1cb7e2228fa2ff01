"""The table of contents: `docs/index.md`, which lists pages by section, is the only list.

On GitHub the lists are links. Here each section becomes a part of the sidebar too, and the lines
`<!-- pages: NAME -->` become the pages that are made when the site is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

MARKER = re.compile(r"^<!-- pages: (\w+) -->$", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
ITEM = re.compile(r"^- \[[^\]]+\]\((?P<page>[^)#]+\.md)\)", re.MULTILINE)

Made = Mapping[str, Sequence[tuple[str, str, str]]]
"""Name of a list -> its pages: title, path from the index, what it says."""


def with_contents(index: str, made: Made) -> str:
    """The landing page with the pages that are made, and every section in the sidebar.

    Raises:
        KeyError: the page asks for a list that nobody makes.
    """
    index = MARKER.sub(lambda match: _list(made[match[1]]), index)
    head, *sections = re.split(r"(?m)^(?=## )", index)
    return head + "".join(_with_tree(section) for section in sections)


def _list(pages: Sequence[tuple[str, str, str]]) -> str:
    return "\n".join(f"- [{title}]({path}): {words}" for title, path, words in pages)


def _with_tree(section: str) -> str:
    title = SECTION.match(section)
    pages = [str(PurePosixPath(match["page"])) for match in ITEM.finditer(section)]
    if title is None or not pages:
        return section
    entries = "\n".join(_entry(page) for page in dict.fromkeys(pages))
    options = f":hidden:\n:caption: {title[1]}\n"
    return f"{section.rstrip()}\n\n```{{toctree}}\n{options}\n{entries}\n```\n\n"


def _entry(page: str) -> str:
    """A page of another folder is given from the root, as Sphinx has no `..` in a table."""
    return "/" + page.removeprefix("../") if page.startswith("../") else page
