"""Non-maximum suppression as one op that torch runs, and that converts to the op of ML Programs.

Torch has no such op of its own for several classes, so `palmette::suppress` is registered with both
sides. The op of ML Programs has two signatures: from iOS 17 on, boxes come last in the shapes, and
there is neither a threshold for scores nor a count among its outputs. Both are added here, so that
a package gives the same whichever system it is written for.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from palmette.export._coremltools import coremltools

Kept = tuple[Tensor, Tensor, Tensor]


def suppress(scores: Tensor, boxes: Tensor, iou: float, confidence: float, keep: int) -> Kept:
    """Boxes that no better box of their class overlaps, the best first.

    A box's class is the one that it scores best. A box stays unless its best score is below
    `confidence`, or a better one of its class that stays overlaps it by more than `iou`.

    Args:
        scores: (1, boxes, classes), from 0 to 1.
        boxes: (1, boxes, 4): centre x, centre y, width, height.
        iou: intersection over union, 0 to 1.
        confidence: 0 to 1.
        keep: most boxes that stay.

    Returns:
        Scores (1, keep, classes) and boxes (1, keep, 4), zeros behind the last that stays, and the
        number of those that stay (1,).
    """
    best, classes = scores[0].max(1)
    order = best.argsort(descending=True, stable=True)
    waiting = order[best[order] >= confidence]
    kept: list[int] = []
    while len(waiting) and len(kept) < keep:
        first, rest = waiting[0], waiting[1:]
        kept.append(int(first))
        beaten = (_overlap(boxes[0, first], boxes[0, rest]) > iou) & (
            classes[rest] == classes[first]
        )
        waiting = rest[~beaten]
    found = [values.new_zeros((1, keep, values.shape[2])) for values in (scores, boxes)]
    found[0][0, : len(kept)], found[1][0, : len(kept)] = scores[0, kept], boxes[0, kept]
    return found[0], found[1], torch.tensor([len(kept)], dtype=torch.int32)


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of a box (4,) with others (n, 4); 0 where both are empty."""
    centres, halves = (others[:, :2], box[:2]), (others[:, 2:] / 2, box[2:] / 2)
    least = torch.maximum(centres[0] - halves[0], centres[1] - halves[1])
    most = torch.minimum(centres[0] + halves[0], centres[1] + halves[1])
    shared = (most - least).clamp(min=0).prod(1)
    joined = others[:, 2:].prod(1) + box[2:].prod() - shared
    return torch.where(joined > 0, shared / joined, 0.0)


@functools.cache
def suppression_op() -> Any:
    """`suppress` as an op of torch that Core ML's converter knows; registered once."""
    torch.library.define(
        "palmette::suppress",
        "(Tensor scores, Tensor boxes, float iou, float confidence, int keep)"
        " -> (Tensor, Tensor, Tensor)",
    )
    torch.library.impl("palmette::suppress", "CPU", suppress)
    coremltools()
    from coremltools.converters.mil.frontend.torch.torch_op_registry import register_torch_op

    register_torch_op(_lowered, torch_alias=["palmette::suppress"])
    return torch.ops.palmette.suppress


def _lowered(context: Any, node: Any) -> None:
    """The op in an ML Program of the system that is written for."""
    ct = coremltools()
    from coremltools.converters.mil.mil.block import is_current_opset_version_compatible_with

    inputs = [context[name] for name in node.inputs]
    limits = [value.val for value in inputs[2:]]
    newer = is_current_opset_version_compatible_with(ct.target.iOS17)
    found = (_since_ios17 if newer else _since_ios15)(*inputs[:2], *limits)
    for name, value in zip(node.outputs, found, strict=True):
        context.add(value, name)


def _since_ios15(scores: Any, boxes: Any, iou: float, confidence: float, keep: int) -> Any:
    from coremltools.converters.mil import Builder

    boxes, scores, _, count = Builder.non_maximum_suppression(
        boxes=boxes,
        scores=scores,
        iou_threshold=iou,
        score_threshold=confidence,
        max_boxes=keep,
        per_class_suppression=True,
    )
    return scores, boxes, count


def _since_ios17(scores: Any, boxes: Any, iou: float, confidence: float, keep: int) -> Any:
    from coremltools.converters.mil import Builder

    best = Builder.reduce_max(x=scores, axes=[2], keep_dims=True)
    enough = Builder.cast(x=Builder.greater_equal(x=best, y=confidence), dtype="fp32")
    boxes, scores, _ = Builder.non_maximum_suppression(
        boxes=Builder.transpose(x=boxes, perm=[0, 2, 1]),
        scores=Builder.transpose(x=Builder.mul(x=scores, y=enough), perm=[0, 2, 1]),
        iou_threshold=iou,
        max_boxes=keep,
        per_class_suppression=True,
    )
    best = Builder.reduce_max(x=scores, axes=[1])
    counted = Builder.cast(x=Builder.greater(x=best, y=0.0), dtype="int32")
    count = Builder.reduce_sum(x=counted, axes=[1])
    scores, boxes = (Builder.transpose(x=x, perm=[0, 2, 1]) for x in (scores, boxes))
    return scores, boxes, count
