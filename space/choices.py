"""Choices of a search space, and the rules that a single one must keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Choice = int | float | str
Table = Mapping[str, Sequence[Choice]]
"""A section of a space: keys and their choices, one where nothing varies."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a choice must be: in words that follow "must be", and as a check.

    `read` gives the one form of choices that mean the same.
    """

    text: str
    holds: Callable[[Any], bool]
    read: Callable[[Any], Choice] = lambda choice: choice


def whole(low: int, high: int) -> Rule:
    """An integer of a range."""
    return Rule(
        f"an integer from {low} to {high},",
        lambda value: type(value) is int and low <= value <= high,
    )


def ratio(low: float, high: float) -> Rule:
    """A number of a range, whole or not."""
    return Rule(
        f"a number from {low} to {high},",
        lambda value: type(value) in (int, float) and low <= value <= high,
    )


def one_of(names: Sequence[str]) -> Rule:
    """One of some names."""
    return Rule(f"one of {', '.join(names)};", lambda value: value in names)


def odd(high: int, *, none: bool = False) -> Rule:
    """An odd window; with `none`, also 0 for none."""
    return Rule(
        f"an odd integer from 1 to {high}{', or 0 for none' if none else ''},",
        lambda value: (
            type(value) is int
            and ((1 <= value <= high and value % 2 == 1) or (none and value == 0))
        ),
    )


_SIZE = re.compile("([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def image_size(choice: Choice) -> tuple[int, int]:
    """(height, width) in px of a resolution: a side, or `192x256`."""
    found = _SIZE.fullmatch(str(choice))
    return (int(found[1]), int(found[2])) if found else (int(choice), int(choice))


def resolution_of(height: int, width: int) -> int | str:
    """The choice of a size: its side if it is square, else such as `192x256`, height first."""
    return height if height == width else f"{height}x{width}"


def resolution(low: int, high: int) -> Rule:
    """A side, or height x width, of a range."""

    def holds(value: Any) -> bool:
        whole_number = type(value) is int
        sized = isinstance(value, str) and _SIZE.fullmatch(value) is not None
        return (whole_number or sized) and all(low <= px <= high for px in image_size(value))

    return Rule(
        f"an integer from {low} to {high}, or height x width of such, as '192x256',",
        holds,
        lambda value: resolution_of(*image_size(value)),
    )


YES_OR_NO = Rule("true or false,", lambda value: isinstance(value, bool))
