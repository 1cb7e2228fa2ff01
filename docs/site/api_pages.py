"""Reference of the Python API: a page a package, made from what its `__init__.py` lists."""

from __future__ import annotations

import importlib
import inspect

from public_names import PACKAGES, Kind, PublicName, public_names

FOLDER = "docs/reference/api"
GROUPS: dict[Kind, str] = {"function": "Functions", "class": "Classes", "constant": "Constants"}
LONGEST_VALUE = 72


def pages() -> dict[str, str]:
    """Path -> Markdown."""
    return {f"{FOLDER}/{folder}.md": page(folder) for folder in PACKAGES}


def first_line(folder: str) -> str:
    """What a package says of itself."""
    words = inspect.getdoc(importlib.import_module(f"palmette.{folder}")) or ""
    return words.splitlines()[0]


def page(folder: str) -> str:
    """Every public name of a package: functions, classes, constants, each by its name."""
    names = public_names(folder)
    parts = [f"# palmette.{folder}", first_line(folder)]
    for kind, title in GROUPS.items():
        group = sorted((one for one in names if one.kind == kind), key=lambda one: one.name.lower())
        if group:
            parts += [f"## {title}", *map(_entry, group)]
    return "\n\n".join(parts) + "\n"


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
