"""Images of a folder, a class in each of its folders: `DIR/CLASS/*`.

With `DIR/train/CLASS/*` and `DIR/val/CLASS/*` the split is the user's; otherwise it is drawn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from palmette.space.errors import InputError, expect
from palmette.train.datasets.images import FileImages

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TRAIN, VALIDATION = "train", ("val", "valid", "validation")


def read_folder(folder: Path) -> tuple[FileImages, FileImages | None]:
    """Training and validation images of a folder; the latter None if it has no such part.

    Raises:
        InputError: no class folders, an empty one, or the two parts know different classes.
    """
    train = folder / TRAIN
    validation = next((folder / name for name in VALIDATION if (folder / name).is_dir()), None)
    if validation is None or not train.is_dir():
        return read_classes(folder), None
    pair = read_classes(train), read_classes(validation)
    unlike = sorted(set(pair[0].classes) ^ set(pair[1].classes))
    expect(
        not unlike,
        f"{folder}: class '{unlike[0] if unlike else ''}' is in one of {train.name}/ and"
        f" {validation.name}/ alone; both need the same class folders",
    )
    return pair


def read_classes(folder: Path) -> FileImages:
    """Images of the class folders in a folder, sorted by class and by path.

    Raises:
        InputError: fewer than two class folders, or one without images.
    """
    try:
        classes = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
        found = [_images(folder / name) for name in classes]
    except OSError as error:
        raise InputError(f"{folder}: can't be read ({error.strerror})") from None
    expect(
        len(classes) >= 2,
        f"{folder}: needs a folder for each class, at least two; has {len(classes)}",
    )
    for name, paths in zip(classes, found, strict=True):
        expect(
            len(paths) > 0,
            f"{folder / name}: class folder without images; fill it or remove it"
            f" (read are {' '.join(SUFFIXES)})",
        )
    counts = [len(paths) for paths in found]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)
    return FileImages(tuple(path for paths in found for path in paths), labels, tuple(classes))


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
