"""Drift of a run: anchors are timed again and again, and should always take the same."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from palmette.latency.suite.answers import Result
from palmette.latency.suite.order import ANCHOR, MOST_DRIFT, off


def drifted(timed: Sequence[tuple[Result, str]]) -> set[int]:
    """Rows of timings that stand beside an anchor that was off.

    Beside it are the anchor itself and what was timed after the anchor before it and before the
    next one, with the same units: the phone changed somewhere in between. An anchor is off that
    is more than `MOST_DRIFT` off the median of its own timings.

    Args:
        timed: timings with their roles, in the order in which they were made.
    """
    by_units: defaultdict[str, list[tuple[Result, str]]] = defaultdict(list)
    for result, role in timed:
        by_units[result.units].append((result, role))
    return {row for own in by_units.values() for row in _drifted(own)}


def _drifted(timed: Sequence[tuple[Result, str]]) -> set[int]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for result, role in timed:
        if role == ANCHOR:
            times[result.package].append(result.median_ms)
    middles = {package: statistics.median(ms) for package, ms in times.items()}
    places = [at for at, (_, role) in enumerate(timed) if role == ANCHOR]
    moved = {
        at
        for at in places
        if off(timed[at][0].median_ms, middles[timed[at][0].package]) > MOST_DRIFT
    }
    found = set()
    for at, (result, _) in enumerate(timed):
        after = bisect_left(places, at)
        beside = places[max(after - 1, 0) : after + 1] if at not in places else [at]
        if any(place in moved for place in beside):
            found.add(result.row)
    return found
