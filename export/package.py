"""Core ML packages on disk: written byte for byte alike each time, and read back.

An `.mlpackage` is a folder: `Manifest.json` names the items under `Data`, the program is a protobuf
and its weights are in `weight.bin`. An `.mlmodel` is one protobuf. Three things would vary between
two equal exports: the order of protobuf maps, the manifest's random identifiers, and the date in
the metadata; here maps are sorted, identifiers derive from paths, and the date is left out.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from palmette.export._coremltools import coremltools
from palmette.space.errors import InputError, expect

AUTHOR = "com.apple.CoreML"  # Apple's own tools look the items up under this name
MODEL_ITEM = f"{AUTHOR}/model.mlmodel"
WEIGHTS_ITEM = f"{AUTHOR}/weights"
WEIGHT_FILE = "weight.bin"
ITEMS = {
    MODEL_ITEM: "CoreML Model Specification",
    WEIGHTS_ITEM: "CoreML Model Weights",
}
VARYING_METADATA = ("conversion_date", "source", "source_dialect")


def write_package(spec: Any, weight_file: Path | None, path: Path) -> None:
    """Write a model as `.mlpackage` or as one `.mlmodel`, as the suffix of `path` says.

    Equal models give equal bytes.

    Args:
        spec: Core ML's protobuf; what varies from run to run is removed from its metadata.
        weight_file: of an ML Program, unless all its weights are small enough for the protobuf.
        path: does not exist yet.
    """
    for key in VARYING_METADATA:
        spec.description.metadata.userDefined.pop(f"com.github.apple.coremltools.{key}", None)
    data = spec.SerializeToString(deterministic=True)
    if path.suffix != ".mlpackage":
        path.write_bytes(data)
        return
    folder = path / "Data"
    (folder / WEIGHTS_ITEM).mkdir(parents=True)
    (folder / MODEL_ITEM).write_bytes(data)
    if weight_file is not None:
        shutil.copyfile(weight_file, folder / WEIGHTS_ITEM / WEIGHT_FILE)
    (path / "Manifest.json").write_text(_manifest(), "utf-8")


def _manifest() -> str:
    entries = {
        _identifier(item): {
            "author": AUTHOR,
            "description": description,
            "name": PurePosixPath(item).name,
            "path": item,
        }
        for item, description in ITEMS.items()
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": _identifier(MODEL_ITEM),
    }
    return json.dumps(manifest, indent=4, sort_keys=True) + "\n"


def _identifier(item: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, item))


def model_file(path: Path) -> Path:
    """File that holds a package's protobuf: the path itself, or what the manifest names.

    Raises:
        InputError: nothing there, or a manifest that is not one of Core ML's.
    """
    expect(path.exists(), f"package {path}: does not exist")
    if not path.is_dir():
        return path
    try:
        manifest = json.loads((path / "Manifest.json").read_text("utf-8"))
        item = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
        found = Path(path, "Data", item).resolve(strict=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"package {path}: Manifest.json does not lead to a model ({error!r})"
        ) from None
    expect(
        found.is_file() and found.is_relative_to(path.resolve()),
        f"package {path}: Manifest.json leads out of the package ('{item}')",
    )
    return found


def network_of(spec: Any) -> Any:
    """The model that holds a package's weights: its own, or the first stage of its pipeline."""
    stages = spec.pipeline.models
    return stages[0] if spec.WhichOneof("Type") == "pipeline" and stages else spec


def read_spec(path: Path, function: str = "") -> Any:
    """Protobuf of a package, as it lies on disk.

    Args:
        path: of the package.
        function: of a package with several; then as if that were its only one, with the metadata
            that stand under its name and a dot.

    Raises:
        InputError: nothing there, not a Core ML model, or no such function.
    """
    coremltools()
    from coremltools.proto import Model_pb2
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    spec = Model_pb2.Model()
    try:
        spec.ParseFromString(model_file(path).read_bytes())
    except (OSError, DecodeError):
        raise InputError(f"package {path}: its model file is not one of Core ML's") from None
    expect(network_of(spec).WhichOneof("Type") is not None, f"package {path}: holds no model")
    return _function(spec, function, path) if function else spec


def _function(spec: Any, name: str, path: Path) -> Any:
    """A model whose main function is one of `spec`."""
    described = {function.name: function for function in spec.description.functions}
    expect(
        name in described and name in spec.mlProgram.functions,
        f"package {path}: has no function '{name}'; it has {', '.join(described) or 'none'}",
    )
    one = type(spec)()
    one.specificationVersion = spec.specificationVersion
    about, told = one.description, described[name]
    about.metadata.CopyFrom(spec.description.metadata)
    _keep_own(about.metadata.userDefined, name, described)
    about.input.extend(told.input)
    about.output.extend(told.output)
    about.predictedFeatureName = told.predictedFeatureName
    about.predictedProbabilitiesName = told.predictedProbabilitiesName
    one.mlProgram.version = spec.mlProgram.version
    one.mlProgram.functions["main"].CopyFrom(spec.mlProgram.functions[name])
    return one


def _keep_own(metadata: Any, name: str, functions: Iterable[str]) -> None:
    """Leave what metadata say of one function, under plain keys, and what they say of all."""
    for key in list(metadata):
        owner, dot, own = key.partition(".")
        if dot and owner in functions:
            value = metadata.pop(key)
            if owner == name:
                metadata[own] = value
    metadata.pop("functions", None)
