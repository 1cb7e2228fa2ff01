"""Images of a table of paths and labels, as CSV or Parquet.

Columns `path` (relative to the table's folder, or absolute), `label`, and if the split is the
user's `split`, `train` or `val`. Labels are names, or numbers from 0 on; a file `classes.txt`
beside the table, one name a line, says what the numbers mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from palmette.space.errors import InputError, expect
from palmette.space.installing import pip_install
from palmette.train.datasets.images import FileImages, Labels

if TYPE_CHECKING:
    import pandas as pd

NAMES_FILE = "classes.txt"
FIRST_ROW = 2
"""Line of the first row: the header is line 1."""


def read_table(path: Path) -> tuple[FileImages, FileImages | None]:
    """Training and validation images of a table; the latter None without a column `split`.

    Raises:
        InputError: unreadable, a missing column or cell, a label out of range, a class without
            images.
    """
    rows = _read(path)
    for column in ("path", "label"):
        expect(
            column in rows.columns,
            f"{path}: column '{column}' is missing; has {', '.join(map(str, rows.columns))}",
        )
    expect(len(rows) > 0, f"{path}: has no rows")
    for column in rows.columns.intersection(["path", "label", "split"]):
        empty = np.flatnonzero(rows[column].isna().to_numpy())
        if len(empty):
            raise InputError(f"{path} row {empty[0] + FIRST_ROW}: '{column}' is empty")
    labels, classes = _labels(path, rows["label"])
    files = [path.parent / str(name) for name in rows["path"]]
    if "split" not in rows.columns:
        return _part(path, files, labels, classes, np.ones(len(rows), bool), "the table"), None
    parts = rows["split"].astype(str).to_numpy()
    other = np.flatnonzero(~np.isin(parts, ["train", "val"]))
    if len(other):
        raise InputError(
            f"{path} row {other[0] + FIRST_ROW}: 'split' must be train or val, got"
            f" '{parts[other[0]]}'"
        )
    train, validation = (
        _part(path, files, labels, classes, parts == name, f"split '{name}'")
        for name in ("train", "val")
    )
    return train, validation


def _part(
    path: Path,
    files: list[Path],
    labels: Labels,
    classes: tuple[str, ...],
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]],
    title: str,
) -> FileImages:
    own = labels[rows]
    missing = sorted(set(range(len(classes))) - set(own.tolist()))
    if missing:
        raise InputError(f"{path}: class '{classes[missing[0]]}' has no images in {title}")
    chosen = tuple(file for file, keep in zip(files, rows, strict=True) if keep)
    return FileImages(chosen, own, classes)


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except ImportError:
        raise InputError(
            f"{path}: Parquet needs pyarrow; {pip_install('data')}, or give a .csv file"
        ) from None
    except (OSError, ValueError) as error:  # pandas's and pyarrow's own errors derive from these
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: can't be read as a table ({reason})") from None


def _labels(path: Path, column: pd.Series) -> tuple[Labels, tuple[str, ...]]:
    """Class indices (n,) and names."""
    numeric = column.dtype.kind in "iu"
    names_file = path.parent / NAMES_FILE
    names = _names(names_file) if names_file.is_file() else None
    if numeric:
        labels = column.to_numpy(dtype=np.int64)
        count = len(names) if names else int(labels.max()) + 1
        outside = np.flatnonzero((labels < 0) | (labels >= count))
        if len(outside):
            raise InputError(
                f"{path} row {outside[0] + FIRST_ROW}: label {labels[outside[0]]} is out of range,"
                f" 0 to {count - 1}" + (f" ({NAMES_FILE} has {count} names)" if names else "")
            )
        return labels, names or tuple(str(number) for number in range(count))
    texts = column.astype(str).to_numpy()
    names = names or tuple(sorted(set(texts.tolist())))
    place = {name: index for index, name in enumerate(names)}
    for row, text in enumerate(texts):
        expect(
            text in place,
            f"{path} row {row + FIRST_ROW}: label '{text}' is not one of {NAMES_FILE}",
        )
    return np.array([place[text] for text in texts], np.int64), names


def _names(path: Path) -> tuple[str, ...]:
    try:
        names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read ({error})") from None
    expect(len(set(names)) == len(names) >= 2, f"{path}: needs two or more different names")
    return names
