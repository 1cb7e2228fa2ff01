"""What a compressed package gives, beside what its source gives for the same images.

Both are run by `palmette.export.interpreter`, in single precision on the weights as they are
stored: so the difference is that of the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.gates.verify import sample_images
from palmette.export.interpreter.run import Interpreter
from palmette.export.package import network_of, read_spec
from palmette.export.proof import image_size
from palmette.space import Architecture
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor

Values = NDArray[np.float64]
SEEDED_IMAGES = 32


@dataclass(frozen=True, slots=True)
class Images:
    """Pixels from 0 to 255, (n, 3, height, width), as float32, and what they show."""

    pixels: Tensor
    labels: NDArray[np.int64] | None = None
    """(n,): index of the class; None if nobody knows."""
    seeded: bool = False
    """Whether these are no images but noise."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a package gives for images."""

    values: Values
    """(n, k): all its numbers of floating point."""
    classifier: bool
    """Whether these are the scores of classes."""


Runner = Callable[[Path, "Tensor"], Outputs]
"""Runs a package on images."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a package's outputs are from its source's; shares from 0 to 1."""

    output_error: float
    """Root of the mean square of the difference over that of the source's outputs."""
    agreement: float
    """Share of the images for which both name the same class; not a number for other heads."""
    top1: float
    """Share of the images whose class it names; not a number without labels."""
    loss: float
    """Share of the images that the source gets right and it does not, less the reverse."""
    loss_deviation: float
    """Standard deviation of `loss`, over images drawn anew."""


def seeded_images(architecture: Architecture) -> Images:
    """Noise over soft shapes: enough for an output error, not for an accuracy."""
    import torch

    return Images(torch.cat(sample_images(architecture, SEEDED_IMAGES)), seeded=True)


def run_package(package: Path, pixels: Tensor) -> Outputs:
    """Outputs of a package, or of the first stage of its pipeline, image by image.

    Args:
        package: with one image as its input.
        pixels: see `Images`.

    Raises:
        InputError: the images are not of the package's size, or an op is not known.
    """
    given = network_of(read_spec(package)).description.input[0].type.WhichOneof("Type")
    expect(
        given == "imageType",
        f"package {package}: takes a tensor, scaled already; only packages of images are measured",
    )
    size = image_size(package)
    expect(
        tuple(pixels.shape[2:]) == size,
        f"images: are {tuple(pixels.shape[2:])} px, package {package} takes {size}",
    )
    interpreter = Interpreter.from_package(package)
    (entry,) = interpreter.program.inputs
    found = [_floating(interpreter.run({entry.name: image[None]})) for image in pixels]
    classifier = len(found[0]) == 1 and _is_scores(found[0][0])
    values = [np.concatenate([_numbers(value) for value in outputs]) for outputs in found]
    return Outputs(np.stack(values), classifier)


def _floating(outputs: dict[str, Any]) -> list[Any]:
    """Outputs that are numbers of floating point: no labels, classes or counts."""
    return [
        value
        for value in outputs.values()
        if isinstance(value, dict) or getattr(value, "is_floating_point", lambda: False)()
    ]


def _is_scores(value: Any) -> bool:
    """Whether these are scores of one image: a row of them, or a dictionary by label."""
    return isinstance(value, dict) or (value.dim() == 2 and value.shape[0] == 1)


def _numbers(value: Any) -> Values:
    if isinstance(value, dict):
        return np.array(list(value.values()), np.float64)
    vector: Values = value.flatten().double().numpy()
    return vector


def relative_error(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Root of the mean square of the difference over that of what is wanted; infinite over 0."""
    size = np.sqrt(np.mean(wanted**2))
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / size) if size else math.inf


def difference(source: Outputs, compressed: Outputs, images: Images) -> Difference:
    """Compare what two packages give for the same images."""
    error = relative_error(compressed.values, source.values)
    if not source.classifier:
        return Difference(error, *[math.nan] * 4)
    before, after = source.values.argmax(1), compressed.values.argmax(1)
    agreement = float((before == after).mean())
    if images.labels is None:
        return Difference(error, agreement, *[math.nan] * 3)
    right = (after == images.labels).astype(float)
    lost = (before == images.labels) - right
    deviation = float(lost.std() / math.sqrt(len(lost)))
    return Difference(error, agreement, float(right.mean()), float(lost.mean()), deviation)
