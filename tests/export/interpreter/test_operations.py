"""Each operation gives what its definition says: small cases worked by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor

from palmette.export.interpreter.ops import OPERATIONS

ROW = torch.tensor([-2.0, -0.5, 0.0, 1.0, 8.0])
ONE = torch.ones(1, 1, 2, 3)
COUNT = torch.arange(6.0).reshape(1, 1, 2, 3)  # 0 1 2 / 3 4 5
PAIR = torch.arange(4.0).reshape(1, 2, 1, 2)  # channel 0: 0 1; channel 1: 2 3

CASES: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("clip", {"x": ROW, "alpha": -1.0, "beta": 6.0}, [-1.0, -0.5, 0.0, 1.0, 6.0]),
    ("relu", {"x": ROW}, [0.0, 0.0, 0.0, 1.0, 8.0]),
    ("relu6", {"x": ROW}, [0.0, 0.0, 0.0, 1.0, 6.0]),
    ("leaky_relu", {"x": ROW, "alpha": 0.5}, [-1.0, -0.25, 0.0, 1.0, 8.0]),
    ("sigmoid_hard", {"x": ROW, "alpha": 0.25, "beta": 0.5}, [0.0, 0.375, 0.5, 0.75, 1.0]),
    ("thresholded_relu", {"x": ROW, "alpha": -0.5}, [0.0, -0.5, 0.0, 1.0, 8.0]),
    ("prelu", {"x": PAIR - 2, "alpha": torch.tensor([0.5, 2.0])}, [[[[-1, -0.5]], [[0, 1]]]]),
    ("silu", {"x": torch.zeros(2)}, [0.0, 0.0]),
    ("reduce_mean", {"x": COUNT, "axes": [2, 3], "keep_dims": True}, [[[[2.5]]]]),
    ("reduce_sum", {"x": COUNT, "axes": [3]}, [[[3.0, 12.0]]]),
    ("reduce_max", {"x": COUNT, "axes": [2]}, [[[3.0, 4.0, 5.0]]]),
    ("reduce_argmax", {"x": PAIR, "axis": 1}, [[[1, 1]]]),
    ("cast", {"x": torch.tensor([True, False]), "dtype": "fp16"}, [1.0, 0.0]),
    ("softmax", {"x": torch.zeros(1, 4), "axis": 1}, [[0.25] * 4]),
    ("conv", {"x": ONE, "weight": torch.ones(1, 1, 3, 3), "pad_type": "same"}, [[[[4, 6, 4]] * 2]]),
    (
        "conv",  # one column before, none behind: the window's right half meets what is there
        {
            "x": COUNT,
            "weight": torch.tensor([[[[1.0, 10.0]]]]),
            "pad_type": "custom",
            "pad": [0, 0, 1, 0],
        },
        [[[[0, 10, 21], [30, 43, 54]]]],
    ),
    (
        "conv",
        {"x": COUNT, "weight": torch.ones(1, 1, 1, 1), "pad_type": "valid", "strides": [1, 2]},
        [[[[0, 2], [3, 5]]]],
    ),
    (
        "conv_transpose",
        {"x": ONE[..., :1, :2], "weight": torch.ones(1, 1, 1, 2), "pad_type": "valid"},
        [[[[1, 2, 1]]]],
    ),
    (
        "linear",
        {
            "x": torch.tensor([[1.0, 2.0]]),
            "weight": torch.tensor([[3.0, 4.0]]),
            "bias": ONE[0, 0, 0, :1],
        },
        [[12.0]],
    ),
    (
        "batch_norm",
        {
            "x": PAIR,
            "mean": torch.tensor([0.0, 1.0]),
            "variance": torch.tensor([1.0, 4.0]),
            "gamma": torch.tensor([3.0, 2.0]),
            "beta": torch.tensor([1.0, 0.0]),
            "epsilon": 0.0,
        },
        [[[[1, 4]], [[1, 2]]]],
    ),
    (
        "max_pool",
        {"x": -1 - COUNT, "kernel_sizes": [2, 2], "pad_type": "custom", "pad": [0, 1, 0, 1]},
        [[[[-1, -2, -3], [-4, -5, -6]]]],
    ),
    (
        "max_pool",  # a second window that hangs over the edge
        {
            "x": COUNT,
            "kernel_sizes": [2, 2],
            "pad_type": "valid",
            "strides": [2, 2],
            "ceil_mode": True,
        },
        [[[[4, 5]]]],
    ),
    (
        "avg_pool",
        {"x": ONE, "kernel_sizes": [1, 2], "pad_type": "custom", "pad": [0, 0, 1, 1]},
        [[[[0.5, 1, 1, 0.5]] * 2]],
    ),
    (
        "avg_pool",
        {
            "x": ONE,
            "kernel_sizes": [1, 2],
            "pad_type": "custom",
            "pad": [0, 0, 1, 0],
            "exclude_padding_from_average": True,
        },
        [[[[1, 1, 1]] * 2]],
    ),
    ("pad", {"x": ONE, "pad": [0, 0, 1, 0], "constant_val": 7.0}, [[[[7, 1, 1, 1]] * 2]]),
    (
        "upsample_bilinear",
        {"x": COUNT[:, :, :1, :2], "scale_factor_width": 2.0, "align_corners": False},
        [[[[0, 0.25, 0.75, 1]]]],
    ),
    (
        "upsample_bilinear",
        {"x": COUNT[:, :, :1, :2], "scale_factor_width": 1.5, "align_corners": True},
        [[[[0, 0.5, 1]]]],
    ),
    (
        "upsample_nearest_neighbor",
        {"x": PAIR, "scale_factor_width": 2},
        [[[[0, 0, 1, 1]], [[2, 2, 3, 3]]]],
    ),
    (
        "resize_bilinear",
        {
            "x": COUNT[:, :, :1, :2],
            "target_size_height": 1,
            "target_size_width": 3,
            "sampling_mode": "STRICT_ALIGN_CORNERS",
        },
        [[[[0, 0.5, 1]]]],
    ),
    (
        "quantize",  # ties go to even steps; the ends clip
        {
            "input": torch.tensor([0.25, 0.75, -99.0]),
            "scale": torch.tensor(0.5),
            "output_dtype": "int8",
        },
        [0, 2, -128],
    ),
    (
        "dequantize",
        {
            "input": torch.tensor([[1, 2]], dtype=torch.int8),
            "scale": torch.tensor([2.0, 3.0]),
            "zero_point": [1, 0],
            "axis": 1,
        },
        [[0.0, 6.0]],
    ),
    ("concat", {"values": [PAIR, PAIR + 4], "axis": 1}, [[[[0, 1]], [[2, 3]], [[4, 5]], [[6, 7]]]]),
    (
        "concat",
        {"values": [PAIR, PAIR + 4], "axis": 1, "interleave": True},
        [[[[0, 1]], [[4, 5]], [[2, 3]], [[6, 7]]]],
    ),
    ("reshape", {"x": PAIR, "shape": [0, -1]}, [[0.0, 1.0, 2.0, 3.0]]),
    ("transpose", {"x": PAIR, "perm": [0, 3, 1, 2]}, [[[[0], [2]], [[1], [3]]]]),
    (
        "slice_by_index",
        {
            "x": COUNT,
            "begin": [0, 0, 1, 1],
            "end": [0, 0, 0, 3],
            "end_mask": [True, True, True, False],
        },
        [[[[4, 5]]]],
    ),
    (
        "slice_by_index",
        {
            "x": COUNT[0, 0],
            "begin": [1, 0],
            "end": [0, 3],
            "stride": [1, 2],
            "squeeze_mask": [True, False],
        },
        [3.0, 5.0],
    ),
    ("gather", {"x": PAIR, "indices": [1, 0], "axis": 1}, [[[[2, 3]], [[0, 1]]]]),
    ("squeeze", {"x": PAIR, "axes": [0, 2]}, [[0.0, 1.0], [2.0, 3.0]]),
    ("expand_dims", {"x": ROW[:2], "axes": [0, -1]}, [[[-2.0], [-0.5]]]),
    (
        "matmul",
        {"x": torch.eye(2), "y": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "transpose_y": True},
        [[1.0, 3.0], [2.0, 4.0]],
    ),
]


@pytest.mark.parametrize(("kind", "inputs", "wanted"), CASES)
def test_an_operation_gives_what_it_is_defined_to(
    kind: str, inputs: dict[str, Any], wanted: list[Any]
) -> None:
    found = OPERATIONS[kind](**inputs)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=found.dtype))


def test_a_split_gives_parts_of_the_given_sizes() -> None:
    parts = OPERATIONS["split"](x=COUNT, axis=3, split_sizes=[1, 2])
    assert [part.tolist() for part in parts] == [[[[[0], [3]]]], [[[[1, 2], [4, 5]]]]]


def test_a_classifier_names_the_best_class() -> None:
    found = OPERATIONS["classify"](probabilities=torch.tensor([[0.25, 0.75]]), classes=["a", "b"])
    assert found == ("b", {"a": 0.25, "b": 0.75})


BOXES = torch.tensor(
    [[[0.5, 0.5, 1.0, 1.0], [0.5, 0.5, 1.0, 0.8], [0.5, 0.5, 1.0, 0.7], [9.0, 9.0, 1.0, 1.0]]]
)
SCORES = torch.tensor([[[0.6, 0.1], [0.9, 0.2], [0.1, 0.7], [0.3, 0.2]]])


def test_of_two_boxes_of_a_class_that_overlap_the_better_one_stays() -> None:
    boxes, scores, places, count = OPERATIONS["non_maximum_suppression"](
        boxes=BOXES,
        scores=SCORES,
        iou_threshold=0.5,
        score_threshold=0.25,
        max_boxes=4,
        per_class_suppression=True,
    )
    assert (places.tolist(), count.tolist()) == ([[1, 2, 3, -1]], [3])
    assert boxes[0, :3].equal(BOXES[0, [1, 2, 3]]) and scores[0, :3].equal(SCORES[0, [1, 2, 3]])
    assert not boxes[0, 3].any() and not scores[0, 3].any()


def test_the_newer_suppression_has_boxes_last_and_no_least_score() -> None:
    boxes, scores, places = OPERATIONS["non_maximum_suppression"](
        boxes=BOXES.mT, scores=SCORES.mT, iou_threshold=0.5, max_boxes=2
    )
    assert places.tolist() == [[1, 3]]
    assert boxes.mT.equal(BOXES[:, [1, 3]]) and scores.mT.equal(SCORES[:, [1, 3]])


@pytest.mark.parametrize(
    "values",
    [
        lambda: OPERATIONS["gather"](x=COUNT, indices=[0], batch_dims=1),
        lambda: OPERATIONS["resize_bilinear"](
            x=COUNT, target_size_height=4, target_size_width=4, sampling_mode="DEFAULT"
        ),
        lambda: OPERATIONS["conv_transpose"](x=ONE, weight=ONE, pad_type="same"),
    ],
)
def test_a_form_that_is_not_computed_says_so(values: Any) -> None:
    with pytest.raises(NotImplementedError):
        values()


def test_results_are_tensors_of_single_precision() -> None:
    found: Tensor = OPERATIONS["cast"](x=torch.tensor([1, 2]), dtype="fp16")
    assert found.dtype == torch.float32
