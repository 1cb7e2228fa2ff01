"""Non-maximum suppression, in the signatures of iOS 15 and of iOS 17.

What the definitions leave open is taken as `palmette.export.suppression` takes it: a box belongs to
the class that it scores best, equal scores stay in the order of the boxes. Rows behind the last box
are zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Kept = list[int]


def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: Tensor,
    max_boxes: int,
    score_threshold: Tensor | None = None,
    per_class_suppression: bool = False,
) -> tuple[Tensor, ...]:
    """Boxes, scores, indices, and before iOS 17 the number of boxes that stay."""
    newer = score_threshold is None  # boxes come last in the shapes
    if newer:
        boxes, scores = boxes.mT, scores.mT
    least = -torch.inf if score_threshold is None else float(score_threshold)
    shape = (len(boxes), max_boxes)
    places = torch.full(shape, -1, dtype=torch.int32)
    found = [boxes.new_zeros((*shape, 4)), scores.new_zeros((*shape, scores.shape[2]))]
    counts = torch.zeros(len(boxes), dtype=torch.int32)
    for at, (own_boxes, own_scores) in enumerate(zip(boxes, scores, strict=True)):
        rivalry = _rivals(own_boxes, own_scores, float(iou_threshold), per_class_suppression)
        kept = _kept(own_scores.amax(1), rivalry, least, max_boxes)
        found[0][at, : len(kept)], found[1][at, : len(kept)] = own_boxes[kept], own_scores[kept]
        places[at, : len(kept)] = torch.tensor(kept, dtype=torch.int32)
        counts[at] = len(kept)
    if newer:
        return found[0].mT, found[1].mT, places
    return found[0], found[1], places, counts


def _rivals(boxes: Tensor, scores: Tensor, iou: float, by_class: bool) -> Tensor:
    """Of which two boxes only one can stay."""
    classes = scores.argmax(1)
    close = _overlaps(boxes) > iou
    return close & (classes[:, None] == classes) if by_class else close


def _kept(best: Tensor, rivals: Tensor, least: float, most: int) -> Kept:
    """Places of the boxes that stay, the best first."""
    kept: Kept = []
    for place in best.argsort(descending=True, stable=True).tolist():
        if best[place] < least or len(kept) == most:
            break
        if not rivals[place, kept].any():
            kept.append(place)
    return kept


def _overlaps(boxes: Tensor) -> Tensor:
    """Intersection over union of every two boxes (centre x, centre y, width, height)."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    shared = torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)
    common = shared.clamp(min=0).prod(2)
    areas = boxes[:, 2:].prod(1)
    joined = areas[:, None] + areas - common
    return torch.where(joined > 0, common / joined, 0.0)


TABLE: dict[str, Callable[..., Any]] = {"non_maximum_suppression": non_maximum_suppression}
"""Operations by their names in ML Programs."""
