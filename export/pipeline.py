"""A detector and its non-maximum suppression as one package: a pipeline of two stages.

The shape that Vision takes for an object detector: an image in; out come `confidence` (boxes,
classes) and `coordinates` (boxes, 4) of the boxes that stay; both thresholds have a default and
are optional inputs. Rules of the stages after the validators of Apple's coremltools
(mlmodel/src/Validation/PipelineValidator.cpp and NonMaximumSuppressionValidator.cpp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palmette.export._coremltools import coremltools
from palmette.export.ends import RAW
from palmette.export.options import Suppression

CONFIDENCE, COORDINATES = OUTPUTS = ("confidence", "coordinates")
IOU_INPUT, CONFIDENCE_INPUT = THRESHOLDS = ("iouThreshold", "confidenceThreshold")
STAGES = ("detector", "suppression")
SINGLE_SINCE = 5
"""Specification (iOS 14) from which on the second stage takes FLOAT32; before, only DOUBLE."""

DESCRIPTIONS = {
    CONFIDENCE: "Boxes x classes: score of each class",
    COORDINATES: "Boxes x 4: centre x, centre y, width, height, as fractions of the image",
    IOU_INPUT: "Overlap (intersection over union) above which the lesser box goes; default {:g}",
    CONFIDENCE_INPUT: "Least score of a box; default {:g}",
}


def detection_pipeline(detector: Any, labels: Sequence[str], suppression: Suppression) -> Any:
    """Protobuf of a pipeline: a detector, whose outputs have `RAW` before their names, and NMS.

    Args:
        detector: Core ML's protobuf, with the shapes of its outputs; it is copied.
        labels: of the classes in order.
        suppression: thresholds.
    """
    coremltools()
    from coremltools.proto import Model_pb2

    pipeline = Model_pb2.Model()
    pipeline.specificationVersion = detector.specificationVersion
    pipeline.description.metadata.CopyFrom(detector.description.metadata)
    first, second = (pipeline.pipeline.models.add() for _ in STAGES)
    pipeline.pipeline.names.extend(STAGES)
    first.CopyFrom(detector)
    first.description.metadata.Clear()
    for output in first.description.output:
        if detector.specificationVersion < SINGLE_SINCE:
            output.type.multiArrayType.dataType = array_types().DOUBLE
    _describe_stage(second, first, suppression)
    _set_up(second.nonMaximumSuppression, labels, suppression)
    pipeline.description.input.extend(first.description.input)
    pipeline.description.input.extend(second.description.input[len(OUTPUTS) :])
    pipeline.description.output.extend(second.description.output)
    return pipeline


def _describe_stage(stage: Any, detector: Any, suppression: Suppression) -> None:
    """Inputs and outputs of the second stage."""
    stage.specificationVersion = detector.specificationVersion
    stage.description.input.extend(detector.description.output)
    for name, default in zip(THRESHOLDS, (suppression.iou, suppression.confidence), strict=True):
        threshold = stage.description.input.add(name=name)
        threshold.shortDescription = DESCRIPTIONS[name].format(default)
        threshold.type.doubleType.SetInParent()
        threshold.type.isOptional = True
    for name, raw in zip(OUTPUTS, detector.description.output, strict=True):
        output = stage.description.output.add(name=name, shortDescription=DESCRIPTIONS[name])
        boxes, values = raw.type.multiArrayType.shape
        array = output.type.multiArrayType
        array.dataType = raw.type.multiArrayType.dataType
        # as many rows as boxes stay; a shape beside the range would break Core ML's rules
        array.shapeRange.sizeRanges.add(lowerBound=0, upperBound=boxes)
        array.shapeRange.sizeRanges.add(lowerBound=values, upperBound=values)


def _set_up(nms: Any, labels: Sequence[str], suppression: Suppression) -> None:
    nms.iouThreshold = suppression.iou
    nms.confidenceThreshold = suppression.confidence
    nms.pickTop.perClass = True
    nms.stringClassLabels.vector.extend(labels)
    for field, name in wired().items():
        setattr(nms, field, name)


def wired() -> dict[str, str]:
    """Fields of the second stage that name its inputs and outputs."""
    return {
        "confidenceInputFeatureName": RAW + CONFIDENCE,
        "coordinatesInputFeatureName": RAW + COORDINATES,
        "iouThresholdInputFeatureName": IOU_INPUT,
        "confidenceThresholdInputFeatureName": CONFIDENCE_INPUT,
        "confidenceOutputFeatureName": CONFIDENCE,
        "coordinatesOutputFeatureName": COORDINATES,
    }


def array_types() -> Any:
    """Core ML's types of arrays."""
    from coremltools.proto import FeatureTypes_pb2

    return FeatureTypes_pb2.ArrayFeatureType
