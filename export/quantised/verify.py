"""A package in 8 bits on disk held against what quantisation-aware training left."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.compression.compress import KEY
from palmette.export.conversion import convert
from palmette.export.gates.gate import ask
from palmette.export.gates.graph import compare_graphs
from palmette.export.gates.labels import labels_gate
from palmette.export.gates.subject import open_subject
from palmette.export.gates.verify import IMAGES, UNPROVEN, Verdict, sample_images
from palmette.export.input_proof import compare_input
from palmette.export.interpreter import read_program
from palmette.export.package import read_spec, write_package
from palmette.export.plan import Plan
from palmette.export.proof import compare_outputs
from palmette.export.quantised.export import NAME, WRONG, rounded_plan
from palmette.export.quantised.prepare import finalised, without_notes
from palmette.export.quantised.proof import compare_codes
from palmette.export.scaling import Channels, Scale
from palmette.space.architecture import Architecture
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor, nn

GRAPH_SHOWS = "converted anew, the network has the same operations, wiring and parameters"
WEIGHTS_SHOWS = "every 8-bit code, scale and bias is the module's, and so is every rounding"
OUTPUTS_SHOWS = "the file as it lies there, run in single precision, rounds as the module does"
UNPROVEN_ROUNDING = "which side of a step a value falls on, where half precision moves its scale"


def is_quantised(path: Path) -> bool:
    """Whether a package says that it is one of `export_quantised`.

    Raises:
        InputError: not a package.
    """
    return bool(read_spec(path).description.metadata.userDefined.get(KEY) == NAME)


def verify_quantised(
    path: Path,
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    *,
    scale: Scale = 1 / 127.5,
    bias: Channels = (-1.0, -1.0, -1.0),
    images: int = IMAGES,
    classes: tuple[str, ...] | None = None,
) -> Verdict:
    """Hold a package of `export_quantised` against its network through three gates.

    Args:
        path: of the package.
        architecture: that it should hold.
        tensors: state of the module that `prepare_w8a8` made, after training.
        scale: of pixels, see `ExportOptions`.
        bias: see `ExportOptions`.
        images: of seeded noise, on which outputs are compared.
        classes: names that the weights know, in the order of the outputs, to hold labels against.

    Raises:
        InputError: not a package, one of another architecture, one that does not round, or tensors
            of another network.
    """
    expect(images > 0, f"images: must be at least 1, got {images}")
    module = architecture.build().eval()
    subject = open_subject(path, architecture, module, scale, bias, rounded=True)
    plan = rounded_plan(architecture, subject.options)
    pixels = sample_images(architecture, images)
    with without_notes():
        final = finalised(architecture, tensors)
        gates = (
            ask("graph", GRAPH_SHOWS, lambda: _compare_graph(path, final, plan)),
            ask("weights", WEIGHTS_SHOWS, lambda: _compare_weights(path, final, plan)),
            ask("outputs", OUTPUTS_SHOWS, lambda: _compare_run(path, final, plan, pixels)),
            *labels_gate(subject.options.labels, classes),
        )
    return Verdict(path, architecture, gates, (*UNPROVEN, UNPROVEN_ROUNDING), images)


def _compare_graph(path: Path, final: nn.Module, plan: Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        again = Path(name, "again.mlpackage")
        spec, weight_file = convert(final, plan, Path(name), without=WRONG)
        write_package(spec, weight_file, again)
        found, wanted = (read_program(package, weights=False) for package in (path, again))
    compare_graphs(found, wanted)
    return {}


def _compare_weights(path: Path, final: nn.Module, plan: Plan) -> dict[str, Any]:
    layers, values = compare_codes(path, final)
    compare_input(path, plan)
    compare_outputs(path, plan.end)
    return {"layers": layers, "values": values}


def _compare_run(
    path: Path, final: nn.Module, plan: Plan, images: Sequence[Tensor]
) -> dict[str, Any]:
    from palmette.export.quantised.steps import MOST_STEPS, compare_steps  # brings torch

    found = compare_steps(path, final, plan, images)
    return {"error": found.farthest, "tolerance": MOST_STEPS, "output_error": found.output_error}
