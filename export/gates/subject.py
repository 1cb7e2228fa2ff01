"""What is verified: a package, what it claims to be, and the torch network to hold it against."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.ends import End, end_of
from palmette.export.fold import Folded
from palmette.export.formats import FORMATS, SPECIFICATIONS
from palmette.export.interpreter import Operation, Program, read_network, read_program
from palmette.export.options import ExportOptions, Suppression
from palmette.export.package import model_file, network_of, read_spec
from palmette.export.plan import Plan, plan_of
from palmette.export.scaling import IMAGE, TENSOR, Channels, Scale
from palmette.export.sizes import Flexible, read_range, read_sizes
from palmette.space.architecture import Architecture
from palmette.space.blocks import Head
from palmette.space.blocks.detection import Detector
from palmette.space.errors import InputError, expect

if TYPE_CHECKING:
    from torch import nn

SYSTEMS = {version: system for system, version in SPECIFICATIONS.items()}
UNTRAINED = "untrained"
SUPPRESSION = "non_maximum_suppression"


@dataclass(frozen=True, slots=True)
class Subject:
    """A package beside the network that it should hold."""

    path: Path
    spec: Any
    """Core ML's protobuf of the network: of a pipeline, its first stage."""
    architecture: Architecture
    module: nn.Module
    plan: Plan
    """Of an export with the options that such a package is made with."""
    graph: Program
    """The program, without the weights that lie in a file."""

    @property
    def folded(self) -> Folded:
        """The network with its BatchNorm folded."""
        return self.plan.folded

    @property
    def options(self) -> ExportOptions:
        """Those that decide what the package computes."""
        return self.plan.options

    @property
    def end(self) -> End:
        """Its outputs."""
        return self.plan.end

    @property
    def compressed(self) -> bool:
        """Whether weights are stored in a compressed form."""
        return any(op.kind.startswith("constexpr_") for op in self.graph.operations)


def open_subject(
    path: Path,
    architecture: Architecture,
    module: nn.Module | None,
    scale: Scale,
    bias: Channels,
    *,
    rounded: bool = False,
) -> Subject:
    """Read a package and see that it claims to be the architecture.

    Args:
        path: of the package.
        architecture: that it should hold.
        module: with its weights; None if it was exported without.
        scale: of pixels.
        bias: of pixels.
        rounded: whether it is to round its activations to 8 bits.

    Raises:
        InputError: not a package, its metadata name no architecture or another one, it holds
            trained weights but none are given, a path leads out of it, or an operation is unknown.
    """
    whole = read_spec(path)
    spec = network_of(whole)
    _check_identity(path, whole.description.metadata.userDefined, architecture, module)
    program = spec.WhichOneof("Type") == "mlProgram"
    graph = read_program(path, weights=False) if program else read_network(path)
    if program:
        _check_files(path, spec)
        _check_known(graph)
        rounds = any(op.kind == "quantize" for op in graph.operations)
        expect(
            rounds == rounded,
            f"package {path}: {'rounds' if rounds else 'does not round'} activations to 8 bits;"
            f" give the weights that palmette train {'--quantise ' if rounds else ''}left",
        )
    _check_wires(path, spec, graph)
    options = _options(path, whole, architecture, graph, (scale, bias))
    module = architecture.build().eval() if module is None else module
    return Subject(path, spec, architecture, module, plan_of(architecture, options, module), graph)


def _check_identity(
    path: Path, about: Mapping[str, str], architecture: Architecture, module: nn.Module | None
) -> None:
    expect(
        "functions" not in about,
        f"package {path}: holds the functions {about.get('functions', '')}; name the one to verify",
    )
    for key in ("architecture", "architecture_id", "weights"):
        expect(
            key in about,
            f"package {path}: its metadata have no '{key}'; give a package that palmette exported",
        )
    if about["architecture_id"] != architecture.id:
        raise InputError(f"package {path}: {_another(about, architecture)}")
    expect(
        module is not None or about["weights"] == UNTRAINED,
        f"package {path}: holds weights that were given; give the same ones to compare with",
    )


def _another(about: Mapping[str, str], architecture: Architecture) -> str:
    """What is wrong with an architecture that is not the package's, and what to give."""
    found, head = Architecture.from_text(about["architecture"]), architecture.head
    if isinstance(found.head, Head) and isinstance(head, Head):
        classes = found.head.classes
        if replace(architecture, head=replace(head, classes=classes)) == found:
            trained = "the weights that it was exported with, which know their classes"
            own = f"--task classifier --classes {classes} as well"
            give = own if about["weights"] == UNTRAINED else trained
            return f"has {classes} classes, the network {head.classes}; give {give}"
    return (
        f"is the architecture {about['architecture_id']}, not {architecture.id}; name the one that"
        " it was exported from"
    )


def _check_files(path: Path, spec: Any) -> None:
    """Refuse a weight file outside of the package, before anything is read."""
    folder = model_file(path).parent.resolve()
    for name in sorted(set(_file_names(spec.mlProgram))):
        file = (folder / name.removeprefix("@model_path/")).resolve()
        expect(
            file.is_relative_to(folder), f"package {path}: weight file '{name}' lies outside of it"
        )


def _file_names(message: Any) -> Iterator[str]:
    """Names of weight files anywhere in a program's constants."""
    for function in message.functions.values():
        for block in function.block_specializations.values():
            for op in block.operations:
                values = [*op.attributes.values()]
                values += [x.value for entry in op.inputs.values() for x in entry.arguments]
                for value in values:
                    if value.WhichOneof("value") == "blobFileValue":
                        yield value.blobFileValue.fileName


def _check_wires(path: Path, spec: Any, graph: Program) -> None:
    """Refuse a program that reads or gives what nothing makes."""
    expect(
        len(graph.inputs) == len(spec.description.input) == 1,
        f"package {path}: has {len(graph.inputs)} inputs; those of palmette have one",
    )
    known = {graph.inputs[0].name}
    for op in graph.operations:
        for key, items in op.inputs.items():
            expect(bool(items), f"{op.where}: '{key}' names nothing")
            for item in items:
                made = not isinstance(item, str) or item in known
                expect(made, f"{op.where}: '{key}' is '{item}', which nothing before it gives")
        known |= {output.name for output in op.outputs}
    for name in graph.outputs:
        expect(name in known, f"package {path}: gives '{name}', which no operation makes")


def _check_known(graph: Program) -> None:
    from palmette.export.interpreter.ops import OPERATIONS, constants

    known = {"const", *OPERATIONS, *constants.TABLE}
    for op in graph.operations:
        expect(op.kind in known, f"{op.where}: this kind is not known to the interpreter")


def _options(
    path: Path,
    whole: Any,
    architecture: Architecture,
    graph: Program,
    scaling: tuple[Scale, Channels],
) -> ExportOptions:
    """Options that make a package with these outputs."""
    spec = network_of(whole)
    kind = "mlprogram" if spec.WhichOneof("Type") == "mlProgram" else "neuralnetwork"
    version = spec.specificationVersion
    expect(
        SYSTEMS.get(version) in FORMATS[kind].systems,
        f"package {path}: has the specification {version}, which palmette does not write",
    )
    given = spec.description.input[0].type
    image = given.WhichOneof("Type") == "imageType"
    detector = isinstance(architecture.head, Detector)
    options = ExportOptions(
        kind,
        _labels(spec, graph),
        *scaling,
        suppression=_suppression(whole, graph) if detector else None,
        class_map=any(op.kind == "reduce_argmax" for op in graph.operations),
        system=SYSTEMS[version],
        input=IMAGE if image else TENSOR,
        sizes=_sizes(path, whole.description.metadata.userDefined.get("sizes", "")),
        batch=1 if image else int(next(iter(given.multiArrayType.shape), 1)),
    )
    return replace(options, outputs=_own_names(architecture, options, graph))


def _sizes(path: Path, text: str) -> Flexible | None:
    """Further sizes of the image, by the package's metadata."""
    where = f"package {path}: 'sizes' of its metadata"
    if not text:
        return None
    return read_range(text, where) if ".." in text else read_sizes(text, where)


def _own_names(
    architecture: Architecture, options: ExportOptions, graph: Program
) -> tuple[str, ...] | None:
    """Names that were given to the outputs; None for the head's own."""
    shapes = ((1, 1, *architecture.resolution),) * len(architecture.head.outputs)
    usual = end_of(architecture, options, shapes)
    if usual.classifier or set(usual.outputs) == set(graph.outputs):
        return None
    return graph.outputs


def _labels(spec: Any, graph: Program) -> tuple[str, ...] | None:
    """Labels of a classifier."""
    if spec.WhichOneof("Type") == "neuralNetworkClassifier":
        return tuple(spec.neuralNetworkClassifier.stringClassLabels.vector)
    for op in graph.operations:
        if op.kind == "classify":
            (classes,) = op.inputs["classes"]
            return tuple(map(str, classes))
    return None


def _suppression(whole: Any, graph: Program) -> Suppression:
    """How a detector's package suppresses boxes, by what it says itself."""
    if whole.WhichOneof("Type") == "pipeline":
        nms = whole.pipeline.models[-1].nonMaximumSuppression
        return Suppression("pipeline", nms.iouThreshold, nms.confidenceThreshold)
    for op in graph.operations:
        if op.kind == SUPPRESSION:
            return Suppression("program", *_thresholds(graph, op))
    return Suppression("none")


def _thresholds(graph: Program, op: Operation) -> tuple[float, float]:
    """Overlap and least score; since iOS 17 an operation of its own compares the score."""
    known = {found.name: found for found in graph.operations}
    iou = known[str(op.inputs["iou_threshold"][0])]
    if "score_threshold" in op.inputs:
        least = known[str(op.inputs["score_threshold"][0])]
    else:
        compared = [found for found in graph.operations if found.kind == "greater_equal"]
        if len(compared) != 1:
            raise InputError(f"{op.where}: no comparison of scores before it")
        least = known[str(compared[0].inputs["y"][0])]
    return float(iou.attributes["val"]), float(least.attributes["val"])
