"""What a network is for: the head of a task on any backbone.

A task says which maps its head reads, what becomes of the backbone's end, and the usual input. The
backbone comes with a classifier, whose 1x1 convolution a detector keeps as its last map. Detectors
also read the expansion of the first block of the last stride, not its input, as the TensorFlow
Object Detection API and torchvision do; segmenters keep an output stride of 16.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from palmette.space.architecture import Architecture
from palmette.space.blocks import (
    Block,
    ConvBlock,
    DepthwiseSeparable,
    Head,
    InvertedResidual,
    TaskHead,
)
from palmette.space.blocks.detection import SSD, SSDLite
from palmette.space.blocks.heads import STRIDES
from palmette.space.blocks.segmentation import LRASPP, DeepLab
from palmette.space.blocks.taps import FeatureTaps
from palmette.space.dilation import dilated
from palmette.space.errors import InputError, expect

Taps = tuple[int, ...]
Stages = tuple[tuple[Block, ...], ...]
EXTRAS = (512, 256, 256, 128)


@dataclass(frozen=True, slots=True)
class Task:
    """What `with_task` makes of a backbone."""

    about: str
    head: Callable[[Taps, int], TaskHead]
    """Of the taps and the classes."""
    taps: Callable[[Taps], Taps]
    """Those of the strides that there are."""
    backbone: Callable[[Architecture], Architecture] = lambda backbone: backbone
    classes: int = 0
    """As many as the usual data set has; 0: none can be given."""
    resolution: int | None = None
    """Height and width of the input in px; None: as it was."""


def with_task(
    architecture: Architecture,
    task: str,
    *,
    classes: int | None = None,
    resolution: int | None = None,
) -> Architecture:
    """A network for a task, on the backbone of a classifier.

    Args:
        architecture: a network that ends in a classifier.
        task: of `TASKS`, or `classifier`.
        classes: by default those of the usual data set (a classifier: as it was); a detector's
            leave the background out.
        resolution: height and width of the input in px, by default the task's usual one.

    Raises:
        InputError: unknown task, a network with another head, classes for a task that has none, or
            a backbone that lacks a stride or cannot be dilated.
    """
    head = architecture.head
    expect(task in TASKS, f"task '{task}' is unknown; known: {', '.join(TASKS)}")
    if not isinstance(head, Head):
        raise InputError(
            f"task {task}: the network ends in a '{head.kind}' head; give one with a classifier"
        )
    row = TASKS[task]
    expect(classes is None or row.classes > 0, f"task {task}: it has no classes, got {classes}")
    if task == CLASSIFIER:
        count = head.classes if classes is None else classes
        made = dataclasses.replace(architecture, head=dataclasses.replace(head, classes=count))
    else:
        apart = dataclasses.replace(architecture, stages=_apart(architecture.stages))
        backbone = row.backbone(apart)
        taps = row.taps(tuple(backbone.tappable()))
        size = resolution or row.resolution
        made = dataclasses.replace(
            backbone,
            resolution=(size, size) if size else architecture.resolution,
            head=row.head(taps, row.classes if classes is None else classes),
        )
    return made if resolution is None else made.with_resolution(resolution)


def _apart(stages: Stages) -> Stages:
    """The same blocks with every strided one at the beginning of a stage: a stage has a stride."""
    found: list[list[Block]] = []
    for stage in stages:
        for index, block in enumerate(stage):
            if index == 0 or block.downsampling > 1:
                found.append([])
            found[-1].append(block)
    return tuple(map(tuple, found))


def _with_last_maps(backbone: Architecture) -> Architecture:
    """The backbone with the expansion of the first block of its last stride, and its last 1x1.

    The expansion ends the stage before; behind it the block is a depthwise separable one.
    """
    head: Any = backbone.head
    stages = list(backbone.stages)
    if head.channels and not head.pool_first:
        stages[-1] = (*stages[-1], ConvBlock(1, 1, head.channels, head.act))
    strided = [at for at, stage in enumerate(stages) if stage[0].downsampling > 1]
    first = stages[strided[-1]][0] if strided else None
    if isinstance(first, InvertedResidual) and strided[-1] > 0:
        expansion, rest = split_expansion(first)
        stages[strided[-1] - 1] = (*stages[strided[-1] - 1], expansion)
        stages[strided[-1]] = (rest, *stages[strided[-1]][1:])
    return dataclasses.replace(backbone, stages=tuple(stages))


def split_expansion(block: InvertedResidual) -> tuple[ConvBlock, DepthwiseSeparable]:
    """A strided inverted residual as its expansion and what is behind it: the same layers."""
    shared = {
        item.name: getattr(block, item.name)
        for item in dataclasses.fields(DepthwiseSeparable)
        if item.name not in ("point_act", "skip")
    }
    expansion = ConvBlock(1, 1, block.expanded, block.act, block.groups)
    return expansion, DepthwiseSeparable(**shared, skip=False)


def _last_two(strides: Taps) -> Taps:
    return strides[-2:]


def _tappable(strides: Taps) -> Taps:
    return tuple(stride for stride in strides if stride in STRIDES)


CLASSIFIER = "classifier"
TASKS: dict[str, Task] = {
    CLASSIFIER: Task(
        "classes of an image", lambda taps, n: Head(classes=n), lambda _: (), classes=1
    ),
    "features": Task("maps of every stride", lambda taps, n: FeatureTaps(taps), _tappable),
    "ssd": Task(
        "boxes and classes (SSD)",
        lambda taps, n: SSD(taps, "relu6", EXTRAS, n, kernel=1),
        _last_two,
        _with_last_maps,
        classes=90,
        resolution=300,
    ),
    "ssdlite": Task(
        "boxes and classes (SSDLite)",
        lambda taps, n: SSDLite(taps, "relu6", EXTRAS, n),
        _last_two,
        _with_last_maps,
        classes=90,
        resolution=300,
    ),
    "deeplab_v3": Task(
        "classes of every pixel (DeepLab v3 as MobileNetV2 has it: neither rates nor decoder)",
        lambda taps, n: DeepLab(taps, 256, "relu", n),
        lambda _: (16,),
        dilated,
        classes=21,
        resolution=513,
    ),
    "deeplab_v3_plus": Task(
        "classes of every pixel (DeepLab v3+)",
        lambda taps, n: DeepLab(taps, 256, "relu", n, (6, 12, 18), layers=2),
        lambda _: (4, 16),
        dilated,
        classes=21,
        resolution=513,
    ),
    "lraspp": Task(
        "classes of every pixel (LR-ASPP)",
        lambda taps, n: LRASPP(taps, 128, "relu", n),
        lambda _: (8, 16),
        dilated,
        classes=21,
        resolution=513,
    ),
}
"""Every task by name; counts of classes and inputs are those of COCO and of PASCAL VOC."""
