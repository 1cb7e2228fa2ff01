"""Data sets that Hugging Face's library saved on disk."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from palmette.space import InputError
from palmette.train.datasets import open_data
from palmette.train.datasets.saved import read_saved

HAS_DATASETS = importlib.util.find_spec("datasets") is not None
with_datasets = pytest.mark.skipif(not HAS_DATASETS, reason="needs datasets")
pytestmark = pytest.mark.filterwarnings("ignore::Warning")


def png(value: int) -> dict[str, Any]:
    """A flat image as the library stores one."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(file, "png")
    return {"bytes": file.getvalue(), "path": None}


def save(folder: Path, columns: dict[str, Any], features: Any) -> None:
    import datasets
    import pyarrow

    table = pyarrow.table(columns, schema=features.arrow_schema)
    info = datasets.DatasetInfo(features=features)
    datasets.Dataset(table, info=info, fingerprint="0a1b").save_to_disk(str(folder))


@pytest.mark.skipif(HAS_DATASETS, reason="datasets is there")
def test_without_the_library_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(InputError, match=r"pip install -e .*\[data\]"):
        open_data(str(tmp_path))


@with_datasets
def test_a_saved_set_is_read_with_its_names(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    save(tmp_path / "set", {"image": [png(at) for at in range(6)], "label": [0, 1] * 3}, features)
    train, validation = read_saved(tmp_path / "set")
    assert validation is None and train.classes == ("cat", "dog")
    assert train.labels.tolist() == [0, 1] * 3 and (train.read(4) == 4).all()
    opened = open_data(str(tmp_path / "set"), share=0.34)
    assert (len(opened.train), len(opened.validation)) == (4, 2)


@with_datasets
def test_a_saved_set_without_labels_is_refused(tmp_path: Path) -> None:
    import datasets

    save(tmp_path / "set", {"text": ["a"]}, datasets.Features({"text": datasets.Value("string")}))
    with pytest.raises(InputError, match="column 'image' is missing; has text"):
        read_saved(tmp_path / "set")
