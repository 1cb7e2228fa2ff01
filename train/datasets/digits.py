"""Handwritten digits: 1,797 real images of 8 x 8 px in ten classes, shipped with scikit-learn.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI repository, 1998.
"""

from __future__ import annotations

import numpy as np

from palmette.train.datasets.images import ArrayImages

INK = 16  # the darkest value of the original
CLASSES = tuple("0123456789")


def digits() -> ArrayImages:
    """All digits, grey as RGB: pixels (1797, 8, 8, 3)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = np.rint(found.images * (255 / INK)).astype(np.uint8)
    pixels = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=3))
    return ArrayImages(pixels, found.target.astype(np.int64), CLASSES, "digits")
