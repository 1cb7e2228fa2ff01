"""Names that a package lists and opens when they are asked for, as what they need is heavy.

A package imports them below `TYPE_CHECKING`, where checkers and the reference read them, and lets
this find them when it runs (PEP 562). One of them may be called as its module is: it stays what the
name says, however often the module is imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    """A package in which a listed name is never that of a module: importing one would bind it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self.__dict__["_opened_late"]):
            super().__setattr__(name, value)


def opened_late(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package, from its modules and what each has to give.

    What it returns raises AttributeError for other names, as any module does.
    """
    module_of = {name: module for module, given in names.items() for name in given}
    opened = sys.modules[package]
    opened.__dict__["_opened_late"] = frozenset(module_of)
    opened.__class__ = _Package

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)
        setattr(opened, name, value)
        return value

    return get
