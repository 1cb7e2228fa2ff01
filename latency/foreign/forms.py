"""Foreign files by what they are: results of devices are known by their form, others by a map.

NAME.mlperf      folder of an Xcode performance report
results.csv      of our app, of the Mac or of the synthetic phone, known by its header
NAME.json        measurements of coremltools (`palmette.latency.foreign.measurements`)
anything else    CSV by an import map
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from palmette.latency.foreign.device_rows import ELSEWHERE, DeviceRows, device_rows, things_of
from palmette.latency.foreign.imported import Imported
from palmette.latency.foreign.importing import Taken, gather, mapped
from palmette.latency.foreign.maps import ImportMap
from palmette.latency.foreign.measurements import is_measurements, read_measurements
from palmette.latency.foreign.missing import missing
from palmette.latency.foreign.plausible import too_slow
from palmette.latency.foreign.repeats import Seen
from palmette.latency.foreign.reports import blot, is_report, read_report, secrets_of
from palmette.latency.foreign.subjects import Subject, Suite
from palmette.latency.passports import DRIFT, LOW_POWER
from palmette.latency.placement import Key, Placement, read_placements
from palmette.latency.quarantine import BadRow
from palmette.latency.suite.answers import Result, is_results, read_results
from palmette.latency.suite.manifest import MANIFEST
from palmette.latency.suite.results import placement_beside
from palmette.latency.targets import parse_target
from palmette.latency.timings import RULES
from palmette.space.errors import InputError, expect

TOLD = (DRIFT, LOW_POWER, ELSEWHERE)
"""Flags that an import counts."""


def is_device_file(path: Path) -> bool:
    """Whether a path holds results of a device, which need no map."""
    return is_report(path) or is_measurements(path) or is_results(path)


def reads_of(files: Sequence[Path], suite: Path | None, joined: Path | None) -> list[Path]:
    """Every path that an import of these files reads, or may read; arguments as in it."""
    more = [suite / MANIFEST] if suite is not None else []
    return [*files, *(placement_beside(file) for file in files), *more, *filter(None, [joined])]


def import_files(
    files: Sequence[Path],
    maps: Sequence[ImportMap] = (),
    *,
    suite: Path | None = None,
    subject: str = "",
    joined: Path | None = None,
    target: str = "",
) -> Imported:
    """Foreign files of every form as timings; see `gather` for what is left out.

    Args:
        files: any that `is_device_file` knows, and CSV files.
        maps: one for each of the other CSV files, in their order.
        suite: folder with the manifest of what devices timed.
        subject: what devices timed, in place of a suite.
        joined: file to join to CSV files, in place of the one that a map names.
        target: target of all rows, in place of what maps or devices say.

    Raises:
        InputError: a file that cannot be read, no map for one or one too many, neither suite nor
            subject for a device's results, or no good row at all.
    """
    target = str(parse_target(target)) if target else ""
    foreign = [file for file in files if not is_device_file(file)]
    expect(
        len(maps) == len(foreign),
        f"--map: one for each file that needs one, got {len(maps)} of {len(foreign)};"
        " results of devices need none",
    )
    notes: list[str] = []
    by_map = iter(mapped(list(zip(foreign, maps, strict=True)), notes, joined, target))
    subjects = _subjects(suite, subject) if len(foreign) < len(files) else None
    taken, seen = [], Seen()
    for file in files:
        if file in foreign:
            taken.append(next(by_map))
            continue
        assert subjects is not None
        taken.append(_device(file, subjects, target, seen, notes))
    return gather(taken, notes)


def _subjects(suite: Path | None, subject: str) -> Suite | Subject:
    expect(
        (suite is None) != (not subject),
        "results of a device need --suite, the folder of what was timed, or --subject, its name; "
        + ("give one of them" if suite else "got neither"),
    )
    return Suite.read(suite) if suite is not None else Subject.of(subject)


def _device(
    file: Path, subjects: Suite | Subject, target: str, seen: Seen, notes: list[str]
) -> Taken:
    """Rows of one file of a device's results."""
    read, placements, bad = _read(file)
    results, again = seen.fresh(read)
    made = device_rows(results, placements, subjects, _source(file, read), target)
    made = replace(made, left_out=(*again, *made.left_out))
    if is_report(file):  # the model's own name may hold the phone's
        made = replace(made, left_out=_blotted(made.left_out, secrets_of(file)))
    lines = too_slow(things_of(made.rows))
    if isinstance(subjects, Suite) and is_results(file):
        lines += missing(subjects.entries, results, made)
    for flag in TOLD:
        if flagged := sum(flag in row["flags"] for row in made.rows):
            lines.append(f"{flagged} of {len(made.rows)} timings are flagged '{flag}'")
    where = blot(str(file), secrets_of(file)) if is_report(file) else str(file)
    notes += [f"{where}: {line}" for line in lines]
    return _taken(made, bad)


def _read(file: Path) -> tuple[list[Result], Mapping[Key, Placement], list[BadRow]]:
    """Results of a file; one that cannot be read at all is one bad row."""
    report = is_report(file)
    try:
        return _report(file) if report else _rows(file)
    except InputError as error:
        name = blot(str(file), secrets_of(file)) if report else str(file)
        return [], {}, [BadRow(name, 1, "", str(error).removeprefix(f"{name}: "))]


def _report(file: Path) -> tuple[list[Result], Mapping[Key, Placement], list[BadRow]]:
    result, placement = read_report(file)
    placements = {} if placement is None else {(result.package, result.units): placement}
    return [result], placements, []


def _rows(file: Path) -> tuple[list[Result], Mapping[Key, Placement], list[BadRow]]:
    if is_measurements(file):
        return read_measurements(file)
    results, bad = read_results(file)
    beside = placement_beside(file)
    placements, bad_ops = _placements(beside)
    return results, placements, [*bad, *bad_ops]


def _placements(file: Path) -> tuple[Mapping[Key, Placement], list[BadRow]]:
    """Placements of a file if there is one; one that cannot be read at all is one bad row."""
    try:
        return read_placements(file) if file.is_file() else ({}, [])
    except InputError as error:
        reason = str(error).removeprefix(f"{file}: ")
        return {}, [BadRow(str(file), 1, "", f"{reason}; where ops ran is read off the counts")]


def _blotted(bad: Sequence[BadRow], secrets: Sequence[str]) -> tuple[BadRow, ...]:
    return tuple(
        replace(row, subject=blot(row.subject, secrets), reason=blot(row.reason, secrets))
        for row in bad
    )


def _source(file: Path, results: Sequence[Result]) -> str:
    """How figures came to be: the tool, the machine, the day."""
    tool = {True: "Xcode performance report"}.get(is_report(file), "palmette suite")
    tool = "coremltools benchmark" if is_measurements(file) else tool
    if not results:
        return tool
    first = results[0]
    words = [tool, first.machine, f"{first.os_version} {first.os_build}".strip()]
    return ", ".join([*words, *filter(None, [first.started_at[:10]])])


def _taken(made: DeviceRows, bad: Sequence[BadRow]) -> Taken:
    columns = [*RULES, "file", "row", "index", "reason"]
    frame = pd.DataFrame(made.rows, columns=columns, dtype=object).fillna("")
    named = {name for name in RULES if (frame[name] != "").any()}
    others = {row: tuple(one.row for one in more) for row, more in made.others.items()}
    return Taken(frame, frozenset(named), left_out=(*bad, *made.left_out), others=others)
