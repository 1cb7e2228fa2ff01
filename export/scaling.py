"""How a package brings pixels to what its network was trained on.

The network sees `pixel * scale + bias`. An image input adds first and scales after, so that what it
adds is `bias / scale`. Then:

- one scale for all channels goes into the weights of the layers that read the image. Zeros that a
  convolution pads are zeros before and after a scale, so this is exact at the borders too; a bias
  in the weights would not be, which is why the input adds it;
- a scale for each channel is an op of the network: a multiplication that the program shows.

Bytes minus 127.5 are exact in half precision, and the input needs no multiplication of a whole
image in single precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from palmette.export.options import ExportOptions

Channels = tuple[float, float, float]
"""Red, green, blue."""
Scale = float | Channels

IMAGE, TENSOR = INPUTS = ("image", "tensor")
"""What a package takes: pixels, or an array of what the network sees."""
INPUT = "image"
"""Name of the input, whichever it is; `tensor` is a word of the program's own."""
LEAST_FOLDED = 2.0**-10
"""A scale that weights take in; a smaller one would leave them too few digits in half precision."""
SCALE, BIAS, SCALED_BY = "image_scale", "image_bias", "image_scaled_by"
"""Keys of a package's metadata."""
WEIGHTS, OP, CALLER = "first weights", "op", "caller"
"""What scales: the first layers' weights, an op, or whoever runs a package of tensors."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What happens to pixels, in order; by default nothing."""

    added: Channels = (0.0, 0.0, 0.0)
    """Added to each channel by the image input."""
    factors: Channels | None = None
    """By which an op multiplies each channel then."""
    folded: float = 1.0
    """By which the weights of the first layers are multiplied."""

    def without_fold(self) -> Scaling:
        """The same by an op, for a network whose image another op than such layers reads."""
        return self if self.folded == 1 else Scaling(self.added, (self.folded,) * 3)

    def half_factors(self) -> NDArray[np.float16] | None:
        """The op's numbers as a package must store them, (1, 3, 1, 1)."""
        if self.factors is None:
            return None
        half = np.array(self.factors, np.float16).reshape(1, 3, 1, 1)
        expect(
            bool(np.isfinite(half).all() and half.all()),
            f"scale: {self.factors} is beyond half precision, in which an op multiplies",
        )
        return half


def scaling_of(options: ExportOptions) -> Scaling:
    """How a package with these options scales; the weights take one scale if they can."""
    if options.input != IMAGE:
        return Scaling()
    return split(options.scale, options.bias)


def split(scale: Scale, bias: Channels) -> Scaling:
    """`pixel * scale + bias` in the order of a package."""
    factors = scale if isinstance(scale, tuple) else (float(scale),) * 3
    red, green, blue = (b / s for b, s in zip(bias, factors, strict=True))
    added = (red, green, blue)
    several = isinstance(scale, tuple) and len(set(scale)) > 1
    if several or factors[0] < LEAST_FOLDED:
        return Scaling(added, factors)
    return Scaling(added, folded=factors[0])


def scaling_metadata(options: ExportOptions, scaling: Scaling) -> dict[str, str]:
    """The normalisation as text, to the last digit."""
    scale = options.scale if isinstance(options.scale, tuple) else (options.scale,)
    by = CALLER if options.input != IMAGE else OP if scaling.factors else WEIGHTS
    return {SCALE: _text(scale), BIAS: _text(options.bias), SCALED_BY: by}


def stored_scaling(metadata: Mapping[str, str], where: str) -> Scaling:
    """Scaling of a package by its metadata; none if it says nothing of one.

    Raises:
        InputError: the metadata are damaged; begins with `where`.
    """
    by = metadata.get(SCALED_BY)
    if by not in (WEIGHTS, OP):
        return Scaling()
    scale, bias = (_numbers(metadata, key, where) for key in (SCALE, BIAS))
    given = scale[0] if len(scale) == 1 else scale
    check_scaling(given, bias)
    found = split(given, bias)  # type: ignore[arg-type]
    return found if by == WEIGHTS else found.without_fold()


def check_scaling(scale: Any, bias: Any) -> None:
    """Refuse a scale that is not one or three positive numbers, or a bias that is not three.

    Raises:
        InputError: names the value.
    """
    scales = scale if isinstance(scale, tuple) else (scale,)
    expect(
        len(scales) in (1, 3)
        and all(isinstance(v, int | float) and 0 < v < math.inf for v in scales),
        f"scale: must be one positive number for all channels, or three (red, green, blue), got"
        f" {scale!r}",
    )
    expect(
        len(bias) == 3 and all(isinstance(v, int | float) and math.isfinite(v) for v in bias),
        f"bias: must be three finite numbers (red, green, blue), got {bias!r}",
    )


def _text(values: Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _numbers(metadata: Mapping[str, str], key: str, where: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, metadata[key].split()))
    except (KeyError, ValueError):
        raise InputError(f"{where}: '{key}' of its metadata is missing or no numbers") from None
