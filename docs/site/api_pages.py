"""Reference of the Python API: a page a package, made from what its `__init__.py` lists.

The five folders stand in the contents; the page of each leads to those of the packages below it.
"""

from __future__ import annotations

import importlib
import inspect

from public_names import PACKAGES, Kind, PublicName, packages, public_names

FOLDER = "docs/reference/api"
GROUPS: dict[Kind, str] = {"function": "Functions", "class": "Classes", "constant": "Constants"}
LONGEST_VALUE = 72


def pages() -> dict[str, str]:
    """Path -> Markdown."""
    return {f"{FOLDER}/{folder}.md": page(folder) for folder in packages()}


def first_line(folder: str) -> str:
    """What a package says of itself."""
    words = inspect.getdoc(importlib.import_module(f"palmette.{folder}")) or ""
    return words.splitlines()[0]


def page(folder: str) -> str:
    """Every public name of a package: functions, classes, constants, each by its name."""
    names = public_names(folder)
    parts = [f"({anchor(folder)})=\n# palmette.{folder}", first_line(folder), *_below(folder)]
    for kind, title in GROUPS.items():
        group = sorted((one for one in names if one.kind == kind), key=lambda one: one.name.lower())
        if group:
            parts += [f"## {title}", *map(_entry, group)]
    return "\n\n".join(parts) + "\n"


def anchor(folder: str) -> str:
    """Where the page of a package begins."""
    return f"module-palmette.{folder}"


def _below(folder: str) -> list[str]:
    names = [f"{folder}.{name}" for name in PACKAGES.get(folder, ())]
    if not names:
        return []
    rows = [f"| [palmette.{name}]({name}.md) | {first_line(name)} |" for name in names]
    table = "\n".join(["| packages below | |", "|---|---|", *rows])
    return [table, "```{toctree}\n:hidden:\n\n" + "\n".join(names) + "\n```"]


def _entry(public: PublicName) -> str:
    if public.kind == "constant":
        return _constant(public)
    directive = f".. auto{public.kind}:: {public.path}"
    options = "\n   :members:\n   :undoc-members:" if public.kind == "class" else ""
    return f"```{{eval-rst}}\n{directive}{options}\n```"


def _constant(public: PublicName) -> str:
    value = repr(public.value)
    lines = [f":type: {type(public.value).__name__}"]
    if len(value) <= LONGEST_VALUE:
        lines.append(f":value: {value}")
    return "\n".join([f"````{{py:data}} {public.path}", *lines, "", public.words, "````"])
