"""What a package gives: outputs by task, and what is put behind the network for them.

| head | outputs |
|---|---|
| classifier | `logits` or `features`; with labels `classLabel` and `classLabel_probs` |
| detector | `confidence` (boxes, classes) and `coordinates` (boxes, 4), in FLOAT32 |
| segmenter | `scores` (1, classes, height, width), or `class_map` (1, height, width) |
| extractor | the tapped maps, `stride8` and so on |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmette.export.options import ExportOptions, Suppression
from palmette.export.scaling import INPUT
from palmette.export.sizes import size_text
from palmette.space.anchors import CENTRE_FACTOR, anchors_of
from palmette.space.architecture import Architecture
from palmette.space.blocks import Head, TaskHead
from palmette.space.blocks.detection import Detector
from palmette.space.blocks.segmentation import HEADS as SEGMENTERS
from palmette.space.blocks.taps import FeatureTaps
from palmette.space.errors import expect

if TYPE_CHECKING:
    from torch import nn

Shape = tuple[int, ...]
Half = NDArray[np.float16]

CLASS_MAP = "class_map"
COUNT = "count"
MAX_BOXES = 100
"""Most boxes that stay where the program suppresses, as in the evaluation of COCO."""
RAW = "raw_"
"""Before the names of a detector's outputs where a stage behind it gives those names."""


@dataclass(frozen=True, slots=True)
class End:
    """Names and shapes of the converted module's outputs, and what makes them."""

    outputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    behind: Callable[[nn.Module], nn.Module]
    """Puts the end behind a network."""
    single: bool = False
    """Whether the outputs are in single precision, whatever the weights are."""
    integers: tuple[str, ...] = ()
    """Outputs that are whole numbers."""
    classifier: bool = False
    """Whether Core ML turns the output into the best class's label and a dictionary."""


def check_task(architecture: Architecture, options: ExportOptions) -> None:
    """Refuse options that the network's head has no use for.

    Raises:
        InputError: names the option, the head, and what to do.
    """
    head = architecture.head
    named = isinstance(head, Head | Detector)
    expect(
        options.labels is None or named,
        f"labels: a '{head.kind}' head names no classes; leave them out",
    )
    if options.labels is not None:
        count, classes = len(options.labels), head.classes
        expect(
            count == classes,
            f"labels: the network has {classes} classes, but {count} labels are given",
        )
    expect(
        options.suppression is None or isinstance(head, Detector),
        f"nms: a '{head.kind}' head gives no boxes; it is for detectors, leave it out",
    )
    _check_shapes(architecture, options)
    _check_outputs(head, options)
    expect(
        not options.class_map or isinstance(head, SEGMENTERS),
        f"class_map: a '{head.kind}' head scores no pixels; it is for segmenters, leave it out",
    )


def _check_shapes(architecture: Architecture, options: ExportOptions) -> None:
    """Refuse sizes and batches that the head cannot have."""
    head, sizes = architecture.head, options.sizes
    expect(
        options.batch == 1 or not isinstance(head, Detector),
        f"batch: the boxes of a '{head.kind}' head are of one image, got {options.batch}",
    )
    expect(
        options.batch == 1 or options.labels is None,
        "batch: a classifier with labels names the class of one image; leave the labels out",
    )
    if sizes is None:
        return
    expect(
        isinstance(head, Head | FeatureTaps),
        f"sizes: a '{head.kind}' head is made for one size (its anchors, or the maps that it"
        " resizes); make a package or a function of each size",
    )
    expect(
        sizes.holds(architecture.resolution),
        f"sizes: the network's own, {size_text(architecture.resolution)}, is not in"
        f" {sizes.to_text()}; choose it by --resolution",
    )
    for size in sizes.samples():
        architecture.with_resolution(*size)  # too small for the strides: refused there


def _check_outputs(head: TaskHead, options: ExportOptions) -> None:
    """Refuse names for outputs that have theirs from Core ML or Vision, or another number."""
    names = options.outputs
    if names is None:
        return
    expect(
        options.labels is None and not isinstance(head, Detector),
        f"outputs: those of a '{head.kind}' head with labels or boxes have the names that Vision"
        " knows; leave them out",
    )
    own = (CLASS_MAP,) if options.class_map else head.outputs
    expect(
        len(names) == len(own),
        f"outputs: the network has {len(own)} ({', '.join(own)}), but {len(names)} names are given",
    )
    expect(INPUT not in names, f"outputs: '{INPUT}' is the name of the input")


def suppression_of(head: TaskHead, options: ExportOptions) -> Suppression | None:
    """How a detector's boxes are suppressed; None for other heads."""
    return (options.suppression or Suppression()) if isinstance(head, Detector) else None


def class_labels(head: TaskHead, options: ExportOptions) -> tuple[str, ...]:
    """Names of a head's classes in order; their numbers from 0 if none are given."""
    return options.labels or tuple(map(str, range(head.classes)))


def end_of(architecture: Architecture, options: ExportOptions, given: tuple[Shape, ...]) -> End:
    """The end of a network's package, whose head gives outputs of the shapes `given`."""
    from palmette.export import torch_ends

    head = architecture.head
    suppression = suppression_of(head, options)
    if suppression is None:
        given = tuple((options.batch, *shape[1:]) for shape in given)
        if options.labels is not None:
            return End(head.outputs, given, torch_ends.probabilities, classifier=True)
        if options.class_map:
            (batch, _, *plane) = given[0]
            names = options.outputs or (CLASS_MAP,)
            return End(names, ((batch, *plane),), torch_ends.ClassMap, integers=names)
        return End(options.outputs or head.outputs, given, lambda network: network)
    boxes = tuple(shape[1:] for shape in given)
    if suppression.form != "program":
        raw = RAW if suppression.form == "pipeline" else ""
        names = tuple(f"{raw}{name}" for name in head.outputs)
        return End(names, boxes, torch_ends.Boxes, single=True)
    kept = tuple((MAX_BOXES, *shape[1:]) for shape in boxes)
    return End(
        (*head.outputs, COUNT),
        (*kept, (1,)),
        lambda network: torch_ends.Suppressed(network, suppression),
        single=True,
        integers=(COUNT,),
    )


def constants_of(architecture: Architecture) -> tuple[Half, ...]:
    """Arrays that a package stores besides weights: a detector's anchors, as boxes are decoded.

    Sizes, centres, and sizes over the factor of the centres' offsets, each (anchors, 2); worked
    out in single precision, as in the module, and rounded to half.
    """
    if not isinstance(architecture.head, Detector):
        return ()
    anchors = anchors_of(architecture).astype(np.float32)
    centres, sizes = anchors[:, :2], anchors[:, 2:]
    return tuple(
        np.ascontiguousarray(values, np.float16)
        for values in (sizes, centres, sizes / np.float32(CENTRE_FACTOR))
    )
