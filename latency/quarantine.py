"""Rows of tables that cannot be believed: put aside one by one, each with its reason."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_SPREAD = 10.0
"""Slowest over fastest timing of one thing above which they contradict each other."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was put aside; the header is row 1. `subject` is blank if the row names none."""

    file: str
    row: int
    subject: str
    reason: str
    part_of: str = ""
    """The network that loses one of its kernels with this row."""
    target: str = ""
    """Full name; blank if the row names none that can be read."""

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}: {self.reason}"


def contradictions(things: Sequence[Hashable], ms: Sequence[float]) -> dict[int, str]:
    """Places of timings far from the median of the same thing, with reasons.

    Only where timings of one thing spread more than `MOST_SPREAD`. Two have their median half-way:
    then neither can be trusted.
    """
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, thing in enumerate(things):
        groups[thing].append(place)
    reasons = {}
    for places in groups.values():
        logs = np.log([ms[place] for place in places])
        if np.ptp(logs) <= math.log(MOST_SPREAD):
            continue
        middle = float(np.median(logs))
        for place, distance in zip(places, np.abs(logs - middle), strict=True):
            if distance > math.log(MOST_SPREAD) / 2:
                reasons[place] = (
                    f"{ms[place]:g} ms, but the same took {math.exp(middle):.3g} ms (median of"
                    f" {len(places)}); more than {MOST_SPREAD:g} times between them"
                )
    return reasons
