"""Outputs of a program and of torch, brought to the same form, and the distance between them.

An index, a label and a choice of boxes have no distance. Where a program ends in such, what is
compared are the values that it chooses by: scores before the best class, all boxes before their
suppression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.export.ends import RAW
from palmette.export.errors import ExportError
from palmette.export.gates.subject import Subject
from palmette.export.interpreter import Interpreter, Operation, Program, Value
from palmette.export.scaling import TENSOR

if TYPE_CHECKING:
    from torch import Tensor, nn

Outputs = tuple["Tensor", ...]
Reference = Callable[["Tensor"], Outputs]
CLASS_AXIS = {"logits": 1, "scores": 1, "confidence": -1}
"""Axis of the classes in outputs whose best class is compared too."""

CHOICES: dict[str, tuple[str, ...]] = {
    "classify": ("probabilities",),
    "reduce_argmax": ("x",),
    "non_maximum_suppression": ("scores", "boxes"),
}
"""Operations that choose, and the inputs by which they do."""
BEFORE_BOXES = ("transpose", "mul")
"""What lies between a detector's boxes and their suppression since iOS 17: scores that are too low
become zeros."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far outputs lie from those of torch, over all images."""

    relative: float
    """Largest difference, as a share of the largest value of the same output."""
    agreement: float | None
    """Share of images, boxes or pixels with the same best class; None without classes."""


def references(subject: Subject, network: nn.Module, *, stored: bool) -> Reference:
    """Outputs of a torch network in double precision, of what is put into the package.

    Args:
        subject: the package.
        network: in torch.
        stored: whether its first weights hold the scale of the image, as those of the package may;
            if not it sees `pixel * scale + bias`.
    """
    import copy

    import torch

    twin = copy.deepcopy(network).double().eval()

    def run(given: Tensor) -> Outputs:
        with torch.inference_mode():
            found = twin(_scaled(subject, given.double(), stored))
            found = found if isinstance(found, tuple) else (found,)
            return tuple(x.softmax(1) for x in found) if subject.end.classifier else found

    return run


def _scaled(subject: Subject, given: Tensor, stored: bool) -> Tensor:
    """What a network sees of the package's input; factors of an op as they are stored."""
    import torch

    options, scaling = subject.options, subject.plan.scaling
    if options.input == TENSOR:
        return given
    factors = scaling.half_factors()
    if not stored and factors is None:
        return normalised(subject, given)
    shifted = given + _channels(scaling.added)
    return shifted if factors is None else shifted * torch.from_numpy(factors.astype(np.float64))


def normalised(subject: Subject, pixels: Tensor) -> Tensor:
    """Pixels as the network was trained on them, in double precision."""
    options = subject.options
    scale = options.scale if isinstance(options.scale, tuple) else (options.scale,)
    return pixels.double() * _channels(scale) + _channels(options.bias)


def _channels(values: Sequence[float]) -> Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


def inputs_of(subject: Subject, images: Sequence[Tensor]) -> list[Tensor]:
    """What is put into the package for each image: pixels, or a tensor of half precision.

    A batch of several is one image and its mirror images in turn.
    """
    import torch

    given = list(images)
    if subject.options.input == TENSOR:
        given = [normalised(subject, image).half().float() for image in images]
    turned = [[image, image.flip(3), image.flip(2), image.flip(2, 3)] for image in given]
    batch = subject.options.batch
    return [torch.cat([every[at % 4] for at in range(batch)]) for every in turned]


def watched(subject: Subject, program: Program) -> tuple[str, ...]:
    """Names of the values that are compared, in the order of the head's outputs."""
    for op in program.operations:
        if op.kind in CHOICES and op.outputs[0].name in _ends(program):
            return tuple(_source(program, str(op.inputs[key][0])) for key in CHOICES[op.kind])
    heads = subject.architecture.head.outputs
    named = {name.removeprefix(RAW): name for name in program.outputs}
    return tuple(named[head] for head in heads) if set(named) == set(heads) else program.outputs


def _ends(program: Program) -> set[str]:
    """Values that outputs are made of, through operations that only move or compare them."""
    moving = (*BEFORE_BOXES, "cast", "squeeze", "greater", "reduce_sum", "reduce_max", "classify")
    makers = {output.name: op for op in program.operations for output in op.outputs}
    found, waiting = set[str](), list(program.outputs)
    while waiting:
        name = waiting.pop()
        found.add(name)
        if name in makers and makers[name].kind in moving:
            waiting += [x for (x, *_) in makers[name].inputs.values() if isinstance(x, str)]
        elif name in makers:
            found |= {output.name for output in makers[name].outputs}
    return found


def _source(program: Program, name: str) -> str:
    makers = {output.name: op for op in program.operations for output in op.outputs}
    while name in makers and makers[name].kind in BEFORE_BOXES:
        name = str(makers[name].inputs["x"][0])
    return name


def run_watched(
    interpreter: Interpreter,
    names: Sequence[str],
    pixels: Tensor,
    *,
    half: bool = False,
    hook: Callable[[Operation, Value, Tensor], None] | None = None,
) -> Outputs:
    """Those values of a program's run on one image."""
    seen: dict[str, Tensor] = {}

    def watch(operation: Operation, output: Value, value: Tensor) -> None:
        if output.name in names:
            seen[output.name] = value
        if hook is not None:
            hook(operation, output, value)

    (entry,) = interpreter.program.inputs
    found: dict[str, Any] = interpreter.run({entry.name: pixels}, half=half, hook=watch)
    given = {**seen, **{name: value for name, value in found.items() if name in names}}
    return tuple(given[name] for name in names)


def distance(subject: Subject, found: Sequence[Outputs], wanted: Sequence[Outputs]) -> Distance:
    """Of outputs of several images.

    Raises:
        ExportError: there are more or fewer, or one has another number of values.
    """
    names = subject.architecture.head.outputs
    worst, same, total = 0.0, 0, 0
    for at, name in enumerate(names):
        pairs = [_paired(one, other, at, name) for one, other in zip(found, wanted, strict=True)]
        scale = max(float(theirs.abs().max()) for _, theirs in pairs)
        for ours, theirs in pairs:
            gap = float((ours - theirs).abs().max())
            # not a number is as far as can be
            worst = max(worst, gap / scale if scale else gap) if gap == gap else float("inf")
            if name in CLASS_AXIS:
                equal = ours.argmax(CLASS_AXIS[name]) == theirs.argmax(CLASS_AXIS[name])
                same, total = same + int(equal.sum()), total + equal.numel()
    return Distance(worst, same / total if total else None)


def _paired(found: Outputs, wanted: Outputs, at: int, name: str) -> tuple[Tensor, Tensor]:
    if len(found) != len(wanted) or found[at].numel() != wanted[at].numel():
        raise ExportError(
            f"output '{name}': the program gives {[tuple(x.shape) for x in found]}, torch"
            f" {[tuple(x.shape) for x in wanted]}"
        )
    theirs = wanted[at]
    return found[at].double().reshape(theirs.shape), theirs
