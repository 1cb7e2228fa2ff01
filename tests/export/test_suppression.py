"""Suppression in torch is torchvision's; in a program it has the signature of the system."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from palmette.export import (
    ExportError,
    ExportOptions,
    Suppression,
    export,
    export_for_runtime,
    verify_weights,
)
from palmette.export.detection_proof import compare_suppression
from palmette.export.formats import system_for_runtime
from palmette.export.package import read_spec
from palmette.export.proof import op_kinds
from palmette.export.suppression import suppress
from palmette.export.weights import program_operations
from palmette.space import Architecture, InputError

PROGRAM = Suppression("program", 0.6, 0.125)
LABELS = ("a", "b", "c")
SYSTEMS = {"iOS16": 4, "iOS17": 3}
"""Outputs of the op."""


def drawn(seed: int, boxes: int = 60) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    scores = torch.rand((1, boxes, 3), generator=random)
    centres = torch.rand((1, boxes, 2), generator=random)
    sizes = torch.rand((1, boxes, 2), generator=random) * 0.6
    return scores, torch.cat((centres, sizes), 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("iou", [0.0, 0.3, 0.7])
def test_what_stays_is_what_torchvision_keeps(seed: int, iou: float) -> None:
    from torchvision.ops import batched_nms, box_convert

    scores, boxes = drawn(seed)
    best, classes = scores[0].max(1)
    enough = (best >= 0.5).nonzero()[:, 0]
    corners = box_convert(boxes[0, enough], "cxcywh", "xyxy")
    wanted = enough[batched_nms(corners, best[enough], classes[enough], iou)]
    kept, placed, count = suppress(scores, boxes, iou, 0.5, 60)
    assert count.tolist() == [len(wanted)]
    assert kept[0, : len(wanted)].equal(scores[0, wanted])
    assert placed[0, : len(wanted)].equal(boxes[0, wanted])
    assert not kept[0, len(wanted) :].any() and not placed[0, len(wanted) :].any()


def test_of_three_boxes_by_hand_the_overlapping_one_of_the_same_class_goes() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.2], [0.5, 0.5, 0.2, 0.1], [0.5, 0.5, 0.2, 0.2]]])
    scores = torch.tensor([[[0.8, 0.1], [0.9, 0.0], [0.2, 0.7]]])
    kept, placed, count = suppress(scores, boxes, 0.4, 0.5, 4)
    assert count.tolist() == [2]
    assert kept[0].tolist() == [scores[0, 1].tolist(), scores[0, 2].tolist(), [0, 0], [0, 0]]
    assert placed[0, :2].equal(boxes[0, 1:])
    # half of the larger box is the smaller one
    assert suppress(scores, boxes, 0.51, 0.5, 4)[2].tolist() == [3]
    assert suppress(scores, boxes, 0.51, 0.75, 4)[2].tolist() == [2]
    assert suppress(scores, boxes, 0.51, 0.5, 1)[2].tolist() == [1]


@pytest.fixture(scope="module")
def module(detector: Architecture, trained: Callable[..., nn.Module]) -> nn.Module:
    return trained(detector)


@pytest.fixture(scope="module")
def suppressed(
    detector: Architecture, module: nn.Module, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A package with the op of each system, and one without it."""
    folder = tmp_path_factory.mktemp("suppressed")
    asked = {
        **{
            name: ExportOptions(labels=LABELS, suppression=PROGRAM, system=name) for name in SYSTEMS
        },
        "none": ExportOptions(suppression=Suppression("none")),
    }
    return {
        name: export(detector, folder / name, options=options, module=module)
        for name, options in asked.items()
    }


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_op_has_the_signature_of_the_system_and_its_parameters(
    system: str, detector: Architecture, module: nn.Module, suppressed: dict[str, Path]
) -> None:
    path = suppressed[system]
    spec = read_spec(path)
    (op,) = [op for op in program_operations(spec) if op.type == "non_maximum_suppression"]
    assert len(op.outputs) == SYSTEMS[system]
    assert ("score_threshold" in op.inputs) == (system == "iOS16")
    arrays = {o.name: o.type.multiArrayType for o in spec.description.output}
    assert {name: list(array.shape) for name, array in arrays.items()} == {
        "confidence": [100, 3],
        "coordinates": [100, 4],
        "count": [1],
    }
    types = [array.ArrayDataType.Name(array.dataType) for array in arrays.values()]
    assert types == ["FLOAT32", "FLOAT32", "INT32"]
    assert spec.description.metadata.userDefined["labels"] == "a\nb\nc"
    assert verify_weights(path, module).values == sum(op.weights for op in detector.ops())


@pytest.mark.parametrize("system", ["iOS16", "iOS17"])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Suppression("program", 0.5, 0.125), "iou_threshold is .*0.6.* not .*0.5"),
        (Suppression("program", 0.6, 0.25), "score_threshold is .*0.125.* not .*0.25"),
        (Suppression("none"), None),
        (Suppression("pipeline"), "kind of its stage"),
    ],
)
def test_a_program_with_other_parameters_is_found(
    system: str,
    other: Suppression,
    message: str | None,
    suppressed: dict[str, Path],
) -> None:
    compare_suppression(suppressed[system], "012", PROGRAM)
    if message is None:
        with pytest.raises(ExportError, match="number of its ops is 0"):
            compare_suppression(suppressed["none"], "012", PROGRAM)
    else:
        with pytest.raises(ExportError, match=message):
            compare_suppression(suppressed[system], "012", other)


def test_no_number_in_a_program_is_infinite(suppressed: dict[str, Path]) -> None:
    for op in program_operations(read_spec(suppressed["none"])):
        if op.type == "const" and "val" in op.attributes:
            numbers = op.attributes["val"].immediateValue.tensor.bytes.values
            assert np.isfinite(np.frombuffer(numbers, "<f2")).all(), op.outputs[0].name


@pytest.mark.parametrize(
    ("runtime", "system"),
    [
        ("coreml-ios15", "iOS15"),
        ("coreml-ios16", "iOS16"),
        ("coreml-ios17", "iOS17"),
        ("coreml-ios26", "iOS26"),
        ("tflite-2.10", None),
    ],
)
def test_a_runtime_has_a_system(runtime: str, system: str | None) -> None:
    assert system_for_runtime(runtime, "mlprogram") == system


def test_the_targets_runtime_chooses_the_signature(detector: Architecture, tmp_path: Path) -> None:
    path = export_for_runtime(
        detector, tmp_path / "x", runtime="coreml-ios18", nms="program", iou=0.5, confidence=0.0
    )
    assert op_kinds(read_spec(path))["non_maximum_suppression"] == 1
    assert read_spec(path).specificationVersion == 9
    compare_suppression(path, "012", Suppression("program", 0.5, 0.0))


def test_a_system_without_the_op_is_refused_in_one_line(
    detector: Architecture, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nms: 'program' is an op of ML Programs") as refused:
        export_for_runtime(detector, tmp_path / "x", runtime="coreml-ios13", nms="program")
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"form": "later"}, "unknown form 'later'; known forms are pipeline, program, none"),
        ({"iou": 1.5}, "iou: must be a number from 0 to 1, got 1.5"),
        ({"iou": "x"}, "iou: must be a number"),
        ({"confidence": -0.1}, "confidence: must be a number from 0 to 1, got -0.1"),
        ({"confidence": float("nan")}, "confidence: must be a number"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Suppression(**values)
