"""Choices of a search space, and the rules that a single one must keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Choice = int | float | str
Table = Mapping[str, Sequence[Choice]]
"""A section of a space: keys and their choices, one where nothing varies."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a choice must be: in words that follow "must be", and as a check."""

    text: str
    holds: Callable[[Any], bool]


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


YES_OR_NO = Rule("true or false,", lambda value: isinstance(value, bool))
