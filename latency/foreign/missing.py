"""What a suite's run has no timing of: a run that was cut short must not look whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from palmette.latency.foreign.device_rows import DeviceRows
from palmette.latency.suite.answers import Result
from palmette.latency.suite.manifest import Entry

MOST_RANGES = 8
"""Ranges of positions that a line names."""


def missing(entries: Sequence[Entry], results: Sequence[Result], made: DeviceRows) -> list[str]:
    """Lines on what the timings of a suite lack, by the units that its results asked for.

    A burst is due at every position. Another mode is due of each package of a kind of which one is
    timed so, on whatever units: settings name the kinds of a mode.
    """
    bursts: defaultdict[str, set[int]] = defaultdict(set)
    modes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    by_row = {one.row: one for one in results}
    for row in made.rows:
        burst = by_row[row["row"]]
        bursts[burst.units].add(burst.position or 0)
        for other in made.others[burst.row]:
            modes[burst.units, other.mode].add(burst.package)
    count, lines = len(entries), []
    for units in dict.fromkeys(one.units for one in results):
        lost = sorted({entry.position for entry in entries} - bursts[units])
        if lost:
            lines.append(
                f"{len(lost)} of the suite's {count} timings on {units} have no good row"
                f" (positions {_ranges(lost)})"
            )
        lines += _other_modes(entries, results, units, modes)
    return lines


def _other_modes(
    entries: Sequence[Entry],
    results: Sequence[Result],
    units: str,
    good: dict[tuple[str, str], set[str]],
) -> list[str]:
    """Lines on packages that other modes are due of; `good` has those timed by units and mode."""
    kinds = {entry.file: entry.subject_kind for entry in entries}
    lines = []
    for mode in dict.fromkeys(one.mode for one in results if one.mode != "burst"):
        timed = {kinds.get(one.package) for one in results if one.mode == mode}
        due = {name for name, kind in kinds.items() if kind in timed}
        if lost := sorted(due - good.get((units, mode), set())):
            first = ", ".join(lost[:MOST_RANGES]) + (", .." if len(lost) > MOST_RANGES else "")
            lines.append(
                f"{len(lost)} of {len(due)} packages on {units} have no good {mode} ({first})"
            )
    return lines


def _ranges(numbers: Sequence[int]) -> str:
    """Such as `1, 4-7, 9`: runs of numbers that go up."""
    runs = []
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        first, *rest = [number for _, number in run]
        runs.append(f"{first}-{rest[-1]}" if rest else str(first))
    return ", ".join(runs[:MOST_RANGES]) + (", .." if len(runs) > MOST_RANGES else "")
