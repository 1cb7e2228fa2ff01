"""Which choices of a search space a target's timings identify.

A choice of a space asks a `Support` for one or more things, by name: a kernel of 5 for `kernel:5`,
a ghost block for the concatenation that its ops contain. `NEEDS` says what, key by key; what a kind
of block brings beside depthwise and 1x1 convolutions is in `space.stage_blocks.KINDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from palmette.latency.effects import Support
from palmette.space import SearchSpace
from palmette.space.choices import Choice, image_size
from palmette.space.stage_blocks import KEYS, KINDS, kinds_of

_ALWAYS = (0, 1)
"""Windows that every table shows: none, and that of a 1x1 convolution."""


def _windows(choice: Choice, kinds: Iterable[str]) -> tuple[str, ...]:
    """A window of each sort of convolution that the kinds have; `3.5` is two of them."""
    sizes = [int(size) for size in re.findall("[0-9]+", str(choice))]
    sorts = {"op:dense" if KINDS[kind].dense else "kernel:" for kind in kinds}
    return tuple(f"{sort}{size}" for sort in sorted(sorts) for size in sizes if size not in _ALWAYS)


NEEDS: dict[str, Callable[[Choice, Iterable[str]], tuple[str, ...]]] = {
    "resolution": lambda choice, _: tuple(f"resolution:{px}" for px in image_size(choice)),
    "activation": lambda choice, _: () if choice == "none" else (f"activation:{choice}",),
    "se": lambda choice, _: ("se:1",) if choice else (),
    "groups": lambda choice, _: () if choice == 1 else ("op:grouped",),
    "block": lambda choice, _: tuple(f"op:{name}" for name in KINDS[str(choice)].shows),
    "kernel": _windows,
    "first_kernel": _windows,
}
"""Key -> what a choice asks for, given the kinds of blocks of its stage; other keys ask nothing."""


def unknown(space: SearchSpace, known: Support, section: str, key: str, choice: Choice) -> bool:
    """Whether the timings behind a support cannot identify a choice of a space."""
    takers = [kind for kind in kinds_of(space.sections[section]) if key in KINDS[kind].keys]
    if key not in NEEDS or (key in KEYS and not takers):
        return False
    return not all(known.has(need) for need in NEEDS[key](choice, takers))
