"""What the packages offer: the names of their `__init__.py`, and where each is written.

A name is public because its folder's `__init__.py` lists it; nothing else keeps a list.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Kind = Literal["class", "function", "constant"]
PACKAGES = {
    "space": (),
    "export": ("compression", "gates", "quantised"),
    "latency": (
        "host",
        "foreign",
        "per_op",
        "suite",
        "validation",
        "synthetic",
        "drift",
        "sharing",
    ),
    "train": ("datasets", "supernet"),
    "search": ("bundle", "trials", "expensive", "ledger", "report"),
}
"""Folder -> the packages below it whose names are public as well."""


def packages() -> tuple[str, ...]:
    """All of them, each as `palmette.NAME` imports it."""
    return tuple(
        name
        for folder, below in PACKAGES.items()
        for name in (folder, *(f"{folder}.{one}" for one in below))
    )


@dataclass(frozen=True, slots=True)
class PublicName:
    """A name that a package lists."""

    package: str
    name: str
    kind: Kind
    value: Any
    words: str
    """Its own docstring, of a constant the text below its assignment; empty if it has none."""

    @property
    def path(self) -> str:
        return f"{self.package}.{self.name}"


def public_names(folder: str) -> list[PublicName]:
    """Names that `palmette.FOLDER` imports for others, and those that it writes itself."""
    package = f"palmette.{folder}"
    module = importlib.import_module(package)
    names = [*_imports(package), *_written(package)]
    return [_named(package, name, getattr(module, name)) for name in names]


def members(public: PublicName) -> list[tuple[str, str]]:
    """Public methods and properties that a class writes itself, and their docstrings."""
    own = vars(public.value).items() if public.kind == "class" else ()
    return [
        (name, inspect.getdoc(member) or "")
        for name, member in own
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod))
    ]


def _named(package: str, name: str, value: Any) -> PublicName:
    if inspect.isclass(value):
        words = value.__dict__.get("__doc__") or ""
        made = words.startswith(f"{value.__name__}(")  # what a dataclass without words says
        return PublicName(package, name, "class", value, "" if made else words)
    if callable(value):
        return PublicName(package, name, "function", value, inspect.getdoc(value) or "")
    return PublicName(package, name, "constant", value, _words_of_constant(package, name))


@lru_cache
def _place(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return Path(spec.origin)


@lru_cache
def _body(module: str) -> list[ast.stmt]:
    return ast.parse(_place(module).read_text("utf-8")).body


def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Name -> the module that it is imported from, and its name there; of a package, its list.

    A package lists a name by `import name as name`; what it imports otherwise is for itself.
    """
    body = _body(module)
    late = [one for block in body if isinstance(block, ast.If) for one in block.body]
    package = _place(module).name == "__init__.py"
    return {
        alias.asname or alias.name: (statement.module or "", alias.name)
        for statement in [*body, *late]
        if isinstance(statement, ast.ImportFrom) and not statement.level
        for alias in statement.names
        if alias.asname or not package
    }


def _written(module: str) -> list[str]:
    """Public constants and functions of a file's own."""
    functions = [one.name for one in _body(module) if isinstance(one, ast.FunctionDef)]
    names = [*(name for one in _body(module) for name in _assigned(one)), *functions]
    return [name for name in names if not name.startswith("_")]


def _words_of_constant(module: str, name: str) -> str:
    while name in _imports(module):
        module, name = _imports(module)[name]
    body = _body(module)
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if name in _assigned(statement) and isinstance(following, ast.Expr):
            text = following.value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                return inspect.cleandoc(text.value)
    return ""


def _assigned(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []
