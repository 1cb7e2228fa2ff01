"""Batches are functions of seed and epoch, whoever computes them and wherever one begins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from palmette.space import InputError
from palmette.train.datasets import procedural
from palmette.train.loading import Batch, Batches
from palmette.train.recipe import Augment
from palmette.train.seeds import derived, seeded
from palmette.train.transforms import RandomCrop, mixing, training_transform, validation_transform

EVERYTHING = Augment(
    rand_augment=2, colour_jitter=0.4, shift=0.1, rotate=10, erasing=0.5, mixup=0.2, cutmix=1.0
)
IMAGES = procedural(44, 16)


def batches(seed: int | None = 5, workers: int = 0, accumulate: int = 1) -> Batches:
    grey = (0.5, 0.5, 0.5)
    transform = training_transform(EVERYTHING, (12, 12), grey)
    return Batches(IMAGES, transform, 8, accumulate=accumulate, seed=seed, workers=workers)


def same(one: list[Batch], other: list[Batch]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_workers_change_nothing() -> None:
    alone, shared = batches(), batches(workers=2)
    for epoch in (0, 1):
        assert same(list(alone.epoch(epoch)), list(shared.epoch(epoch)))


def test_an_epoch_can_be_entered_anywhere() -> None:
    whole = list(batches().epoch(3))
    assert len(whole) == 5 and same(list(batches().epoch(3, first=2)), whole[2:])


def test_epochs_and_seeds_differ() -> None:
    first = list(batches().epoch(0))
    assert not same(first, list(batches().epoch(1)))
    assert not same(first, list(batches(seed=6).epoch(0)))


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    list(batches().epoch(0))
    with seeded(1, "a"):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_bytes_of_the_size_asked_for() -> None:
    images, labels = next(batches().epoch(0))
    assert images.shape == (8, 3, 12, 12) and images.dtype == torch.uint8
    assert images.is_contiguous() and labels.dtype == torch.int64


def test_validation_sees_every_image_once_in_order() -> None:
    transform = validation_transform(Augment(val_crop=1.0), (16, 16))
    found = list(Batches(IMAGES, transform, 8).epoch())
    assert [len(labels) for _, labels in found] == [8] * 5 + [4]
    seen = torch.cat([images for images, _ in found]).permute(0, 2, 3, 1)
    assert torch.equal(seen, torch.from_numpy(IMAGES.pixels))


def test_an_epoch_has_whole_steps() -> None:
    assert len(batches(accumulate=2)) == 4
    with pytest.raises(InputError, match="a step takes 8 x 6 images, but only 44 are there"):
        batches(accumulate=6)


def test_the_centre_of_a_wide_image_is_validated() -> None:
    wide = torch.zeros((3, 10, 30), dtype=torch.uint8)
    wide[:, :, 10:20] = 200
    found = validation_transform(Augment(val_crop=1.0), (10, 10))(wide)
    assert found.shape == (3, 10, 10) and (found == 200).all()


@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    least=st.floats(0.05, 0.9),
    seed=st.integers(0, 99),
)
def test_a_random_crop_lies_inside_and_keeps_its_share(
    size: tuple[int, int], least: float, seed: int
) -> None:
    crop = RandomCrop(Augment(crop_scale=least), (8, 8))
    draws = np.random.default_rng(seed).random(41).tolist()
    high, wide = size
    top, left, height, width = crop.box(high, wide, draws)
    assert 0 <= top <= top + height <= high and 0 <= left <= left + width <= wide
    assert height > 0 and width > 0
    if min(size) > 60 and max(size) < 1.3 * min(size):  # rounded to whole px
        assert height * width > 0.93 * least * high * wide
        assert 0.72 < height / width < 1.39


def test_a_strip_is_cropped_in_its_middle() -> None:
    crop = RandomCrop(Augment(crop_scale=0.9, crop_ratio=0.75), (8, 8))
    assert crop.box(30, 300, [0.5] * 41) == (0, 130, 30, 40)
    assert crop.box(300, 30, [0.5] * 41) == (130, 0, 40, 30)


def test_a_crop_of_drawn_numbers_is_that_part_scaled_and_mirrored() -> None:
    image = torch.arange(3 * 40 * 40).reshape(3, 40, 40).to(torch.uint8)
    keys = Augment(crop_scale=0.25, flip=1.0)
    with seeded(3):
        draws = torch.rand(41).tolist()
    with seeded(3):
        found = RandomCrop(keys, (16, 16))(image)
    top, left, height, width = RandomCrop(keys, (16, 16)).box(40, 40, draws)
    part = image[:, top : top + height, left : left + width]
    expected = v2.functional.resize(part, [16, 16], antialias=True).flip(-1)
    assert torch.equal(found, expected)


def test_mixing_gives_probabilities() -> None:
    mix = mixing(EVERYTHING, 4)
    assert mix is not None
    with seeded(0):
        images, target = mix(torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2, 3, 0, 1]))
    assert images.shape == (6, 3, 8, 8) and target.shape == (6, 4)
    assert torch.allclose(target.sum(1), torch.ones(6))
    assert mixing(Augment(), 4) is None


def test_derived_seeds_tell_their_parts_apart() -> None:
    assert len({derived(1, 23), derived(12, 3), derived(1, 2, 3), derived("1", "2/3")}) == 3
