"""A sweep of many members: the default suite runs some, `make sweeps` all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest


def sweep(names: Collection[Any], often: Collection[Any]) -> list[Any]:
    """Parameters of a test, in the order of `names`; those not run `often` are marked."""
    assert all(name in names for name in often), f"{often} are not all of {names}"
    return [
        pytest.param(name, marks=[] if name in often else [pytest.mark.sweep]) for name in names
    ]
