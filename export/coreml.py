"""An architecture as a Core ML package: folded, converted, written, read back, compared.

The package appears under its name only after its proof: it is made in a folder beside the
destination and moved there at the end, so a failed export leaves nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import palmette
from palmette.export.conversion import convert
from palmette.export.detection_proof import compare_suppression
from palmette.export.fold import stored_module
from palmette.export.input_proof import compare_input
from palmette.export.options import ExportOptions
from palmette.export.package import write_package
from palmette.export.pipeline import detection_pipeline
from palmette.export.place import destination, move_into_place
from palmette.export.plan import Plan, plan_of
from palmette.export.proof import (
    compare_outputs,
    compare_structure,
    compare_system,
    compare_weights,
)
from palmette.export.scaling import IMAGE
from palmette.export.weights import stored_layers
from palmette.space.architecture import Architecture

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

    Weights are in half precision. The input is named `image`, an RGB image or an array; the
    outputs are named in `palmette.export.ends`. Equal arguments give equal bytes. A package that is
    already there is replaced.

    Args:
        architecture: the network.
        path: of the package; the format's suffix is added if it has none.
        options: format, input, labels, image scaling, metadata.
        module: the network with trained weights, in evaluation mode; branches of re-parameterised
            units are merged in a copy. By default freshly initialised weights, which is enough to
            measure latency.

    Raises:
        InputError: an argument breaks a rule; the message names it.
        ExportError: the converter failed, or the package does not equal the module.
    """
    options = options or ExportOptions()
    path = destination(path, options.kind)
    plan = plan_of(architecture, options, module)
    with tempfile.TemporaryDirectory(prefix=".palmette-export-", dir=path.parent) as folder:
        built = Path(folder) / path.name
        make(plan, built)
        prove(built, plan)
        move_into_place(built, path)
    return path


def make(plan: Plan, built: Path) -> None:
    """Convert a planned network and write its package; the folder around it is the caller's."""
    spec, weight_file = convert(stored_module(plan.folded), plan, built.parent)
    suppression = plan.suppression
    if suppression is not None and suppression.form == "pipeline":
        spec = detection_pipeline(spec, plan.labels, suppression)
    describe(spec, plan.about, plan.metadata)
    spec.description.input[0].shortDescription = _about_input(plan)
    write_package(spec, weight_file, built)


def prove(built: Path, plan: Plan, function: str = "") -> None:
    """Compare a package on disk, or one function of it, with what was planned.

    Raises:
        ExportError: they differ; the message says in what.
    """
    compare_system(built, plan.system)
    compare_weights(stored_layers(built, plan.constants, function), plan.folded.layers)
    compare_structure(built, plan.ops, function)
    compare_input(built, plan, function)
    compare_outputs(built, plan.end, function, flexible=plan.options.sizes is not None)
    if plan.suppression is not None:
        compare_suppression(built, plan.labels, plan.suppression, function)


def describe(spec: Any, text: str, metadata: Mapping[str, str]) -> None:
    """Author, description, version, user-defined keys."""
    told = spec.description.metadata
    told.author = "palmette"
    told.versionString = palmette.__version__
    told.shortDescription = text
    told.userDefined.update(metadata)


def _about_input(plan: Plan) -> str:
    height, width = plan.resolution
    if plan.options.input == IMAGE:
        return f"RGB image, {width} px wide, {height} px high"
    return (
        f"{plan.options.batch} x 3 x {height} x {width}: RGB pixels as the network was trained on,"
        " scaled already"
    )
