"""How much memory the values between ops take: the most of them that are alive at once.

A value lives from the op that writes it to the last op that reads it; an op's inputs and its output
are alive together, nothing is written in place, and memory is freed as soon as it can be. So the
input of a residual block stays alive until the addition. This is the peak that MCUNet (Lin et al.,
2020, TinyEngine) and Chowdhery et al. (Visual Wake Words, 2019) hold microcontrollers to; what Core
ML's compilers tile, fuse or keep is not known, so it is a measure to compare networks by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

INPUT = -1
"""Index of the input among the values."""


@dataclass(frozen=True, slots=True)
class Step:
    """An op as memory sees it: indices of the steps whose values it reads, elements it writes."""

    sources: tuple[int, ...]
    elements: int


def peak_elements(steps: Sequence[Step], image: int, outputs: Iterable[int]) -> int:
    """The most elements that are alive at once.

    Args:
        steps: in the order in which they run; a source is `INPUT` or an earlier step.
        image: elements of the input.
        outputs: steps whose values are read after the last one.
    """
    last = {source: at for at, step in enumerate(steps) for source in step.sources}
    last |= dict.fromkeys(outputs, len(steps))
    freed: dict[int, list[int]] = {}
    for value, at in last.items():
        freed.setdefault(at, []).append(value)
    size = {INPUT: image} | {at: step.elements for at, step in enumerate(steps)}
    alive = peak = image
    for at, step in enumerate(steps):
        alive += step.elements
        peak = max(peak, alive)
        alive -= sum(size[value] for value in freed.get(at, ()))
        if at not in last:  # nobody reads it
            alive -= step.elements
    return peak
