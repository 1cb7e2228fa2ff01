"""Splits keep proportions, repeat by their seed, and never divide copies of an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.space import InputError
from palmette.train.datasets import folds, split


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 1000),
)
def test_a_split_is_a_partition_with_every_class_on_both_sides(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    train, held = split(labels, share, seed)
    assert sorted([*train, *held]) == list(range(len(labels)))
    assert set(labels[train]) == set(labels[held]) == set(range(len(counts)))
    again, _ = split(labels, share, seed)
    assert (again == train).all()


def test_a_split_keeps_the_proportions() -> None:
    labels = np.repeat([0, 1, 2], [100, 200, 300])
    _, held = split(labels, 0.1, 0)
    assert np.bincount(labels[held]).tolist() == [10, 20, 30]


def test_copies_stay_on_one_side() -> None:
    labels = np.tile(np.repeat([0, 1], 20), 2)
    hashes = [f"{at % 40}" for at in range(80)]
    for train, held in [split(labels, 0.3, 1, hashes), *folds(labels, 4, 1, hashes)]:
        assert {hashes[at] for at in train}.isdisjoint(hashes[at] for at in held)
        assert len(train) + len(held) == 80


def test_every_image_is_held_out_in_one_fold() -> None:
    labels = np.repeat([0, 1], [11, 23])
    held = np.concatenate([part for _, part in folds(labels, 5, 0)])
    assert sorted(held) == list(range(34))


def test_a_class_that_is_too_small_is_named() -> None:
    with pytest.raises(InputError, match="class number 1: a split needs 2 different images"):
        split(np.array([0, 0, 1]), 0.5, 0)
    with pytest.raises(InputError, match="class number 1: a split needs 2 different images"):
        split(np.array([0, 0, 1, 1]), 0.5, 0, ["a", "b", "c", "c"])
    with pytest.raises(InputError, match="5 folds needs 5"):
        folds(np.array([0, 0, 1, 1]), 5, 0)
