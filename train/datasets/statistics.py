"""Numbers of a training set: mean and deviation of its pixels, weights of its classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palmette.train.datasets.images import ImageSet

SAMPLE = 2000
"""Images that the mean and the deviation are computed from; all if there are fewer."""


def pixel_statistics(images: ImageSet, seed: int = 0) -> tuple[tuple[float, float, float], float]:
    """Mean of each channel, and one deviation for all, of pixels from 0 to 1.

    One deviation, because Core ML scales all channels of an image input by one number: a network
    that was trained with three could not be fed by it.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[:SAMPLE]
    sums, squares, count = np.zeros(3), np.zeros(3), 0
    for index in chosen.tolist():
        pixels = images.read(index).reshape(-1, 3).astype(np.float64) / 255
        # every image counts alike, whatever its size
        sums += pixels.mean(axis=0)
        squares += (pixels**2).mean(axis=0)
        count += 1
    mean = sums / count
    variance = float((squares / count - mean**2).mean())
    red, green, blue = (float(value) for value in mean)
    return (red, green, blue), max(variance, 1e-4) ** 0.5


def class_weights(images: ImageSet) -> NDArray[np.float64]:
    """Weight of each class in the loss, (classes,): inverse to its share, of mean 1 over images."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    weights: NDArray[np.float64] = len(images) / (len(images.classes) * np.maximum(counts, 1))
    return weights
