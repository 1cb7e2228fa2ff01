"""Results of devices as rows of the timing table: what ran where, together with how it was called.

The ways of calling one package become one row: its burst is `latency_ms`. The target's unit is the
one that really ran: that with the largest share of the compute plan, by estimated cost if the plan
has it, else by number of ops; without a plan the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palmette.latency.foreign.anchors import drifted
from palmette.latency.foreign.plausible import OTHER_UNIT, Thing, expect_plausible, implausible
from palmette.latency.foreign.subjects import Named, Subject, Suite
from palmette.latency.passports import COLUMNS, DRIFT, LOW_POWER, NO_PASSPORT
from palmette.latency.phones import device_of
from palmette.latency.placement import Key, Placement, RanOn
from palmette.latency.quarantine import BadRow
from palmette.latency.suite.answers import Result
from palmette.latency.suite.settings import ASKED
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect

WANTED = {**{asked: unit for unit, asked in ASKED.items()}, "all": ""}
"""Requested units -> the unit that they are asked for; blank: whichever."""
ELSEWHERE = "ran on"
"""Begins the flag of a timing that was asked for on one unit and ran mostly on another."""
WARM = ("fair",)
"""Thermal states at the start that are flagged; hotter ones are put aside."""


@dataclass(frozen=True, slots=True)
class DeviceRows:
    """Timings of one source, and the results that are none.

    `rows` are cells by column, with `file` and `row`; `others` has, by row, the further results
    that stand in the same timing; `left_out` the results that are in none.
    """

    rows: tuple[dict[str, Any], ...]
    others: Mapping[int, tuple[Result, ...]]
    left_out: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """What one package took with one choice of units."""

    burst: Result
    named: Named
    others: dict[str, Result] = field(default_factory=dict)


def device_rows(
    results: Sequence[Result],
    placements: Mapping[Key, Placement],
    subjects: Suite | Subject,
    source: str,
    target: str = "",
) -> DeviceRows:
    """Timings from the results of one run, in its order; each result in a timing or left out.

    Args:
        results: of one file.
        placements: where ops ran, by package and requested units.
        subjects: what the results are of.
        source: how the figures came to be, in a few words.
        target: full name of the target, in place of what the results say; it must be of the unit
            that ran.
    """
    left_out: list[BadRow] = []
    groups = _groups(results, subjects, left_out)
    drifts = drifted([(one.burst, one.named.role) for one in groups])
    rows, others = [], {}
    for group in groups:
        burst = group.burst
        try:
            ran = _ran_on(burst, placements)
            cells = _cells(group, ran, burst.row in drifts, target)
        except InputError as error:
            left_out += [_bad(one, group.named, str(error)) for one in _all(group)]
            continue
        rows.append({**cells, "source": source, "file": burst.file, "row": burst.row})
        others[burst.row] = tuple(group.others.values())
    kept = _settled(rows, others, left_out)
    return DeviceRows(
        tuple(kept), {row["row"]: others[row["row"]] for row in kept}, tuple(left_out)
    )


def _groups(
    results: Sequence[Result], subjects: Suite | Subject, left_out: list[BadRow]
) -> list[_Group]:
    """Results that can be believed, those of one package and choice of units together."""
    found: dict[tuple[Any, str], _Group] = {}
    waiting: list[tuple[tuple[Any, str], Result, Named]] = []
    refused: dict[tuple[Any, str], str] = {}
    for result in results:
        key = (result.position or f"row {result.row}", result.units)
        named = Named("", result.package)
        try:
            named = subjects.find(result)
            expect_plausible(result)
        except InputError as error:
            left_out.append(_bad(result, named, str(error)))
            if result.mode == "burst":
                refused[key] = f"row {result.row} is left out"
            continue
        if result.mode != "burst":
            waiting.append((key, result, named))
        elif key in found:
            left_out.append(_bad(result, named, _again(found[key].burst)))
        else:
            found[key] = _Group(result, named)
    for key, result, named in waiting:
        try:
            _join(found.get(key), refused.get(key, "the file has no good row of it"), result)
        except InputError as error:
            left_out.append(_bad(result, named, str(error)))
    return list(found.values())


def _join(group: _Group | None, why: str, result: Result) -> None:
    """Add another way of calling to what the burst took."""
    expect(group is not None, f"there is no burst of it to stand with: {why}")
    assert group is not None
    before = group.others.get(result.mode)
    expect(before is None, _again(before) if before else "")
    ratio = result.median_ms / group.burst.median_ms
    expect(
        1 / OTHER_UNIT < ratio < OTHER_UNIT,
        f"median_ms must be within {OTHER_UNIT:g} times that of the burst in row"
        f" {group.burst.row}, got {result.median_ms:g} and {group.burst.median_ms:g};"
        " in another unit?",
    )
    group.others[result.mode] = result


def _again(first: Result) -> str:
    return f"row {first.row} times the same and is preferred"


def _ran_on(result: Result, placements: Mapping[Key, Placement]) -> RanOn | None:
    """Where the ops of a result ran; None if that is not known."""
    if (placement := placements.get((result.package, result.units))) is not None:
        return placement.ran_on
    return RanOn.from_counts(result.counts) if result.counts else None


def _cells(group: _Group, ran: RanOn | None, drift: bool, target: str) -> dict[str, Any]:
    """A timing's cells; raises InputError if it is not known on which unit it ran."""
    burst, named, wanted = group.burst, group.named, WANTED[group.burst.units]
    unit = wanted if ran is None or (named.kind == "probe" and wanted) else ran.unit
    expect(unit != "", "units 'all' without a compute plan do not tell which unit ran")
    full_name = f"{device_of(burst.machine)}/{unit}@{burst.runtime}"
    if target:
        expect(parse_target(target).unit == unit, f"it ran on the {unit}, not on that of {target}")
        full_name = target
    placement = ran.text if ran else ("cpu" if burst.units == "cpuOnly" else "")
    cells: dict[str, Any] = {
        "subject_kind": named.kind,
        "subject": named.subject,
        "target": full_name,
        "latency_ms": f"{burst.median_ms:.9g}",
        "input_kind": "tensor" if named.role else "",
        "requested_units": burst.units,
        "placement": placement,
        "precision": "fp16" if named.role else "",
        "repeats": str(burst.n),
        "p10_ms": _text(burst.p10_ms),
        "p90_ms": _text(burst.p90_ms),
        "burst_ms": f"{burst.median_ms:.9g}",
        "thermal_before": burst.thermal_start,
        "thermal_after": burst.thermal_end,
        "power_mode": {True: "low", False: "normal", None: ""}[burst.low_power],
        "os_build": burst.os_build,
    }
    for mode, result in group.others.items():
        cells[f"{mode}_ms"] = f"{result.median_ms:.9g}"
    flags = {
        f"{ELSEWHERE} {unit}": bool(wanted) and unit != wanted,
        "warm": burst.thermal_start in WARM,
        LOW_POWER: any(one.low_power for one in _all(group)),
        DRIFT: drift,
        "anchor": named.role == "anchor",
        NO_PASSPORT: not all(cells[name] for name in COLUMNS),
    }
    return {**cells, "flags": " ".join(flag for flag, holds in flags.items() if holds)}


def things_of(rows: Sequence[Mapping[str, Any]]) -> list[Thing]:
    """Timings as `palmette.latency.foreign.plausible` judges them."""
    return [
        (row["subject_kind"], row["subject"], row["target"], float(row["latency_ms"]))
        for row in rows
    ]


def _settled(
    rows: list[dict[str, Any]],
    others: Mapping[int, tuple[Result, ...]],
    left_out: list[BadRow],
) -> list[dict[str, Any]]:
    """Timings that agree with their like; of the others all results are left out."""
    reasons = implausible(things_of(rows))
    reasons |= _fallen_back(rows, reasons)
    for place, reason in reasons.items():
        row = rows[place]
        numbers = [row["row"], *(one.row for one in others[row["row"]])]
        left_out += [
            BadRow(row["file"], number, row["subject"], reason, target=row["target"])
            for number in numbers
        ]
    return [row for place, row in enumerate(rows) if place not in reasons]


def _fallen_back(rows: Sequence[dict[str, Any]], left_out: Container[int]) -> dict[int, str]:
    """Timings that ran elsewhere than asked, where that unit was asked for the same directly.

    Places of `left_out` are neither among them nor a reason for one.
    """
    good = [(place, row) for place, row in enumerate(rows) if place not in left_out]
    direct = {
        (row["subject_kind"], row["subject"], row["target"]): row["row"]
        for _, row in good
        if ELSEWHERE not in row["flags"]
    }
    found = {}
    for place, row in good:
        key = (row["subject_kind"], row["subject"], row["target"])
        if ELSEWHERE in row["flags"] and key in direct:
            found[place] = (
                f"asked for on {row['requested_units']} it ran on {row['placement']}; row"
                f" {direct[key]} times that unit itself"
            )
    return found


def _all(group: _Group) -> list[Result]:
    return [group.burst, *group.others.values()]


def _bad(result: Result, named: Named, reason: str) -> BadRow:
    return BadRow(result.file, result.row, named.subject, reason)


def _text(ms: float | None) -> str:
    return "" if ms is None else f"{ms:.9g}"
