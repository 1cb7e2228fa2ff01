"""Sizes of the images that one package takes: some (`Sizes`), or all of a range (`SizeRange`).

Without either a package takes one size, the architecture's own. Core ML keeps enumerated sizes on
the Neural Engine; a range usually leaves it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from palmette.space.errors import InputError, expect

Size = tuple[int, int]
"""(height, width) in px."""

MOST_SIZES = 128
"""Shapes that Core ML lets an input enumerate."""
SIZE = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size that a package takes; the network's own must be among them.

    Raises:
        InputError: fewer than two, too many, or one that comes twice.
    """

    every: tuple[Size, ...]

    def __post_init__(self) -> None:
        expect(
            1 < len(self.every) <= MOST_SIZES,
            f"sizes: from 2 to {MOST_SIZES} can be enumerated, got {len(self.every)}; one alone is"
            " the network's resolution",
        )
        for size in self.every:
            _check(size, "sizes")
            expect(self.every.count(size) == 1, f"sizes: {size_text(size)} comes twice")

    def holds(self, size: Size) -> bool:
        """Whether a package takes the size."""
        return size in self.every

    def samples(self) -> tuple[Size, ...]:
        """Sizes that stand for all: here all of them."""
        return self.every

    def to_text(self) -> str:
        """As `read_sizes` reads it."""
        return ",".join(map(size_text, self.every))


@dataclass(frozen=True, slots=True)
class SizeRange:
    """Every height and every width between two sizes, both included.

    Raises:
        InputError: the range is empty, or of one size.
    """

    least: Size
    most: Size

    def __post_init__(self) -> None:
        for size in (self.least, self.most):
            _check(size, "size range")
        grows = self.least != self.most and all(
            low <= high for low, high in zip(self.least, self.most, strict=True)
        )
        expect(grows, f"size range: must grow from the least to the most, got {self.to_text()}")

    def holds(self, size: Size) -> bool:
        """Whether a package takes the size."""
        return all(
            low <= px <= high for low, px, high in zip(self.least, size, self.most, strict=True)
        )

    def samples(self) -> tuple[Size, ...]:
        """Sizes that stand for all: both ends, and the two that are tall and wide."""
        (low, narrow), (high, wide) = self.least, self.most
        return tuple(dict.fromkeys((self.least, (high, narrow), (low, wide), self.most)))

    def to_text(self) -> str:
        """As `read_range` reads it."""
        return f"{size_text(self.least)}..{size_text(self.most)}"


Flexible = Sizes | SizeRange


def size_text(size: Size) -> str:
    """Such as `192x256`, height first."""
    return f"{size[0]}x{size[1]}"


def read_size(text: str, where: str) -> Size:
    """A size from `224` (square) or `192x256` (height x width).

    Raises:
        InputError: begins with `where`.
    """
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{where}: a size is HEIGHTxWIDTH in px, such as 192x256, or one number; got '{text}'"
        )
    height, width = found.groups()
    size = (int(height), int(width or height))
    _check(size, where)
    return size


def read_sizes(text: str, where: str) -> Sizes:
    """Sizes from `192x192,224x224`.

    Raises:
        InputError: begins with `where`, or names the rule of `Sizes`.
    """
    return Sizes(tuple(read_size(part, where) for part in text.split(",")))


def read_range(text: str, where: str) -> SizeRange:
    """A range from `160..320` or `128x160..256x320`.

    Raises:
        InputError: begins with `where`, or names the rule of `SizeRange`.
    """
    least, dots, most = text.partition("..")
    expect(dots != "", f"{where}: a range is LEAST..MOST, such as 160..320; got '{text}'")
    return SizeRange(read_size(least, where), read_size(most, where))


def _check(size: Size, where: str) -> None:
    expect(
        len(size) == 2 and all(type(px) is int and px > 0 for px in size),
        f"{where}: must be (height, width) in whole px, got {size!r}",
    )
