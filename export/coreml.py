"""An architecture as a Core ML package: folded, converted, written, read back, compared.

The package appears under its name only after its proof: it is made in a folder beside the
destination and moved there at the end, so a failed export leaves nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import palmette
from palmette.export.conversion import convert
from palmette.export.detection_proof import compare_suppression
from palmette.export.ends import check_task, class_labels, constants_of, end_of, suppression_of
from palmette.export.fold import Folded, fold_batch_norm, stored_module
from palmette.export.options import ExportOptions
from palmette.export.package import write_package
from palmette.export.pipeline import detection_pipeline
from palmette.export.proof import compare_outputs, compare_structure, compare_weights
from palmette.export.weights import stored_layers
from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import nn


def export(
    architecture: Architecture,
    path: Path,
    *,
    options: ExportOptions | None = None,
    module: nn.Module | None = None,
) -> Path:
    """Write a Core ML package of a network, prove it, and return its path.

    Weights are in half precision. The input is an RGB image named `image`; the outputs are named
    in `palmette.export.ends`. Equal arguments give equal bytes. A package that is already there is
    replaced.

    Args:
        architecture: the network.
        path: of the package; the format's suffix is added if it has none.
        options: format, labels, image scaling, metadata.
        module: the network with trained weights, in evaluation mode; branches of re-parameterised
            units are merged in a copy. By default freshly initialised weights, which is enough to
            measure latency.

    Raises:
        InputError: an argument breaks a rule; the message names it.
        ExportError: the converter failed, or the package does not equal the module.
    """
    options = options or ExportOptions()
    path = _destination(path, options)
    check_task(architecture, options)
    metadata = _metadata(architecture, options, "untrained" if module is None else "given")
    module = architecture.build().eval() if module is None else module
    _check_module(architecture, module)
    folded = fold_batch_norm(module, (IMAGE_CHANNELS, *architecture.resolution))
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        _make(folded, architecture, options, metadata, built)
        _move(built, path, Path(folder))
    return path


def _make(
    folded: Folded,
    architecture: Architecture,
    options: ExportOptions,
    metadata: Mapping[str, str],
    built: Path,
) -> None:
    """Convert a folded module, write its package, and prove what was written."""
    end = end_of(architecture, options, folded.outputs)
    suppression = suppression_of(architecture.head, options)
    spec, weight_file = convert(stored_module(folded), architecture, options, end, built.parent)
    labels = class_labels(architecture.head, options)
    if suppression is not None and suppression.form == "pipeline":
        spec = detection_pipeline(spec, labels, suppression)
    _describe(spec, architecture, metadata)
    write_package(spec, weight_file, built)
    compare_weights(stored_layers(built, constants_of(architecture)), folded.layers)
    compare_structure(built, architecture.ops())
    compare_outputs(built, end)
    if suppression is not None:
        compare_suppression(built, labels, suppression)


def _destination(path: Path, options: ExportOptions) -> Path:
    suffix = options.format.suffix
    # a number after a dot is part of a network's name, as in `mobilenet_v2_0.5`
    if not path.suffix or path.suffix[1].isdigit():
        path = path.with_name(path.name + suffix)
    expect(
        path.suffix == suffix,
        f"output {path}: a package of the format '{options.kind}' ends in '{suffix}'",
    )
    writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
    expect(
        writable, f"output {path}: its folder does not exist or cannot be written; make it first"
    )
    # only what an export of this format made before may be replaced
    same = (path / "Manifest.json").is_file() if suffix == ".mlpackage" else path.is_file()
    expect(same or not path.exists(), f"output {path}: is something else; choose another name")
    return path


def _check_module(architecture: Architecture, module: nn.Module) -> None:
    """Refuse a module that is another network than its metadata would say."""
    from palmette.space.trace import trace_ops

    expect(
        trace_ops(module, (IMAGE_CHANNELS, *architecture.resolution)) == architecture.ops(),
        "module: its ops are not those of the architecture; build it with Architecture.build",
    )


def _metadata(architecture: Architecture, options: ExportOptions, weights: str) -> dict[str, str]:
    own = {
        "architecture": architecture.to_text(),
        "architecture_id": architecture.id,
        "weights": weights,
    }
    suppression = suppression_of(architecture.head, options)
    if suppression is not None and suppression.form != "pipeline":
        # no part of the package itself would name the classes
        own["labels"] = "\n".join(class_labels(architecture.head, options))
    return {**options.metadata, **own}


def _describe(spec: Any, architecture: Architecture, metadata: Mapping[str, str]) -> None:
    """Author, description, version, user-defined keys; one line for the input."""
    height, width = architecture.resolution
    about = spec.description.metadata
    about.author = "palmette"
    about.versionString = palmette.__version__
    about.shortDescription = (
        f"Convolutional network {architecture.id}, {width} x {height} px RGB images,"
        f" {architecture.macs() / 1e6:.0f} M multiply-accumulates,"
        f" {architecture.params() / 1e6:.2f} M parameters"
    )
    about.userDefined.update(metadata)
    spec.description.input[0].shortDescription = f"RGB image, {width} px wide, {height} px high"


def _move(built: Path, path: Path, folder: Path) -> None:
    """Put a proven package in its place; one that is there already goes with the build folder."""
    if not path.is_dir():
        built.replace(path)
        return
    # a folder that is not empty cannot be replaced in one step
    old = path.replace(folder / "replaced")
    try:
        built.replace(path)
    except OSError:
        old.replace(path)
        raise
