"""Packages are written byte for byte alike, and read back with care."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette.export.package import ITEMS, model_file, read_spec, write_package
from palmette.space import InputError

Contents = Callable[[Path], dict[str, bytes]]


def weight_file(path: Path) -> Path | None:
    return next(path.rglob("weight.bin")) if path.is_dir() else None


def test_equal_models_give_equal_bytes_in_whatever_order_they_were_described(
    package: Path, tmp_path: Path, contents: Contents
) -> None:
    spec = read_spec(package)
    texts = dict(spec.description.metadata.userDefined)
    spec.description.metadata.userDefined.clear()
    for key in reversed(texts):
        spec.description.metadata.userDefined[key] = texts[key]
    write_package(spec, weight_file(package), tmp_path / package.name)
    assert contents(tmp_path / package.name) == contents(package)


def test_what_varies_from_run_to_run_is_left_out(
    package: Path, tmp_path: Path, contents: Contents
) -> None:
    spec = read_spec(package)
    for key in ("conversion_date", "source", "source_dialect"):
        name = f"com.github.apple.coremltools.{key}"
        assert name not in spec.description.metadata.userDefined
        spec.description.metadata.userDefined[name] = "today"
    write_package(spec, weight_file(package), tmp_path / package.name)
    assert contents(tmp_path / package.name) == contents(package)


def test_the_manifest_names_every_item_and_leads_to_the_model(package: Path) -> None:
    if package.is_dir():
        manifest = json.loads((package / "Manifest.json").read_text("utf-8"))
        assert {entry["path"] for entry in manifest["itemInfoEntries"].values()} == set(ITEMS)
        assert all((package / "Data" / item).exists() for item in ITEMS)
        assert model_file(package) == (package / "Data/com.apple.CoreML/model.mlmodel").resolve()
    else:
        assert model_file(package) == package


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        '{"rootModelIdentifier": "a", "itemInfoEntries": {}}',
        '{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "none"}}}',
        '{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": 3}}}',
        '{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "../../other"}}}',
        '{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "."}}}',
    ],
)
def test_a_manifest_that_leads_nowhere_or_elsewhere_is_refused(
    tmp_path: Path, manifest: str
) -> None:
    path = tmp_path / "x.mlpackage"
    (path / "Data").mkdir(parents=True)
    (path / "Manifest.json").write_text(manifest, "utf-8")
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(InputError, match=r"Manifest.json .*lead"):
        read_spec(path)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x07"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mlmodel"
    path.write_bytes(content)
    with pytest.raises(InputError, match="x.mlmodel"):
        read_spec(path)


def test_a_package_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_spec(tmp_path / "x.mlpackage")
