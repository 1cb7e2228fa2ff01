"""Proof of a detector's non-maximum suppression: what the package on disk says of it.

Everything that the export decides is read back: how the stages are wired, their types, thresholds
and labels; or the op in the program and its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from palmette.export.claims import Claim, settle
from palmette.export.ends import MAX_BOXES
from palmette.export.options import Suppression
from palmette.export.package import read_spec
from palmette.export.pipeline import SINGLE_SINCE, THRESHOLDS, array_types, wired
from palmette.export.weights import constants_in, program_operations

BOX = 4
"""Values of a box."""


def compare_suppression(
    path: Path, labels: Sequence[str], suppression: Suppression, function: str = ""
) -> None:
    """Check the suppression of a package on disk: wiring, types, thresholds, labels.

    Raises:
        ExportError: one differs; the message names it.
    """
    spec = read_spec(path, function)
    settle("suppression", _CLAIMS[suppression.form](spec, labels, suppression))


def _pipeline_claims(spec: Any, labels: Sequence[str], suppression: Suppression) -> Iterator[Claim]:
    kinds = [stage.WhichOneof("Type") for stage in spec.pipeline.models]
    yield Claim("kind of its stage", kinds[1:], ["nonMaximumSuppression"])
    nms = spec.pipeline.models[1].nonMaximumSuppression
    for field, name in wired().items():
        yield Claim(field, getattr(nms, field), name)
    yield Claim("iouThreshold", nms.iouThreshold, suppression.iou)
    yield Claim("confidenceThreshold", nms.confidenceThreshold, suppression.confidence)
    yield Claim("perClass", nms.pickTop.perClass, True)
    yield Claim("labels", list(nms.stringClassLabels.vector), list(labels))
    yield from _array_claims(spec, len(labels))
    yield from _wiring_claims(spec)


def _array_claims(spec: Any, classes: int) -> Iterator[Claim]:
    """Element types and shapes of what goes into the second stage and comes out."""
    first, second = spec.pipeline.models
    raw, kept = (
        [output.type.multiArrayType for output in stage.description.output]
        for stage in (first, second)
    )
    kind = "FLOAT32" if spec.specificationVersion >= SINGLE_SINCE else "DOUBLE"
    element = array_types().ArrayDataType.Value(kind)
    yield Claim("element type", {array.dataType for array in (*raw, *kept)}, {element})
    boxes = raw[0].shape[0]
    shapes = [[boxes, classes], [boxes, BOX]]
    yield Claim("shape of its input", [list(array.shape) for array in raw], shapes)
    largest = [[size.upperBound for size in array.shapeRange.sizeRanges] for array in kept]
    yield Claim("largest shape of its output", largest, shapes)


def _wiring_claims(spec: Any) -> Iterator[Claim]:
    """Each input and output is the same wherever it is named."""
    first, second = (stage.description for stage in spec.pipeline.models)
    own = spec.description
    optional = [value.name for value in own.input if value.type.isOptional]
    yield Claim("its optional inputs", optional, list(THRESHOLDS))
    fed = [*first.output, *own.input[1:]]
    yield Claim("first stage's input", _features(first.input), _features(own.input[:1]))
    yield Claim("second stage's input", _features(second.input), _features(fed))
    yield Claim("pipeline's output", _features(own.output), _features(second.output))
    versions = {stage.specificationVersion for stage in spec.pipeline.models}
    yield Claim("specification of the stages", versions, {spec.specificationVersion})


def _features(described: Sequence[Any]) -> list[tuple[str, str]]:
    """Names and types of inputs or outputs."""
    return [(feature.name, " ".join(str(feature.type).split())) for feature in described]


def _program_claims(spec: Any, _: Sequence[str], suppression: Suppression) -> Iterator[Claim]:
    operations = program_operations(spec)
    constants = constants_in(spec)
    found = [op for op in operations if op.type == "non_maximum_suppression"]
    yield Claim("number of its ops", len(found), 1)
    wanted = {
        "iou_threshold": np.float16(suppression.iou),
        "score_threshold": np.float16(suppression.confidence),
        "max_boxes": MAX_BOXES,
        "per_class_suppression": True,
    }
    values = {
        key: _scalar(constants[found[0].inputs[key].arguments[0].name])
        for key in wanted
        if key in found[0].inputs
    }
    if "score_threshold" not in values:  # since iOS 17 an op of its own compares
        (least,) = [op for op in operations if op.type == "greater_equal"]
        values["score_threshold"] = _scalar(constants[least.inputs["y"].arguments[0].name])
    for key, value in wanted.items():
        yield Claim(key, values[key], value)


def _scalar(value: Any) -> object:
    """A constant of one number or truth value."""
    tensor = value.immediateValue.tensor
    kind = tensor.WhichOneof("value")
    if kind == "bytes":
        return np.frombuffer(tensor.bytes.values, "<f2")[0]
    (found,) = getattr(tensor, kind).values
    return found


def _bare_claims(spec: Any, *_: object) -> Iterator[Claim]:
    yield Claim("whether there is a stage", spec.WhichOneof("Type") == "pipeline", False)


_CLAIMS: dict[str, Callable[[Any, Sequence[str], Suppression], Iterator[Claim]]] = {
    "pipeline": _pipeline_claims,
    "program": _program_claims,
    "none": _bare_claims,
}
