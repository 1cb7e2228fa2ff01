"""Values of stored predictors, checked one by one: JSON takes NaN, text and nulls for numbers."""

from __future__ import annotations

import sys
from typing import Any

LARGEST = sys.float_info.max


def number(value: Any, low: float = -LARGEST, high: float = LARGEST) -> float:
    """A finite number from low to high; raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"expected a number, got {value!r}")
    if not low <= value <= high:  # nor is NaN
        raise ValueError(f"expected a number from {low:g} to {high:g}, got {str(value)[:40]}")
    return float(value)


def whole(value: Any, low: int, high: int = 2**31) -> int:
    """An integer from low to high; raises TypeError or ValueError."""
    if type(value) is not int:
        raise TypeError(f"expected an integer, got {value!r}")
    return int(number(value, low, high))


def flag(value: Any) -> bool:
    """True or false; raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {value!r}")
    return value


def text(value: Any) -> str:
    """Text; raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value


def listed(value: Any) -> list[Any]:
    """A list; raises TypeError (text and objects can be walked too)."""
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return value
