"""A network trained with 8-bit weights and activations, as a package that runs since iOS 17."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from palmette.export.compression.compress import KEY, KIND, size_bytes
from palmette.export.conversion import convert
from palmette.export.coreml import describe
from palmette.export.gates.verify import IMAGES, sample_images
from palmette.export.input_proof import compare_input
from palmette.export.options import ExportOptions
from palmette.export.package import write_package
from palmette.export.place import destination, move_into_place
from palmette.export.plan import Plan, plan_of
from palmette.export.proof import compare_outputs, compare_system
from palmette.export.quantised.prepare import finalised, without_notes
from palmette.export.quantised.proof import compare_codes
from palmette.export.scaling import IMAGE, scaling_metadata
from palmette.space.architecture import Architecture
from palmette.space.blocks import Head
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import Tensor

NAME = "w8a8"
SYSTEMS = ("iOS17", "iOS18", "iOS26")
"""Systems that round activations."""
WRONG = ("common::int_op_canonicalization",)
"""Passes of coremltools 9 that give a wrong program: this one moves a reshape in front of the
rounding of its result, and drops the scale and the zero point that its input was rounded by."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """A package with 8-bit weights and activations."""

    path: Path
    layers: int
    values: int
    """8-bit weights, all equal to the module's."""
    farthest: float
    """Of a rounded activation from what the module makes of the package's values before it, in
    steps; a half is what rounding itself does."""
    output_error: float
    """Of the package run by the interpreter against the module; relative, on seeded noise. It has
    no limit, see `steps`."""
    bytes: int


def export_quantised(
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    path: Path,
    *,
    options: ExportOptions | None = None,
) -> Quantised:
    """Export what quantisation-aware training came to, and prove it.

    Args:
        architecture: a classifier.
        tensors: state of the module that `prepare_w8a8` made, after training.
        path: of the package; the suffix is added if it has none. One that is there is replaced.
        options: labels, scaling and metadata; the system is one of `SYSTEMS`, the first by default.

    Raises:
        InputError: an argument breaks a rule; the message names it.
        ExportError: the converter failed, or the package does not equal the module.
    """
    options = options or ExportOptions()
    options = replace(options, system=options.system or SYSTEMS[0])
    expect(
        options.kind == KIND and options.system in SYSTEMS,
        f"{NAME}: needs an ML Program for {' or '.join(SYSTEMS)}; got '{options.kind}' for"
        f" {options.system}",
    )
    expect(
        options.input == IMAGE and options.sizes is None,
        f"{NAME}: takes images of one size",
    )
    head = architecture.head
    expect(isinstance(head, Head), f"{NAME}: is for classifiers; this network has '{head.kind}'")
    from palmette.export.quantised.steps import compare_steps  # brings torch

    path = destination(path, KIND)
    plan = rounded_plan(architecture, options)
    final = finalised(architecture, tensors)
    prefix = ".palmette-export-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as name, without_notes():
        built = Path(name, path.name)
        spec, weight_file = convert(final, plan, built.parent, without=WRONG)
        describe(spec, plan.about, plan.metadata)
        write_package(spec, weight_file, built)
        layers, values = compare_codes(built, final)
        compare_system(built, plan.system)
        compare_input(built, plan)
        compare_outputs(built, plan.end)
        steps = compare_steps(built, final, plan, sample_images(architecture, IMAGES))
        found = steps.farthest, steps.output_error
        done = Quantised(path, layers, values, *found, size_bytes(built))
        move_into_place(built, path)
    return done


def rounded_plan(architecture: Architecture, options: ExportOptions) -> Plan:
    """What is put around a network that rounds to 8 bits.

    Its input is rounded after it is scaled, so the scale can't go into the first weights.
    """
    plan = plan_of(architecture, options, architecture.build().eval())
    scaling = plan.scaling.without_fold()
    told = {**plan.metadata, **scaling_metadata(options, scaling), KEY: NAME}
    return replace(plan, scaling=scaling, metadata=told)
