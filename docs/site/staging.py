"""The pages of the site as the repository has them, laid out in a folder for Sphinx.

The folder mirrors the repository, so that a link that leads somewhere on GitHub leads to the same
place on the site. Three kinds of link are changed: to a notebook (to its page), to a folder (to
its README, or to the measured results), and to a page that is not part of the site (to the file).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from notebook_pages import page_of_notebook

from palmette.space.errors import expect

ROOT = Path(__file__).resolve().parents[2]
INDEX = "docs/index.md"
FOLDERS = ("space", "export", "latency", "train", "search")
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "train/supernet/README.md")
FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\[[^\]]*\]\()([^)\s]+)(\))")
MARK = ".palmette-site"
"""File that says that a folder is of a build, whose other files may go."""
BESIDE = {"results": "docs/results/index.md"}
"""Folders without a README, and the page that tells of them."""

Staged = dict[str, str | Path]
"""Path in the folder -> its text, or the file to copy."""


def page_paths(root: Path = ROOT) -> list[str]:
    """Markdown files that are pages of the site, as paths from the repository's root."""
    documents = (path.relative_to(root) for path in sorted((root / "docs").rglob("*.md")))
    written = [path.as_posix() for path in documents if path.parts[1] != "site"]
    return [*PAGES, *(f"{folder}/README.md" for folder in FOLDERS), *written]


def notebook_paths(root: Path = ROOT) -> list[str]:
    """Notebooks, in the order of their numbers."""
    return [path.relative_to(root).as_posix() for path in sorted(root.glob("notebooks/*.ipynb"))]


def staged(root: Path = ROOT) -> Staged:
    """Everything that the repository itself brings: pages, notebooks, and the files they link to.

    Raises:
        FileNotFoundError: a page links to nothing.
    """
    found: Staged = {}
    for name in notebook_paths(root):
        found[name] = root / name
        found[notebook_page(name)] = page_of_notebook(root / name)
    pages = page_paths(root)
    sources = {name: (root / name).read_text("utf-8") for name in pages}
    sources |= {name: text for name, text in found.items() if isinstance(text, str)}
    for name, text in sources.items():
        page, files = _with_links(name, text, root, {*sources, *BESIDE.values()})
        found[name] = page
        found |= {file: root / file for file in files if file not in found}
    return found


def notebook_page(notebook: str) -> str:
    return notebook.removesuffix(".ipynb") + ".md"


def _with_links(name: str, text: str, root: Path, pages: set[str]) -> tuple[str, list[str]]:
    """A page with its links as the site needs them, and the files that they lead to."""
    files: list[str] = []

    def change(match: re.Match[str]) -> str:
        target, mark, anchor = match[2].partition("#")
        if not target or "://" in target:
            return match[0]
        path = os.path.normpath(PurePosixPath(name).parent / target)
        goal = _goal(path, root, pages)
        if goal not in pages:
            if not (root / goal).is_file():
                raise FileNotFoundError(f"{name}: links to {target}, which does not exist")
            files.append(goal)
        return match[1] + os.path.relpath(goal, PurePosixPath(name).parent) + mark + anchor + ")"

    return outside_of_code(text, lambda part: LINK.sub(change, part)), files


def _goal(path: str, root: Path, pages: set[str]) -> str:
    if path.endswith(".ipynb"):
        page = notebook_page(path)
        return page if page in pages else path
    if (root / path).is_dir():
        readme = os.path.normpath(f"{path}/README.md")
        return readme if readme in pages else BESIDE.get(path, path)
    return path


def outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """A text whose fenced blocks stay as they are."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def write(files: Staged, folder: Path) -> None:
    """Bring a folder to these files; one that is the same stays untouched, so builds can go on.

    Raises:
        InputError: the folder holds files, and none says that they are of a build.
    """
    mark = folder / MARK
    expect(
        mark.is_file() or not folder.is_dir() or not any(folder.iterdir()),
        f"{folder}: is not empty and no build of this site wrote it; name another folder",
    )
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    kept = {mark, *(folder / name for name in files)}
    for old in [path for path in folder.rglob("*") if path.is_file() and path not in kept]:
        old.unlink()
    for name, content in files.items():
        body = content.encode() if isinstance(content, str) else content.read_bytes()
        path = folder / name
        if not path.is_file() or path.read_bytes() != body:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
