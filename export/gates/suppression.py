"""A gate of detectors: how boxes are suppressed, and, where the program does it, what stays.

Thresholds are those that the package names: which ones were meant cannot be read from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from palmette.export.detection_proof import compare_suppression
from palmette.export.ends import MAX_BOXES, class_labels
from palmette.export.errors import ExportError
from palmette.export.gates.gate import Gate
from palmette.export.gates.observed import watched
from palmette.export.gates.subject import Subject
from palmette.export.interpreter import Interpreter, Operation, Value
from palmette.export.package import read_spec
from palmette.space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

NAME = "suppression"
SHOWS = (
    "stages, types, labels and wires of the suppression are right; one in the program keeps the"
    " boxes that torch keeps of the same scores"
)


def suppression_gate(subject: Subject, images: Sequence[Tensor]) -> Gate:
    """Whether a detector's suppression is the one that its package names."""
    suppression = subject.options.suppression
    assert suppression is not None
    figures = {"iou": suppression.iou, "confidence": suppression.confidence}
    try:
        compare_suppression(subject.path, _labels(subject), suppression)
        if suppression.form == "program":
            figures["boxes"] = sum(_compare_kept(subject, image) for image in images)
    except (ExportError, InputError) as error:
        return Gate(NAME, SHOWS, False, str(error), figures)
    return Gate(NAME, SHOWS, True, figures=figures)


def _labels(subject: Subject) -> tuple[str, ...]:
    """Labels of the classes; a second stage must have as many."""
    spec = read_spec(subject.path)
    if spec.WhichOneof("Type") != "pipeline":
        return class_labels(subject.architecture.head, subject.options)
    labels = tuple(spec.pipeline.models[-1].nonMaximumSuppression.stringClassLabels.vector)
    classes = subject.architecture.head.classes
    if len(labels) != classes:
        raise ExportError(f"the second stage has {len(labels)} labels, the network {classes}")
    return labels


def _compare_kept(subject: Subject, image: Tensor) -> int:
    """Number of boxes that stay of an image, all equal to those that torch keeps.

    Raises:
        ExportError: others stay.
    """
    from palmette.export.suppression import suppress

    interpreter = Interpreter.from_package(subject.path)
    names = watched(subject, interpreter.program)
    seen: dict[str, Tensor] = {}

    def watch(operation: Operation, output: Value, value: Tensor) -> None:
        seen[output.name] = value

    (entry,) = interpreter.program.inputs
    found = interpreter.run({entry.name: image}, hook=watch)
    suppression = subject.options.suppression
    assert suppression is not None
    scores, boxes = (seen[name] for name in names)
    *kept, count = suppress(scores, boxes, suppression.iou, suppression.confidence, MAX_BOXES)
    number = int(count)
    outputs = [found[name] for name in subject.end.outputs]
    if int(outputs[-1]) != number:
        raise ExportError(f"{int(outputs[-1])} boxes stay, torch keeps {number}")
    for name, ours, theirs in zip(subject.end.outputs, outputs, kept, strict=False):
        if not ours[:number].equal(theirs[0, :number]):
            raise ExportError(f"'{name}' of the boxes that stay is not what torch keeps")
    return number
