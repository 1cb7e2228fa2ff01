"""Timings that can hardly be milliseconds of their target: what a fit warns of.

A network that a unit ran itself took at most 14 times as long on one target of a unit as on another
in the published timings (iPhone XS, iOS 13, against iPhone 14 Pro, iOS 17), and a held-out network
was missed by a factor of 3 at most. A wrong unit is a factor of a thousand; `FAR` stands between.
What another unit ran in a unit's place took up to 126 times as long. That can be true, so nothing
is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

FAR = 20.0
"""Times off, from which on a timing is doubted."""
MOST_ERROR = 100.0
"""Held-out error in %, above which a predictor says little: one of 0 ms would be off by as much."""
NAMED = 3
"""Networks that a line names, the farthest first."""


def far_from_kin(
    timed_ms: Mapping[str, float], kin_ms: Mapping[str, float], like: str
) -> tuple[str, ...]:
    """Lines on networks whose milliseconds are far from those of a related target, `like`.

    Args:
        timed_ms: milliseconds of networks, by name.
        kin_ms: what the same need on `like`.
        like: full name of that target.
    """
    logs = {name: math.log(ms / kin_ms[name]) for name, ms in timed_ms.items()}
    lines = []
    for sign, question in (
        (1, "are these microseconds, or did another unit run them?"),
        (-1, "are these seconds?"),
    ):
        off = {name: sign * log for name, log in logs.items() if sign * log > math.log(FAR)}
        if off:
            named = [f"{n}: {timed_ms[n]:.4g} ms, there {kin_ms[n]:.3g} ms" for n in _farthest(off)]
            lines.append(
                f"{len(off)} of {len(timed_ms)} networks: more than {FAR:g} times"
                f" {'slower' if sign > 0 else 'faster'} than {like} ({_listed(named, len(off))});"
                f" latency_ms must be milliseconds: {question}"
            )
    return tuple(lines)


def far_from_others(timed_ms: Mapping[str, float], errors: Mapping[str, float]) -> tuple[str, ...]:
    """A line on networks whose milliseconds are far from what all the others say of them.

    Args:
        timed_ms: milliseconds of networks, by name; without any, nothing can be said.
        errors: log of predicted over timed of each network, itself held out.
    """
    sizes = {name: abs(error) for name, error in errors.items() if name in timed_ms}
    off = {name: size for name, size in sizes.items() if size > math.log(FAR)}
    mape = 100 * float(np.mean(np.abs(np.expm1(list(errors.values()))))) if errors else 0.0
    if not sizes or (mape <= MOST_ERROR and not off):
        return ()
    said = (
        f"the held-out error is {mape:.0f} %, predictions say little"
        if mape > MOST_ERROR
        else f"{len(off)} of {len(sizes)} networks contradict the others"
    )
    named = "; ".join(
        f"{name}: {timed_ms[name]:.4g} ms, predicted {timed_ms[name] * math.exp(errors[name]):.3g}"
        " ms"
        for name in _farthest(sizes if mape > MOST_ERROR else off)
    )
    return (f"{said}; farthest off, each left out: {named}; are all milliseconds of one unit?",)


def _farthest(sizes: Mapping[str, float]) -> list[str]:
    return sorted(sizes, key=lambda name: -sizes[name])[:NAMED]


def _listed(named: list[str], count: int) -> str:
    more = count - len(named)
    return "; ".join(named) + (f"; {more} more" if more else "")
