"""From decoded images to those that a network sees: augmented in training, centred in validation.

All of it on bytes, by torchvision; mean and deviation come later, on the device. Random ones draw
from torch's global state, which `train.loading` seeds for each image.
"""

from __future__ import annotations

from collections.abc import Callable
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
    steps: list[Any] = [_crop(v2, keys, size)]
    if keys.rotate or keys.shift:
        steps.append(
            v2.RandomAffine(
                keys.rotate,
                translate=(keys.shift, keys.shift),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=fill,
            )
        )
    if keys.flip:
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


def _crop(v2: Any, keys: Augment, size: tuple[int, int]) -> Any:
    if keys.crop_scale == 1:
        return v2.Resize(size, antialias=True)
    ratio = (keys.crop_ratio, 1 / keys.crop_ratio)
    return v2.RandomResizedCrop(size, (keys.crop_scale, 1.0), ratio, antialias=True)


def _chain(v2: Any, steps: list[Any]) -> Transform:
    found: Transform = steps[0] if len(steps) == 1 else v2.Compose(steps)
    return found


def _v2() -> Any:
    training_libraries()
    from torchvision.transforms import v2

    return v2
