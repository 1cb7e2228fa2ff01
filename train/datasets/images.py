"""A set of labelled images, whatever it is stored in: in memory, in files, or a part of another.

An image is an array of bytes (height, width, 3), RGB. What augments, scales and normalises it comes
later (`train.transforms`, `train.device`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import InputError

ORIENTATION = 0x0112
"""Exif's tag; most files have none, and turning costs a copy."""
Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


class ImageSet(Protocol):
    """Images with labels; `labels` (n,) are indices of `classes`."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their indices."""
        ...

    @property
    def labels(self) -> Labels:
        """Class of each image, shape (n,)."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a message calls an image."""
        ...

    def stamp(self, index: int) -> str | None:
        """What changes when a stored image changes; None where there is nothing to check."""
        ...

    def read(self, index: int) -> Pixels:
        """Pixels (height, width, 3); raises InputError if they can't be decoded."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImages:
    """Images in memory: `pixels` (n, height, width, 3)."""

    pixels: Pixels
    labels: Labels
    classes: tuple[str, ...]
    title: str

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Title and place."""
        return f"{self.title}[{index}]"

    def stamp(self, index: int) -> None:
        """An array has no damage to look for."""

    def read(self, index: int) -> Pixels:
        """Pixels (height, width, 3)."""
        found: Pixels = self.pixels[index]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class FileImages:
    """Images in files of a format that Pillow reads."""

    paths: tuple[Path, ...]
    labels: Labels
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """Path of the file."""
        return str(self.paths[index])

    def stamp(self, index: int) -> str:
        """Path, size and time of the last change."""
        path = self.paths[index]
        try:
            found = path.stat()
        except OSError:
            return f"{path.absolute()}:missing"
        return f"{path.absolute()}:{found.st_size}:{found.st_mtime_ns}"

    def read(self, index: int) -> Pixels:
        """Pixels (height, width, 3); raises InputError if the file can't be decoded."""
        return decode(self.paths[index], self.name(index))


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    """Some images of a set, in an order of their own; `indices` (m,) into `whole`."""

    whole: ImageSet
    indices: Labels
    labels: Labels = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", self.whole.labels[self.indices])

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the whole set."""
        return self.whole.classes

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        """As the whole set names it."""
        return self.whole.name(int(self.indices[index]))

    def stamp(self, index: int) -> str | None:
        """As the whole set has it."""
        return self.whole.stamp(int(self.indices[index]))

    def read(self, index: int) -> Pixels:
        """Pixels (height, width, 3); raises InputError if they can't be decoded."""
        return self.whole.read(int(self.indices[index]))


def decode(source: Any, name: str) -> Pixels:
    """Pixels (height, width, 3) of an image file: upright, eight bits, RGB.

    Args:
        source: path, or a file opened for reading bytes.
        name: for the message.

    Raises:
        InputError: not an image that Pillow reads, or a damaged one.
    """
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on metadata: what matters is the pixels
            with Image.open(source) as image:
                image.load()
                turned = image.getexif().get(ORIENTATION, 1) != 1
                return to_rgb(ImageOps.exif_transpose(image) if turned else image)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: can't be decoded ({reason})") from None


def to_rgb(image: Any) -> Pixels:
    """Pixels (height, width, 3) of a Pillow image in any mode; transparent ones lie on white."""
    return _CONVERSIONS.get(image.mode, _plain)(image)


def _plain(image: Any) -> Pixels:
    if "transparency" in image.info:
        return _transparent(image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), np.uint8)


def _transparent(image: Any) -> Pixels:
    from PIL import Image

    above = image.convert("RGBA")
    white = Image.new("RGBA", above.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, above).convert("RGB"), np.uint8)


def _sixteen_bits(image: Any) -> Pixels:
    grey = np.clip(np.asarray(image, np.int64) >> 8, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


# Pillow itself would cut sixteen bits off at 255
_CONVERSIONS: dict[str, Callable[[Any], Pixels]] = {
    "RGBA": _transparent,
    "LA": _transparent,
    "PA": _transparent,
    **dict.fromkeys(("I", "I;16", "I;16L", "I;16B", "I;16N"), _sixteen_bits),
}
