"""Stratified splits by a seed; images with equal pixels stay on one side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palmette.space.errors import expect
from palmette.train.datasets.images import Labels
from palmette.train.options import expect_share


def split(
    labels: Labels, share: float, seed: int, hashes: Sequence[str] | None = None
) -> tuple[Labels, Labels]:
    """Indices of training and validation, sorted; each class in both, in its proportion.

    Args:
        labels: (n,) class indices.
        share: of validation, above 0 and below 1.
        seed: of the draw.
        hashes: (n,) of the pixels; equal ones count as one image and stay together.

    Raises:
        InputError: a share out of range, or a class of fewer than two different images.
    """
    expect_share(share)
    first, place = _distinct(labels, hashes)
    own = labels[first]
    _expect_each(own, 2, "a split")
    classes = len(np.unique(own))
    size = max(classes, min(round(share * len(own)), len(own) - classes))
    from sklearn.model_selection import StratifiedShuffleSplit

    draw = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    _, chosen = next(draw.split(own, own))
    held = np.zeros(len(own), bool)
    held[chosen] = True
    _one_on_each_side(held, own)
    return np.flatnonzero(~held[place]), np.flatnonzero(held[place])


def folds(
    labels: Labels, count: int, seed: int, hashes: Sequence[str] | None = None
) -> list[tuple[Labels, Labels]]:
    """Indices of training and validation for each of `count` stratified folds.

    Raises:
        InputError: fewer than two folds, or a class of fewer different images than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    expect(count >= 2, f"folds: must be 2 or more, got {count}")
    first, place = _distinct(labels, hashes)
    own = labels[first]
    _expect_each(own, count, f"{count} folds")
    found = []
    for _, chosen in StratifiedKFold(count, shuffle=True, random_state=seed).split(own, own):
        held = np.zeros(len(own), bool)
        held[chosen] = True
        found.append((np.flatnonzero(~held[place]), np.flatnonzero(held[place])))
    return found


def _distinct(labels: Labels, hashes: Sequence[str] | None) -> tuple[Labels, Labels]:
    """First index of each different image, and for every image the place of its like there."""
    if hashes is None:
        every = np.arange(len(labels))
        return every, every
    _, first, place = np.unique(np.asarray(hashes), return_index=True, return_inverse=True)
    order = np.argsort(first)  # in the order of appearance, so that a hash decides nothing
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[place]


def _expect_each(labels: Labels, least: int, what: str) -> None:
    values, counts = np.unique(labels, return_counts=True)
    few = values[counts < least]
    expect(
        len(few) == 0,
        f"class number {few[0] if len(few) else 0}: {what} needs {least} different images of each"
        f" class, has {counts.min()}",
    )


def _one_on_each_side(held: np.ndarray[tuple[int], np.dtype[np.bool_]], labels: Labels) -> None:
    """Give a rare class that was drawn to one side alone an image on the other, in place."""
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if held[rows].all() or not held[rows].any():
            held[rows[0]] = not held[rows[0]]
