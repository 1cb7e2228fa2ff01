"""The shipped sets and the statistics."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from palmette.space import InputError
from palmette.train.datasets import (
    ArrayImages,
    class_weights,
    digits,
    open_data,
    pixel_statistics,
    procedural,
)


def test_digits_are_those_of_scikit_learn() -> None:
    found = digits()
    assert found.pixels.shape == (1797, 8, 8, 3) and found.pixels.max() == 255
    assert np.bincount(found.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_an_image_depends_on_its_seed_and_index_alone() -> None:
    many = procedural(45, 24, seed=3)
    assert (procedural(3, 24, seed=3, first=41).pixels == many.pixels[41:44]).all()
    assert not (procedural(45, 24, seed=4).pixels == many.pixels).all(axis=(1, 2, 3)).any()
    assert len({image.tobytes() for image in many.pixels}) == 45


def test_classes_take_turns() -> None:
    found = procedural(40, 16)
    assert len(found.classes) == 20 and found.classes[5] == "triangle-checks"
    assert np.bincount(found.labels).tolist() == [2] * 20


def test_any_resolution_shows_the_same_picture() -> None:
    small, large = (procedural(20, side).pixels.astype(float) for side in (32, 96))
    shrunk = large.reshape(20, 32, 3, 32, 3, 3).mean(axis=(2, 4))
    agreement = np.corrcoef(shrunk.ravel(), small.ravel())[0, 1]
    assert agreement > 0.9


def test_pixels_alone_do_not_tell_the_class() -> None:
    train, test = procedural(1000, 16), procedural(400, 16, first=1000)
    flat = [part.pixels.reshape(len(part), -1) / 255 for part in (train, test)]
    linear = LogisticRegression(max_iter=60, C=0.01).fit(flat[0], train.labels)
    assert linear.score(flat[1], test.labels) < 0.2


@pytest.mark.parametrize("arguments", [(0,), (1, 4), (1, 4096), (1, 32, -1)])
def test_numbers_out_of_range_are_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="procedural: "):
        procedural(*arguments)


def test_a_named_set_is_opened_and_split() -> None:
    found = open_data("procedural:100", side=16)
    assert (len(found.train), len(found.validation)) == (100, 20)
    whole = open_data("digits", share=0.25)
    assert len(whole.train) + len(whole.validation) == 1797
    assert abs(len(whole.validation) - 449) <= 1


def test_statistics_of_two_flat_images() -> None:
    pixels = np.zeros((2, 3, 3, 3), np.uint8)
    pixels[1] = [255, 51, 0]
    images = ArrayImages(pixels, np.array([0, 1]), ("a", "b"), "two")
    mean, deviation = pixel_statistics(images)
    assert mean == pytest.approx((0.5, 0.1, 0.0))
    assert deviation == pytest.approx(((0.25 + 0.01 + 0) / 3) ** 0.5)


def test_class_weights_even_the_classes_out() -> None:
    images = ArrayImages(np.zeros((4, 1, 1, 3), np.uint8), np.array([0, 0, 0, 1]), ("a", "b"), "x")
    weights = class_weights(images)
    assert weights.tolist() == [4 / 6, 2.0] and weights[images.labels].mean() == 1
