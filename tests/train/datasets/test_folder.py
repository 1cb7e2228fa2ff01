"""Class folders, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.space import InputError
from palmette.train.datasets.folder import read_folder

Picture = Callable[[Path, int], None]


def test_classes_are_the_sorted_folders(folder: Path) -> None:
    train, validation = read_folder(folder)
    assert validation is None and train.classes == ("cat", "dog")
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert train.read(0).shape == (10, 12, 3)


def test_folders_train_and_val_are_the_split(folder: Path, picture: Picture) -> None:
    for at, name in enumerate(("cat", "dog")):
        picture(folder / "val" / name / "x.png", 200 + at)
        (folder / "train").mkdir(exist_ok=True)
        (folder / name).rename(folder / "train" / name)
    train, validation = read_folder(folder)
    assert validation is not None and (len(train), len(validation)) == (10, 2)


def test_an_empty_class_folder_is_named(folder: Path) -> None:
    (folder / "emu").mkdir()
    with pytest.raises(InputError, match="emu: class folder without images"):
        read_folder(folder)


def test_parts_with_different_classes_are_refused(folder: Path, picture: Picture) -> None:
    (folder / "train").mkdir()
    for name in ("cat", "dog"):
        (folder / name).rename(folder / "train" / name)
    picture(folder / "val" / "cat" / "x.png", 7)
    picture(folder / "val" / "emu" / "x.png", 8)
    with pytest.raises(InputError, match="class 'dog' is in one of train/ and val/ alone"):
        read_folder(folder)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a folder for each class"):
        read_folder(tmp_path)
