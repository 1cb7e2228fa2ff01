"""Anchors of a single-shot detector, and boxes as offsets from them.

Liu et al., SSD, 2016, as the TensorFlow Object Detection API sets it up for COCO: scales rise
evenly from 0.2 to 0.95 of the image's shorter side over the maps; aspect ratios are 1, 2, 1/2, 3
and 1/3; a second square lies between a scale and the next one; the first map may have three boxes
only. Boxes are (centre x, centre y, width, height), as fractions of the image.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from palmette.space.architecture import Architecture

Floats = NDArray[np.float64]
Size = tuple[int, int]

LEAST_SCALE, LARGEST_SCALE = 0.2, 0.95
ASPECTS = (1.0, 2.0, 1 / 2, 3.0, 1 / 3)
"""Width over height."""
SMALL_SCALE = 0.1
"""Of the one square on a first map with few boxes."""
FEW = ((SMALL_SCALE, 1.0), (LEAST_SCALE, 2.0), (LEAST_SCALE, 1 / 2))
CENTRE_FACTOR, SIZE_FACTOR = 10.0, 5.0
"""What offsets of centres and sizes are multiplied with, so that all are of one magnitude."""
LARGEST_BOX = 62.5
"""Sides of a decoded box over its anchor's, at most, as in torchvision: exp gives no infinity."""
SMALLEST_BOX = 1e-6
"""The same at least; half precision still tells it from zero."""


def anchors_of(architecture: Architecture) -> Floats:
    """Anchors of a detector at its resolution: (anchors, 4).

    Raises:
        InputError: its head is no detector.
    """
    from palmette.space.blocks.detection import Detector
    from palmette.space.errors import InputError

    head = architecture.head
    if not isinstance(head, Detector):
        raise InputError(f"anchors: a '{head.kind}' head has none; give a detector")
    sizes = list(architecture.tapped_sizes())
    for _ in head.extras:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return anchors(tuple(sizes), head.boxes, architecture.resolution)


@functools.lru_cache(maxsize=16)
def anchors(sizes: tuple[Size, ...], boxes: tuple[int, ...], image: Size) -> Floats:
    """Anchors of maps in order, row by row, cell by cell: (anchors, 4).

    Args:
        sizes: (height, width) of each map.
        boxes: of a cell of each map; what `FEW` has, or one more than there are aspect ratios.
        image: (height, width) in px.
    """
    shapes = _shapes(len(sizes), boxes[0] == len(FEW))
    placed = [_placed(size, shape, image) for size, shape in zip(sizes, shapes, strict=True)]
    found = np.concatenate(placed)
    found.setflags(write=False)
    return found


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., anchors, 4) as offsets from their anchors (anchors, 4).

    `decode` undoes it for boxes of `SMALLEST_BOX` to `LARGEST_BOX` times their anchors.
    """
    import torch

    centres = (boxes[..., :2] - anchors[:, :2]) / anchors[:, 2:] * CENTRE_FACTOR
    sizes = (boxes[..., 2:] / anchors[:, 2:]).log() * SIZE_FACTOR
    return torch.cat((centres, sizes), -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., anchors, 4) of offsets from their anchors (anchors, 4)."""
    import torch

    centres = offsets[..., :2] * (anchors[:, 2:] / CENTRE_FACTOR) + anchors[:, :2]
    logs = offsets[..., 2:] * (1 / SIZE_FACTOR)
    # an end of the range that is left open becomes infinite in half precision
    logs = logs.clamp(math.log(SMALLEST_BOX), math.log(LARGEST_BOX))
    sizes = logs.exp() * anchors[:, 2:]
    return torch.cat((centres, sizes), -1)


def _shapes(maps: int, few_first: bool) -> list[Sequence[tuple[float, float]]]:
    """(scale, aspect ratio) of the boxes of a cell of each map."""
    scales = [*np.linspace(LEAST_SCALE, LARGEST_SCALE, maps).tolist(), 1.0]
    shapes: list[Sequence[tuple[float, float]]] = [
        [*((scale, aspect) for aspect in ASPECTS), (math.sqrt(scale * following), 1.0)]
        for scale, following in itertools.pairwise(scales)
    ]
    return [FEW, *shapes[1:]] if few_first else shapes


def _placed(size: Size, shapes: Sequence[tuple[float, float]], image: Size) -> Floats:
    """Boxes of these shapes at the centres of a map's cells."""
    (rows, columns), (height, width) = size, image
    short = min(image)
    ys, xs = np.meshgrid(
        (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
    )
    scale, aspect = np.array(shapes).T
    sides = np.stack(
        (scale * np.sqrt(aspect) * short / width, scale / np.sqrt(aspect) * short / height), axis=1
    )
    centres = np.stack((xs.ravel(), ys.ravel()), axis=1)
    return np.concatenate(
        (np.repeat(centres, len(shapes), axis=0), np.tile(sides, (len(centres), 1))), axis=1
    )
