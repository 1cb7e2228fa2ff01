"""What a step promises of a layer's weights, checked on the weights decompressed.

None of this repeats the optimiser's arithmetic: each promise follows from what the step is, and a
weight that was mixed up, scaled wrongly or taken from another table breaks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.compression.schemes import Palettise, Prune, Quantise, Step
from palmette.export.errors import ExportError

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDING, SMALLEST = 2.0**-10, 2.0**-24
"""Of the largest weight, an ulp of half precision; and the least that half precision can tell."""


def check_promise(
    step: Step, before: NDArray[Any], after: NDArray[Any], where: str, *, joint: bool = False
) -> None:
    """Check a layer's weights against what a step makes of those before it.

    Args:
        step: that was applied.
        before: weights (out, in / groups, height, width) or (out, in) that the step was given.
        after: the same weights as the package stores them, decompressed.
        where: the layer, for the message.
        joint: the weights before are pruned, and the step must leave their zeros alone.

    Raises:
        ExportError: the weights break the promise; the message names layer and rule.
    """
    old, new = before.astype(np.float64), after.astype(np.float64)
    kept = old != 0 if joint else np.ones(old.shape, bool)
    if new[~kept].any():
        raise ExportError(f"{where}: a weight that was pruned is not zero")
    _CHECKS[type(step)](step, old, new, kept, where)


def _pruned(step: Prune, before: Values, after: Values, _: Mask, where: str) -> None:
    """The smallest are zero, at least so many; the others are as they were."""
    kept = after != 0
    if (after[kept] != before[kept]).any():
        raise ExportError(f"{where}: pruning changed weights that it kept")
    least = np.abs(before[kept]).min(initial=np.inf)
    if np.abs(before[~kept]).max(initial=0.0) > least:
        raise ExportError(f"{where}: pruning dropped a weight that is larger than one it kept")
    zeros = before.size - int(kept.sum())
    if zeros < before.size * step.percent // 100:
        raise ExportError(f"{where}: only {zeros} of {before.size} weights are zero")


def _palettised(step: Palettise, before: Values, after: Values, kept: Mask, where: str) -> None:
    """A few values, each weight the nearest of them."""
    size = step.group or len(before)
    for first in range(0, len(before), size):
        part = slice(first, first + size)
        old, new = before[part][kept[part]], after[part][kept[part]]
        table = np.unique(new)
        if len(table) > 2**step.bits:
            raise ExportError(f"{where}: {len(table)} values, more than {step.bits} bits have")
        nearest = table[np.searchsorted((table[1:] + table[:-1]) / 2, old)]
        if (np.abs(new - old) > np.abs(nearest - old) + _doubt(old)).any():
            raise ExportError(f"{where}: a weight is not the nearest value of its table")


def _quantised(step: Quantise, before: Values, after: Values, kept: Mask, where: str) -> None:
    """At most half a scale from what it was; the largest weight has the largest code."""
    inputs = before.shape[1]
    size = step.block or inputs
    for at in np.ndindex(len(before), -(-inputs // size)):
        part = (at[0], slice(at[1] * size, (at[1] + 1) * size))
        old, new = before[part][kept[part]], after[part][kept[part]]
        half = np.abs(old).max(initial=0.0) / (2**step.bits - 2)
        if (np.abs(new - old) > half + _doubt(old, 2 ** (step.bits - 1))).any():
            raise ExportError(f"{where}: a weight is more than half a scale from its place")
        if len(np.unique(new)) >= 2**step.bits:
            raise ExportError(f"{where}: more values than {step.bits} bits have")


def _doubt(values: Values, most_code: int = 1) -> float:
    """Tables and scales are rounded to half precision, and so is what they give.

    Of channels with small weights the scale is so small that its error is an absolute one, and
    codes multiply it.
    """
    return float(np.abs(values).max(initial=0.0)) * ROUNDING + most_code * SMALLEST


_CHECKS: dict[type[Step], Callable[[Any, Values, Values, Mask, str], None]] = {
    Prune: _pruned,
    Palettise: _palettised,
    Quantise: _quantised,
}
