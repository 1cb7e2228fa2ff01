"""Tables of paths and labels: every bad cell is named by its row."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from palmette.space import InputError
from palmette.train.datasets.table import read_table

HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None


def table(folder: Path, text: str, names: str = "") -> Path:
    (folder / "table.csv").write_text(text)
    if names:
        (folder / "classes.txt").write_text(names)
    return folder / "table.csv"


def test_names_are_sorted_into_classes(folder: Path) -> None:
    train, validation = read_table(
        table(folder, "path,label\ndog/0.png,dog\ncat/0.png,cat\ndog/1.png,dog\n")
    )
    assert validation is None and train.classes == ("cat", "dog")
    assert train.labels.tolist() == [1, 0, 1] and train.read(2).shape == (10, 12, 3)


def test_a_column_split_divides_the_rows(folder: Path) -> None:
    rows = "cat/0.png,0,train\ndog/0.png,1,train\ncat/1.png,0,val\ndog/1.png,1,val\n"
    train, validation = read_table(table(folder, "path,label,split\n" + rows, "cat\ndog\n"))
    assert validation is not None and train.classes == validation.classes == ("cat", "dog")
    assert train.labels.tolist() == validation.labels.tolist() == [0, 1]


BAD = {
    "path\na.png\n": "column 'label' is missing",
    "path,label\n": "has no rows",
    "path,label\na.png,cat\n,dog\n": "row 3: 'path' is empty",
    "path,label\na.png,0\nb.png,-1\n": "row 3: label -1 is out of range, 0 to 0",
    "path,label\na.png,0\nb.png,2\n": "class '1' has no images in the table",
    "path,label,split\na.png,0,train\nb.png,1,test\n": "row 3: 'split' must be train or val",
    "path,label,split\na.png,0,train\nb.png,1,train\na.png,0,val\n": "'1' has no images in split",
    '"': "can't be read as a table",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_bad_table_is_answered_with_its_place(folder: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_table(table(folder, text))


def test_a_label_beyond_the_names_is_out_of_range(folder: Path) -> None:
    path = table(folder, "path,label\na.png,0\nb.png,1\nc.png,2\n", "cat\ndog\n")
    with pytest.raises(InputError, match=r"row 4: label 2 is out of range, 0 to 1 \(classes.txt"):
        read_table(path)


def test_a_name_that_the_names_lack_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="row 3: label 'emu' is not one of classes.txt"):
        read_table(table(folder, "path,label\na.png,cat\nb.png,emu\n", "cat\ndog\n"))


@pytest.mark.skipif(HAS_PYARROW, reason="pyarrow is there")
def test_parquet_without_pyarrow_names_the_extra(folder: Path) -> None:
    (folder / "table.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"pip install -e .*\[data\]"):
        read_table(folder / "table.parquet")


@pytest.mark.skipif(not HAS_PYARROW, reason="needs pyarrow")
def test_parquet_is_read_as_csv_is(folder: Path) -> None:
    rows = pd.DataFrame({"path": ["dog/0.png", "cat/0.png"], "label": ["dog", "cat"]})
    rows.to_parquet(folder / "table.parquet")
    train, _ = read_table(folder / "table.parquet")
    assert train.labels.tolist() == [1, 0] and train.read(0).shape == (10, 12, 3)
