"""Validation images as one tensor, for measuring what is not a module of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect_some
from palmette.train.datasets import ImageSet
from palmette.train.recipe import Augment

if TYPE_CHECKING:
    from torch import Tensor


def validation_pixels(
    images: ImageSet, augment: Augment, size: tuple[int, int], count: int, seed: int = 0
) -> tuple[Tensor, NDArray[np.int64]]:
    """Some images as validation sees them, before they are normalised, and their classes.

    Args:
        images: labelled.
        augment: of a recipe; its `val_crop` counts.
        size: (height, width) in px that the network takes.
        count: most images; fewer are all of them, more are drawn by the seed.
        seed: of the draw.

    Returns:
        Pixels from 0 to 255, (n, 3, height, width), and indices of classes, (n,).

    Raises:
        InputError: the count is not positive.
    """
    import torch

    from palmette.train.transforms import validation_transform

    expect_some("images", count)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
    transform = validation_transform(augment, size)
    pixels = [torch.from_numpy(images.read(int(at))).permute(2, 0, 1) for at in drawn]
    return torch.stack([transform(image) for image in pixels]).float(), images.labels[drawn]
