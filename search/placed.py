"""Predicted against actual placement: a network's ops held against a compute plan.

Predicted is what the rules of thumb of `export.unit_rules` expect of an op on the target's unit;
actual is the unit that the plan prefers for it. Core ML's ops are smaller than ours, which have
their activation in them: ours are spelled out as the converter writes them, and the two lists are
aligned in order by their longest common subsequence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.export.exportability import Exportability, exportability
from palmette.latency.placement import PlacedOp, Placement
from palmette.latency.targets import Target
from palmette.space import Architecture, Op

if TYPE_CHECKING:
    from torch import nn

    Subject = Architecture | nn.Module | tuple[Op, ...]

STAYS, MAY_LEAVE, LEAVES = "stays", "may leave", "leaves"
PREDICTED = {"refused": LEAVES, "risk": MAY_LEAVE}
"""Worst level of the rules that hold for an op -> what is expected of it; else it stays."""
ABSENT = "-"
"""Actual unit of an op that the plan does not show, such as one that was folded away."""

SPELLED = {
    "max_pool": "pool",
    "avg_pool": "pool",
    "reduce_mean": "mean",
    "transpose": "permute",
    "slice_by_index": "slice",
    "slice_by_size": "slice",
    "split": "slice",
    "upsample_bilinear": "resize",
    "upsample_nearest_neighbor": "resize",
    "resize_bilinear": "resize",
    "resize_nearest_neighbor": "resize",
    "batch_norm": "norm",
    "layer_norm": "norm",
    "instance_norm": "norm",
    "clip": "relu6",
    "silu": "swish",
    "leaky_relu": "lrelu",
    "prelu": "lrelu",
}
"""Operator of Core ML -> as ours is called; others have one name, or are no op of ours."""
ACTIVATIONS = {
    "none": (),
    "hswish": ("thresholded_relu", "sigmoid_hard", "mul"),
    "hsigmoid": ("sigmoid_hard",),
}
"""Activation -> the operators that the converter writes; others have one, of their own name."""


@dataclass(frozen=True, slots=True)
class Compared:
    """An op, what was expected of it, and where the plan has it."""

    op: Op
    place: str
    """Submodule that runs it; blank if it is not known."""
    predicted: str
    """`STAYS`, `MAY_LEAVE` or `LEAVES`."""
    rule: str
    """The rule that says so; blank if none speaks against it."""
    actual: str
    """Unit that its main operator prefers, or `ABSENT`."""

    def differs(self, unit: str) -> bool:
        """Whether the plan has it elsewhere than was expected on a unit."""
        if self.actual == ABSENT or self.predicted == MAY_LEAVE:
            return False
        return (self.actual == unit) != (self.predicted == STAYS)


@dataclass(frozen=True, slots=True)
class PlacementReport:
    """A network's ops with what was expected and what a plan says."""

    target: Target
    ops: tuple[Compared, ...]
    others: tuple[PlacedOp, ...]
    """Of the plan, belonging to none of ours: casts and the like."""

    @property
    def differing(self) -> tuple[Compared, ...]:
        """Ops that the plan has elsewhere than was expected."""
        return tuple(one for one in self.ops if one.differs(self.target.unit))

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """Number of ops by what was expected and the actual unit."""
        return Counter((one.predicted, one.actual) for one in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for programs."""
        return {
            "target": str(self.target),
            "ops": len(self.ops),
            "differing": [
                {
                    "op": one.op.to_text(),
                    "place": one.place,
                    "predicted": one.predicted,
                    "rule": one.rule,
                    "actual": one.actual,
                }
                for one in self.differing
            ],
            "counts": [
                {"predicted": predicted, "actual": actual, "ops": count}
                for (predicted, actual), count in sorted(self.counts.items())
            ],
            "other_operators": dict(Counter(op.operator or "?" for op in self.others)),
        }


def compare_placement(
    subject: Subject,
    target: Target,
    placement: Placement,
    resolution: tuple[int, int] = (224, 224),
) -> PlacementReport:
    """Hold the ops of a network on a target against a compute plan.

    Args:
        subject: an architecture, any torch module, or ops alone.
        target: whose unit was asked for.
        placement: with the names of its operators (see `with_operators`).
        resolution: (height, width) of a module's input.

    Raises:
        InputError: the module cannot be traced.
    """
    report = exportability(subject, target, resolution=resolution)
    ops = [one.op for one in report.ops]
    spelled = [(word, at) for at, op in enumerate(ops) for word in _spelled(op)]
    words = [SPELLED.get(op.operator, op.operator) for op in placement.ops]
    pairs = _aligned([word for word, _ in spelled], words)
    actual: dict[int, str] = {}
    for ours, theirs in pairs:
        actual.setdefault(spelled[ours][1], placement.ops[theirs].preferred)
    taken = {theirs for _, theirs in pairs}
    expected = _expected(report)
    return PlacementReport(
        target,
        tuple(
            Compared(one.op, one.place, *expected.get(at, (STAYS, "")), actual.get(at, ABSENT))
            for at, one in enumerate(report.ops)
        ),
        tuple(op for at, op in enumerate(placement.ops) if at not in taken),
    )


def with_operators(placement: Placement, package: Path) -> Placement:
    """The placement with its operators' names, read from the package by their outputs.

    Plans of coremltools name outputs alone.

    Raises:
        InputError: the package cannot be read.
    """
    from palmette.export.interpreter.program import read_program  # slow to import

    names: dict[str, str] = {}
    for operation in read_program(package, weights=False).operations:
        names.update((value.name, operation.kind) for value in operation.outputs)
    ops = (PlacedOp(op.operator or names.get(op.output, ""), *_rest(op)) for op in placement.ops)
    return Placement(tuple(ops))


def _rest(op: PlacedOp) -> tuple[str, str, tuple[str, ...], float | None]:
    return op.output, op.preferred, op.supported, op.cost


def _expected(report: Exportability) -> Mapping[int, tuple[str, str]]:
    """Op -> what is expected and by which rule, where one speaks against it staying."""
    found: dict[int, tuple[str, str]] = {}
    for finding in report.findings:  # the worst level first
        if finding.rule.level in PREDICTED:
            for at in finding.ops:
                found.setdefault(at, (PREDICTED[finding.rule.level], finding.rule.name))
    return found


def _spelled(op: Op) -> tuple[str, ...]:
    """Operators of Core ML that an op becomes, as `SPELLED` calls them."""
    after = ACTIVATIONS.get(op.act, (op.act,))
    return after if op.kind == "act" else (op.kind, *after)


def _aligned(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Places of equal words in two lists, in order, as many as can be."""
    longest = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in reversed(range(len(ours))):
        for j in reversed(range(len(theirs))):
            same = ours[i] == theirs[j]
            longest[i][j] = (
                1 + longest[i + 1][j + 1] if same else max(longest[i + 1][j], longest[i][j + 1])
            )
    pairs, i, j = [], 0, 0
    while i < len(ours) and j < len(theirs):
        if ours[i] == theirs[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
