"""Every head is exported with all of its outputs, named, and proven in both formats."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from palmette.export import ExportError, ExportOptions, Suppression, export, verify_weights
from palmette.export.package import read_spec
from palmette.export.proof import op_kinds
from palmette.space import Architecture, InputError
from palmette.space.blocks import HEADS

Trained = Callable[..., nn.Module]
BARE = Suppression("none")


def bare(architecture: Architecture, kind: str, **options: Any) -> ExportOptions:
    """Options for a package of one stage."""
    detects = "coordinates" in architecture.head.outputs
    return ExportOptions(kind, suppression=BARE if detects else None, **options)


def outputs(path: Path) -> dict[str, tuple[int, ...]]:
    given = read_spec(path).description.output
    return {output.name: tuple(output.type.multiArrayType.shape) for output in given}


def element_types(path: Path) -> set[str]:
    arrays = [output.type.multiArrayType for output in read_spec(path).description.output]
    return {array.ArrayDataType.Name(array.dataType) for array in arrays}


def specification(architecture: Architecture, kind: str) -> int:
    """Core ML's number of the oldest system: iOS 16, 14 or 13."""
    resizes = any(op.kind == "resize" for op in architecture.ops())
    return 7 if kind == "mlprogram" else 5 if resizes else 4


def test_the_small_networks_hold_every_head(head_texts: dict[str, str]) -> None:
    assert set(head_texts) == set(HEADS) - {"head"}


def test_outputs_have_the_names_and_shapes_of_the_module_and_weights_are_proven(
    headed: Architecture, kind: str, tmp_path: Path, trained: Trained
) -> None:
    module = trained(headed)
    path = export(headed, tmp_path / "x", options=bare(headed, kind), module=module)
    given = module(torch.zeros(1, 3, *headed.resolution))
    given = given if isinstance(given, tuple) else (given,)
    # a detector's package leaves the batch out, as its later stage wants
    batch = 1 if "coordinates" in headed.head.outputs else 0
    shapes = [tuple(output.shape)[batch:] for output in given]
    assert outputs(path) == dict(zip(headed.head.outputs, shapes, strict=True))
    assert list(outputs(path)) == list(headed.head.outputs)
    if batch:
        assert element_types(path) == {"FLOAT32"}
    assert read_spec(path).specificationVersion == specification(headed, kind)
    report = verify_weights(path, module)
    assert report.values == sum(op.weights for op in headed.ops())
    assert report.layers == sum(op.kind == "conv" for op in headed.ops())


def test_a_segmenter_can_end_in_the_best_class_of_each_pixel(
    segmenter: Architecture, kind: str, tmp_path: Path, trained: Trained
) -> None:
    module = trained(segmenter)
    options = ExportOptions(kind, class_map=True)
    path = export(segmenter, tmp_path / "x", options=options, module=module)
    assert outputs(path) == {"class_map": (1, *segmenter.resolution)}
    assert element_types(path) == {"INT32"}
    kinds = op_kinds(read_spec(path))
    assert kinds["reduce_argmax"] + kinds["argMax"] == 1
    verify_weights(path, module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": tuple("abcd")}, "a 'lraspp' head names no classes"),
        ({"suppression": BARE}, "nms: a 'lraspp' head gives no boxes"),
        ({"kind": "neuralnetwork", "system": "iOS13"}, "since iOS14; got iOS13"),
    ],
)
def test_options_that_a_segmenter_has_no_use_for_are_refused(
    options: dict[str, Any], message: str, segmenter: Architecture, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        export(segmenter, tmp_path / "x", options=ExportOptions(**options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suppression": Suppression()}, "nms: a 'head' head gives no boxes; it is for detectors"),
        ({"class_map": True}, "class_map: a 'head' head scores no pixels"),
    ],
)
def test_options_that_a_classifier_has_no_use_for_are_refused(
    options: dict[str, Any], message: str, small: Architecture, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        export(small, tmp_path / "x", options=ExportOptions(**options))
    assert not list(tmp_path.iterdir())


def test_another_output_than_the_modules_is_found(segmenter: Architecture, tmp_path: Path) -> None:
    from palmette.export.ends import end_of
    from palmette.export.proof import compare_outputs

    path = export(segmenter, tmp_path / "x")
    (height, width) = segmenter.resolution
    compare_outputs(path, end_of(segmenter, ExportOptions(), ((1, 4, height, width),)))
    with pytest.raises(ExportError, match=r"outputs are {'scores': \(1, 4, 48, 64\)}, the module"):
        compare_outputs(path, end_of(segmenter, ExportOptions(), ((1, 4, height, width - 1),)))
