"""Damaged images and leaks are found once, named, and never passed over in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.space import InputError
from palmette.train.datasets import checked, open_data
from palmette.train.datasets.folder import read_classes

Picture = Callable[[Path, int], None]


def damage(path: Path) -> None:
    path.write_bytes(b"torn")


def test_the_rule_stop_names_the_first_and_counts(folder: Path, tmp_path: Path) -> None:
    damage(folder / "cat" / "2.png")
    damage(folder / "dog" / "0.png")
    with pytest.raises(InputError, match=r"2 of 10 images are damaged, the first: .*cat/2"):
        checked(read_classes(folder), "t", cache=tmp_path)


def test_the_rule_skip_leaves_them_out_and_reports_them(folder: Path, tmp_path: Path) -> None:
    damage(folder / "cat" / "2.png")
    found = checked(read_classes(folder), "t", "skip", cache=tmp_path)
    assert len(found.images) == len(found.hashes) == 9
    (corrupt,) = found.corrupt
    assert corrupt.name.endswith("cat/2.png") and "can't be decoded" in corrupt.reason
    assert found.images.labels.tolist() == [0] * 4 + [1] * 5


def test_a_class_without_a_whole_image_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "dog").iterdir():
        damage(path)
    with pytest.raises(InputError, match="class 'dog': none of its images can be decoded"):
        checked(read_classes(folder), "t", "skip", cache=tmp_path)


def test_a_second_check_decodes_only_what_changed(folder: Path, tmp_path: Path) -> None:
    looked: list[int] = []

    def tell(what: str, done: int, of: int) -> None:
        looked.append(of)

    images = read_classes(folder)
    first = checked(images, "t", cache=tmp_path, progress=tell)
    assert checked(images, "t", cache=tmp_path, progress=tell).hashes == first.hashes
    assert looked == [10]
    damage(folder / "cat" / "1.png")
    assert len(checked(images, "t", "skip", cache=tmp_path, progress=tell).corrupt) == 1
    assert looked == [10, 1]


def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path) -> None:
    images = read_classes(folder)
    before = checked(images, "t", cache=tmp_path / "c").hashes
    (file,) = (tmp_path / "c").iterdir()
    for text in ("", "[]", json.dumps({"format": "palmette/scan@1", "images": {"a": 1}})):
        file.write_text(text)
        assert checked(images, "t", cache=tmp_path / "c").hashes == before


def test_an_image_in_both_parts_is_a_leak(folder: Path, picture: Picture) -> None:
    (folder / "train").mkdir()
    for at, name in enumerate(("cat", "dog")):
        (folder / name).rename(folder / "train" / name)
        picture(folder / "val" / name / "new.png", 300 + at)
    assert len(open_data(str(folder)).validation) == 2
    picture(folder / "val" / "dog" / "old.bmp", 103)  # other bytes, the pixels of train/dog/3.png
    with pytest.raises(
        InputError, match=r"leak: 1 of [0-9]+ validation images .*train/dog/3.png and .*dog/old.bmp"
    ):
        open_data(str(folder))


def test_what_is_not_there_is_answered_with_what_could_be() -> None:
    with pytest.raises(InputError, match="no such folder or table.*digits, procedural"):
        open_data("nowhere")
    with pytest.raises(InputError, match="the size must be a whole number"):
        open_data("procedural:many")
