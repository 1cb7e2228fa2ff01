"""A detector and its suppression are one pipeline, as Vision takes it, and it is proven."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from palmette.export import ExportError, ExportOptions, Suppression, export, verify_weights
from palmette.export.detection_proof import compare_suppression
from palmette.export.ends import constants_of
from palmette.export.package import model_file, network_of, read_spec
from palmette.export.proof import compare_structure, image_size
from palmette.export.weights import stored_layers
from palmette.space import Architecture, InputError
from palmette.space.anchors import anchors_of

LABELS = ("person", "bicycle", "car")
SUPPRESSION = Suppression(iou=0.6, confidence=0.3)
NUMERIC = {"mlprogram": "FLOAT32", "neuralnetwork": "DOUBLE"}
"""Before iOS 14 the second stage takes nothing but DOUBLE."""


@pytest.fixture(scope="module")
def weights(detector: Architecture, trained: Callable[..., nn.Module]) -> nn.Module:
    return trained(detector)


@pytest.fixture(scope="module")
def pipeline(
    detector: Architecture,
    weights: nn.Module,
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Not to be changed (see `damaged`)."""
    path = tmp_path_factory.mktemp("pipeline") / "x"
    options = ExportOptions(kind, LABELS, suppression=SUPPRESSION)
    return export(detector, path, options=options, module=weights)


def described(features: Any) -> dict[str, str]:
    return {feature.name: feature.type.WhichOneof("Type") for feature in features}


def test_an_image_and_two_optional_thresholds_go_in_boxes_and_scores_come_out(
    pipeline: Path, kind: str
) -> None:
    about = read_spec(pipeline).description
    assert described(about.input) == {
        "image": "imageType",
        "iouThreshold": "doubleType",
        "confidenceThreshold": "doubleType",
    }
    assert [value.name for value in about.input if value.type.isOptional] == [
        "iouThreshold",
        "confidenceThreshold",
    ]
    assert list(described(about.output)) == ["confidence", "coordinates"]
    for output in about.output:
        array = output.type.multiArrayType
        assert array.ArrayDataType.Name(array.dataType) == NUMERIC[kind]


def test_the_second_stage_suppresses_what_the_first_gives(
    pipeline: Path, detector: Architecture, kind: str
) -> None:
    spec = read_spec(pipeline)
    first, second = spec.pipeline.models
    assert first.WhichOneof("Type").lower() == kind
    boxes = len(anchors_of(detector))
    shapes = {o.name: list(o.type.multiArrayType.shape) for o in first.description.output}
    assert shapes == {"raw_confidence": [boxes, 3], "raw_coordinates": [boxes, 4]}
    nms = second.nonMaximumSuppression
    assert (nms.iouThreshold, nms.confidenceThreshold) == (0.6, 0.3)
    assert nms.pickTop.perClass
    assert tuple(nms.stringClassLabels.vector) == LABELS
    assert [value.name for value in second.description.input] == [
        "raw_confidence",
        "raw_coordinates",
        "iouThreshold",
        "confidenceThreshold",
    ]


def test_a_shape_stands_beside_no_range_as_core_ml_demands(pipeline: Path) -> None:
    for output in read_spec(pipeline).description.output:
        array = output.type.multiArrayType
        assert not array.shape
        assert [size.lowerBound for size in array.shapeRange.sizeRanges][0] == 0


def test_the_metadata_are_the_pipelines(pipeline: Path, detector: Architecture) -> None:
    spec = read_spec(pipeline)
    assert spec.description.metadata.userDefined["architecture"] == detector.to_text()
    assert spec.description.metadata.author == "palmette"
    assert not network_of(spec).description.metadata.userDefined
    assert "labels" not in spec.description.metadata.userDefined


def test_the_weights_in_the_pipeline_are_proven(
    pipeline: Path, detector: Architecture, weights: nn.Module
) -> None:
    assert image_size(pipeline) == detector.resolution
    ops = detector.ops()
    assert verify_weights(pipeline, weights).values == sum(op.weights for op in ops)
    compare_structure(pipeline, ops)
    compare_suppression(pipeline, LABELS, SUPPRESSION)


def test_equal_exports_are_equal_byte_for_byte(
    pipeline: Path,
    detector: Architecture,
    weights: nn.Module,
    kind: str,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
) -> None:
    options = ExportOptions(kind, LABELS, suppression=SUPPRESSION)
    again = export(detector, tmp_path / "again", options=options, module=weights)
    assert contents(again) == contents(pipeline)


@pytest.fixture
def damaged(pipeline: Path, tmp_path: Path) -> Path:
    """A copy of the pipeline, to damage."""
    copy = tmp_path / pipeline.name
    return Path((shutil.copytree if pipeline.is_dir() else shutil.copyfile)(pipeline, copy))


def test_a_flipped_bit_of_any_weight_or_anchor_in_the_pipeline_is_found(
    damaged: Path, detector: Architecture, weights: nn.Module
) -> None:
    file = next(damaged.rglob("weight.bin")) if damaged.is_dir() else model_file(damaged)
    good, constants, rng = file.read_bytes(), constants_of(detector), random.Random(0)
    arrays = {array.tobytes(): "a constant of shape" for array in constants}
    for layer in stored_layers(damaged, constants):
        arrays[layer.weight.tobytes()] = "values differ"
    found = [values for values in arrays if values in good]
    assert len(found) == len(arrays)
    for values in found:
        bad = bytearray(good)
        bad[good.index(values) + rng.randrange(len(values))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        with pytest.raises(ExportError, match=f"values differ|weight of no|{arrays[values]}|could"):
            verify_weights(damaged, weights)
    file.write_bytes(good)
    verify_weights(damaged, weights)


def _threshold(spec: Any) -> None:
    spec.pipeline.models[1].nonMaximumSuppression.iouThreshold = 0.5


def _label(spec: Any) -> None:
    spec.pipeline.models[1].nonMaximumSuppression.stringClassLabels.vector[0] = "cat"


def _classes_apart(spec: Any) -> None:
    spec.pipeline.models[1].nonMaximumSuppression.pickTop.perClass = False


def _wire(spec: Any) -> None:
    spec.pipeline.models[1].nonMaximumSuppression.confidenceInputFeatureName = "raw_coordinates"


def _obligatory(spec: Any) -> None:
    spec.description.input[1].type.isOptional = False


def _half(spec: Any) -> None:
    array = spec.pipeline.models[0].description.output[0].type.multiArrayType
    array.dataType = array.FLOAT16


def _fewer_boxes(spec: Any) -> None:
    spec.pipeline.models[1].description.output[0].type.multiArrayType.shapeRange.sizeRanges[
        0
    ].upperBound = 1


def _no_stage(spec: Any) -> None:
    del spec.pipeline.models[1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_threshold, "iouThreshold is 0.5 in the package, not 0.6"),
        (_label, "labels is"),
        (_classes_apart, "perClass"),
        (_wire, "confidenceInputFeatureName"),
        (_obligatory, "optional inputs"),
        (_half, "element type"),
        (_fewer_boxes, "largest shape"),
        (_no_stage, "kind of its stage"),
    ],
)
def test_a_changed_second_stage_is_found(
    edit: Callable[[Any], None], message: str, damaged: Path
) -> None:
    spec = read_spec(damaged)
    edit(spec)
    model_file(damaged).write_bytes(spec.SerializeToString(deterministic=True))
    with pytest.raises(ExportError, match=f"suppression: .*{message}"):
        compare_suppression(damaged, LABELS, SUPPRESSION)


def test_without_labels_classes_are_numbered(detector: Architecture, tmp_path: Path) -> None:
    spec = read_spec(export(detector, tmp_path / "x"))
    nms = spec.pipeline.models[1].nonMaximumSuppression
    assert list(nms.stringClassLabels.vector) == ["0", "1", "2"]
    assert (nms.iouThreshold, nms.confidenceThreshold) == (0.45, 0.25)


def test_the_wrong_number_of_labels_is_refused(detector: Architecture, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the network has 3 classes, but 2 labels are given"):
        export(detector, tmp_path / "x", options=ExportOptions(labels=("cat", "dog")))
    assert not list(tmp_path.iterdir())


def test_constants_are_the_anchors_as_boxes_are_decoded(
    detector: Architecture, small: Architecture
) -> None:
    sizes, centres, scaled = constants_of(detector)
    anchors = anchors_of(detector)
    assert np.abs(centres - anchors[:, :2]).max() < 1e-3
    assert np.abs(sizes - anchors[:, 2:]).max() < 1e-3
    assert np.abs(scaled * 10.0 - anchors[:, 2:]).max() < 1e-2
    assert constants_of(small) == ()
