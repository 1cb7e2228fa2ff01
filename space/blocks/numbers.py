"""Fields that hold several numbers: windows of a mixed convolution, taps, rates, widths of layers.

In text they are joined by dots (`k3.5.7`, `t16.32`), in JSON they are a list, in memory a tuple.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field
from typing import Any


class Numbers(tuple[int, ...]):
    """Integers that print as their text, such as `3.5.7`."""

    __slots__ = ()

    def __str__(self) -> str:
        return ".".join(map(str, self))


@dataclass(frozen=True, slots=True)
class Listed:
    """All `Numbers` of a set of allowed values, in any order: what a field asks of its names."""

    allowed: range | tuple[int, ...]
    examples: tuple[str, ...]
    """Texts that a message shows, the last one a rule in words."""
    least: int = 1
    """How many there must be."""

    def __contains__(self, value: object) -> bool:
        if isinstance(value, str):  # of a text
            return re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5})*", value) is not None
        return (
            isinstance(value, Numbers)
            and len(value) >= self.least
            and all(type(number) is int and number in self.allowed for number in value)
            and self._in_order(value)
        )

    def _in_order(self, numbers: Numbers) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        yield from self.examples

    def read(self, value: Any) -> Any:
        """`Numbers` of a text or a list; anything else as it is, for the validation to refuse."""
        if isinstance(value, str) and value in self:
            return Numbers(int(number) for number in value.split("."))
        return Numbers(value) if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True, slots=True)
class Rising(Listed):
    """Those whose numbers rise: none is given twice."""

    def _in_order(self, numbers: Numbers) -> bool:
        return all(small < large for small, large in itertools.pairwise(numbers))


def numbers_field(token: str, numbers: Listed, default: Any = MISSING) -> Any:
    """Several numbers, written as the token and the numbers between dots."""
    return field(default=default, metadata={"token": token, "names": numbers})
