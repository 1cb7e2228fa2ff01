"""Images of a Hugging Face data set that `save_to_disk` wrote. Needs the extra `data`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install
from palmette.train.datasets.images import Labels, Pixels, decode

MARKS = ("dataset_dict.json", "state.json")
"""Files that only such a folder has."""
IMAGE, LABEL = "image", "label"


@dataclass(frozen=True, slots=True, eq=False)
class SavedImages:
    """Images of one split; `cells` is the Arrow column of encoded images."""

    cells: Any
    labels: Labels
    classes: tuple[str, ...]
    where: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> str:
        """Folder and row."""
        return f"{self.where} row {index}"

    def stamp(self, index: int) -> str:
        """The data set's own fingerprint and the row."""
        return f"{self.fingerprint}:{index}"

    def read(self, index: int) -> Pixels:
        """Pixels (height, width, 3); raises InputError if they can't be decoded."""
        cell = self.cells[index].as_py()
        source = io.BytesIO(cell["bytes"]) if cell["bytes"] is not None else cell["path"]
        return decode(source, self.name(index))


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return any((folder / mark).is_file() for mark in MARKS)


def read_saved(folder: Path) -> tuple[SavedImages, SavedImages | None]:
    """Training and validation images; the latter None if the data set has one split.

    Raises:
        InputError: `datasets` is not installed, a column is missing, a label is out of range.
    """
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{folder}: a saved data set needs Hugging Face datasets; {pip_install('data')}"
        ) from None
    try:
        found = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{folder}: can't be read as a data set ({reason})") from None
    if isinstance(found, datasets.Dataset):
        return _images(found, str(folder)), None
    expect("train" in found, f"{folder}: needs a split 'train'; has {', '.join(map(str, found))}")
    validation = next((name for name in ("validation", "val", "valid") if name in found), None)
    train = _images(found["train"], f"{folder} train")
    if validation is None:
        return train, None
    pair = train, _images(found[validation], f"{folder} {validation}")
    expect(pair[0].classes == pair[1].classes, f"{folder}: its splits know different classes")
    return pair


def _images(rows: Any, where: str) -> SavedImages:
    import datasets

    for column in (IMAGE, LABEL):
        expect(
            column in rows.column_names,
            f"{where}: column '{column}' is missing; has {', '.join(rows.column_names)}",
        )
    kind = rows.features[IMAGE]
    expect(isinstance(kind, datasets.Image), f"{where}: '{IMAGE}' must be of the type Image")
    labels = rows.data.column(LABEL).to_numpy().astype(np.int64)
    expect(len(labels) > 0, f"{where}: has no rows")
    feature = rows.features[LABEL]
    named = isinstance(feature, datasets.ClassLabel)
    names = tuple(feature.names) if named else tuple(map(str, range(int(labels.max()) + 1)))
    outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(outside):
        raise InputError(
            f"{where} row {outside[0]}: label {labels[outside[0]]} is out of range, 0 to"
            f" {len(names) - 1}"
        )
    # the encoded column itself: rows of the data set would come decoded, by rules of their own
    return SavedImages(rows.data.column(IMAGE), labels, names, where, rows._fingerprint)
