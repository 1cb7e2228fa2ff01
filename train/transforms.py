"""From decoded images to those that a network sees: augmented in training, centred in validation.

All of it on bytes, by torchvision; mean and deviation come later, on the device. Random ones draw
from torch's global state, which `train.loading` seeds for each image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from palmette.train.optimization import training_libraries
from palmette.train.recipe import Augment

if TYPE_CHECKING:
    from torch import Tensor

Transform = Callable[["Tensor"], "Tensor"]
"""Bytes (3, height, width) of any size to bytes of the network's size."""

MAGNITUDES = 31  # 0 to 30, as published


def training_transform(
    keys: Augment, size: tuple[int, int], mean: tuple[float, float, float]
) -> Transform:
    """Random crop, shift, mirror, RandAugment, colours and erasing, as far as the recipe has them.

    Args:
        keys: of the recipe.
        size: (height, width) of the result in px.
        mean: of the pixels, from 0 to 1; what is erased or comes in from outside has its colour.
    """
    v2 = _v2()
    fill = [round(255 * value) for value in mean]
    whole = keys.crop_scale == 1
    steps: list[Any] = [v2.Resize(size, antialias=True) if whole else RandomCrop(keys, size)]
    if keys.rotate or keys.shift:
        steps.append(
            v2.RandomAffine(
                keys.rotate,
                translate=(keys.shift, keys.shift),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=fill,
            )
        )
    if keys.flip and whole:
        steps.append(v2.RandomHorizontalFlip(keys.flip))
    if keys.rand_augment:
        steps.append(v2.RandAugment(keys.rand_augment, keys.magnitude, MAGNITUDES, fill=fill))
    if keys.colour_jitter:
        steps.append(v2.ColorJitter(*[keys.colour_jitter] * 3))
    if keys.erasing:
        steps.append(v2.RandomErasing(keys.erasing, value=fill))
    return _chain(v2, steps)


def validation_transform(keys: Augment, size: tuple[int, int]) -> Transform:
    """Scaled so that the centre crop has `val_crop` of the shorter side, and cropped."""
    v2 = _v2()
    height, width = size
    if height != width:  # no side of its own to scale by
        return _chain(v2, [v2.Resize(size, antialias=True)])
    scaled = round(height / keys.val_crop)
    return _chain(v2, [v2.Resize(scaled, antialias=True), v2.CenterCrop(size)])


def mixing(keys: Augment, classes: int) -> Callable[[Any, Any], tuple[Any, Any]] | None:
    """Mixup and cutmix of a batch as the recipe has them, one of the two by even chance; or None.

    Takes normalised images (n, 3, height, width) and labels (n,); gives probabilities (n, classes).
    """
    v2 = _v2()
    ways = []
    if keys.mixup:
        ways.append(v2.MixUp(alpha=keys.mixup, num_classes=classes))
    if keys.cutmix:
        ways.append(v2.CutMix(alpha=keys.cutmix, num_classes=classes))
    if not ways:
        return None
    return v2.RandomChoice(ways) if len(ways) > 1 else ways[0]  # type: ignore[no-any-return]


class RandomCrop:
    """A crop of random area, shape and place, scaled to a size, and mirrored by chance.

    As torchvision's `RandomResizedCrop` and `RandomHorizontalFlip` draw it (Szegedy et al., 2015),
    with one call for the numbers and none of their overhead: for small images it is half the time.
    """

    TRIES = 10

    def __init__(self, keys: Augment, size: tuple[int, int]) -> None:
        self.size, self.least, self.flip = size, keys.crop_scale, keys.flip
        self.stretch = -math.log(keys.crop_ratio)
        self.scale = _v2().functional.resized_crop_image

    def __call__(self, image: Tensor) -> Tensor:
        """Bytes (3, any, any) to bytes of the size."""
        import torch

        draws: list[float] = torch.rand(4 * self.TRIES + 1).tolist()
        top, left, height, width = self.box(image.shape[1], image.shape[2], draws)
        found: Tensor = self.scale(image, top, left, height, width, list(self.size), antialias=True)
        return found.flip(-1) if draws[-1] < self.flip else found

    def box(self, high: int, wide: int, draws: Sequence[float]) -> tuple[int, int, int, int]:
        """(top, left, height, width) in px of a crop, from numbers from 0 to 1.

        The first of ten draws that fits; the whole image, or as much of it as its shape may have,
        if none does.
        """
        for at in range(0, 4 * self.TRIES, 4):
            area = high * wide * (self.least + (1 - self.least) * draws[at])
            ratio = math.exp(self.stretch * (2 * draws[at + 1] - 1))
            height, width = round((area / ratio) ** 0.5), round((area * ratio) ** 0.5)
            if 0 < height <= high and 0 < width <= wide:
                top = min(int(draws[at + 2] * (high - height + 1)), high - height)
                left = min(int(draws[at + 3] * (wide - width + 1)), wide - width)
                return top, left, height, width
        widest = math.exp(self.stretch)
        width, height = min(wide, round(high * widest)), min(high, round(wide * widest))
        return (high - height) // 2, (wide - width) // 2, height, width


def _chain(v2: Any, steps: list[Any]) -> Transform:
    found: Transform = steps[0] if len(steps) == 1 else v2.Compose(steps)
    return found


def _v2() -> Any:
    training_libraries()
    from torchvision.transforms import v2

    return v2
