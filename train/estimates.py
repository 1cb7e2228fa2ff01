"""Accuracies that were measured on validation images, with the interval of so many images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palmette.train.features import Floats

CONFIDENCE = 0.8
"""Of the two-sided interval, as of the accuracy prior's."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Top-1 of n networks; arrays of shape (n,), in %.

    The interval is that of the validation images alone: what another set of as many would say of
    the same weights. It does not say what training anew, or longer, would give.
    """

    top1: Floats
    lower: Floats
    upper: Floats
    images: int
    """Validation images."""

    @classmethod
    def of(cls, shares: Sequence[float], images: int) -> Measured:
        """From shares of images that were right, 0 to 1; the interval is Wilson's."""
        from scipy.stats import binomtest

        ends = [
            binomtest(round(share * images), images).proportion_ci(CONFIDENCE, "wilson")
            for share in shares
        ]
        return cls(
            100 * np.asarray(shares, dtype=np.float64),
            100 * np.array([end.low for end in ends], dtype=np.float64),
            100 * np.array([end.high for end in ends], dtype=np.float64),
            images,
        )

    @property
    def sigma(self) -> Floats:
        """Standard deviation by the number of images, in points; never 0."""
        share = (self.top1 / 100 * self.images + 1) / (self.images + 2)
        return 100 * np.sqrt(share * (1 - share) / self.images)
