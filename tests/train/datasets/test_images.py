"""Decoding: upright, RGB, eight bits, whatever the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from palmette.space import InputError
from palmette.train.datasets import ArrayImages, Subset
from palmette.train.datasets.images import decode


def saved(path: Path, image: Image.Image, **how: object) -> Path:
    image.save(path, **how)
    return path


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    found = decode(saved(tmp_path / "a.png", Image.fromarray(grey)), "a")
    assert found.shape == (3, 4, 3) and (found == grey[..., None]).all()


def test_sixteen_bits_keep_their_upper_byte(tmp_path: Path) -> None:
    deep = np.array([[0, 256, 65535]], np.uint16)
    found = decode(saved(tmp_path / "a.png", Image.fromarray(deep)), "a")
    assert found[0, :, 0].tolist() == [0, 1, 255]


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    clear = np.zeros((1, 2, 4), np.uint8)
    clear[0, 1] = [10, 20, 30, 255]
    found = decode(saved(tmp_path / "a.png", Image.fromarray(clear)), "a")
    assert found[0].tolist() == [[255, 255, 255], [10, 20, 30]]


def test_a_photo_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter clockwise
    path = saved(tmp_path / "a.png", Image.new("RGB", (4, 2)), exif=exif)
    assert decode(path, "a").shape == (4, 2, 3)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="bad.png: can't be decoded"):
        decode(path, str(path))


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(InputError, match="truncated"):
        decode(path, "a.jpg")


def test_a_subset_has_the_images_of_its_indices() -> None:
    pixels = np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    whole = ArrayImages(pixels, np.array([0, 1, 0, 1]), ("a", "b"), "four")
    part = Subset(whole, np.array([3, 0]))
    assert len(part) == 2 and part.labels.tolist() == [1, 0] and part.classes == ("a", "b")
    assert part.read(0)[0, 0, 0] == 3 and part.name(0) == "four[3]"
