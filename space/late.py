"""Names that a package lists and opens when they are asked for, as what they need is heavy.

A package imports them below `TYPE_CHECKING`, where checkers and the reference read them, and lets
this find them when it runs (PEP 562). No such name may be that of a module of the package: that
module, once imported, would take its place.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def opened_late(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package, from its modules and what each has to give.

    What it returns raises AttributeError for other names, as any module does.
    """
    module_of = {name: module for module, given in names.items() for name in given}

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
