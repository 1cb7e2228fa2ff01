"""Files with compute plans, each plan held against the network that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from palmette.latency.chains import Chain
from palmette.latency.foreign.device_rows import WANTED
from palmette.latency.foreign.measurements import is_measurements, read_measurements
from palmette.latency.foreign.reports import is_report, read_report
from palmette.latency.foreign.subjects import Named, Subject, Suite
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.phones import device_of
from palmette.latency.placement import Key, Placement, read_placements
from palmette.latency.quarantine import BadRow
from palmette.latency.suite.answers import Result, read_results
from palmette.latency.targets import Target, parse_target
from palmette.search.placed import ABSENT, PlacementReport, compare_placement, with_operators
from palmette.space import ZOO, Architecture, Op, load
from palmette.space.errors import InputError, expect


@dataclass(frozen=True, slots=True)
class Held:
    """Plans that were held against their networks, and what could not be."""

    reports: tuple[tuple[str, PlacementReport], ...]
    """By what was timed, in the order of the file."""
    left_out: tuple[BadRow, ...]
    notes: tuple[str, ...] = ()
    """Lines on plans that were passed over, and why."""


def hold(
    file: Path,
    *,
    suite: Path | None = None,
    subject: str = "",
    package: Path | None = None,
    target: str = "",
) -> Held:
    """Hold the plans of a file against what the rules of thumb expect of the same ops.

    Args:
        file: `placement.csv` of the app, an `.mlperf` folder, or `.json` of coremltools.
        suite: folder with the manifest of what was timed.
        subject: what was timed, in place of a suite.
        package: of the subject; tells the operators' names where plans name outputs alone, as those
            of coremltools do. A suite has its own.
        target: of the plans; by default what the report or the results beside the plans say, or
            what the suite was made for, with the unit that was asked for.

    Raises:
        InputError: unreadable, neither suite nor subject, or no plan of the target's unit.
    """
    expect((suite is None) != (not subject), "give --suite, the folder, or --subject, its name")
    subjects = Subject.of(subject) if suite is None else Suite.read(suite)
    wanted = parse_target(target) if target else None
    placements, machines, bad = _plans(file)
    left_out, reports, passed = list(bad), [], Counter[str]()
    for (name, units), placement in placements.items():
        unit = WANTED[units] or (wanted.unit if wanted else "ane")
        if wanted is not None and unit != wanted.unit:
            passed[f"not of the unit of {wanted}"] += 1
            continue
        try:
            named, made_for = _named(subjects, name)
            if named.kind == "probe":
                passed["of probes, which are made to leave the unit"] += 1
                continue
            known = _known(placement, package if suite is None else suite / name)
            on = wanted or _target(machines.get((name, units)), made_for, unit)
            report = compare_placement(_subject(named), on, known)
            expect(
                any(one.actual != ABSENT for one in report.ops),
                f"no op of the plan is one of {named.subject}; is it of another network?",
            )
        except InputError as error:
            left_out.append(BadRow(str(file), 1, name, str(error)))
            continue
        reports.append((named.subject, report))
    notes = tuple(f"{file}: passed over: {count} plans {why}" for why, count in passed.items())
    if not reports:
        raise InputError(str(left_out[0]) if left_out else "; ".join(notes) or f"{file}: no plan")
    return Held(tuple(reports), tuple(left_out), notes)


def _plans(file: Path) -> tuple[dict[Key, Placement], Mapping[Key, Result], list[BadRow]]:
    """Plans of a file by package and units, and the results that they came with."""
    if is_report(file):
        result, placement = read_report(file)
        expect(placement is not None, f"{file}: the report does not say where ops ran")
        assert placement is not None
        key = (result.package, result.units)
        return {key: placement}, {key: result}, []
    if is_measurements(file):
        results, found, bad = read_measurements(file)
        return dict(found), {(one.package, one.units): one for one in results}, bad
    found, bad = read_placements(file)
    results, bad_results = _beside(file)
    ran = {(one.package, one.units): one for one in results}
    if len({(one.machine, one.runtime) for one in results}) == 1:  # of those without a good row too
        ran = dict.fromkeys(found, results[0]) | ran
    return found, ran, [*bad, *bad_results]


def _beside(placement: Path) -> tuple[list[Result], list[BadRow]]:
    """Results that plans came with, in the file beside theirs; one that is damaged is a bad row.

    It is `results.csv` for `placement.csv`, and `NAME.csv` for `NAME.placement.csv`.
    """
    stem = placement.name.removesuffix("placement.csv").removesuffix(".") or "results"
    file = placement.with_name(f"{stem}.csv")
    if not file.is_file():
        return [], []
    try:
        return read_results(file)[0], []
    except InputError as error:
        return [], [BadRow(str(file), 1, "", str(error).removeprefix(f"{file}: "))]


def _named(subjects: Suite | Subject, package: str) -> tuple[Named, str]:
    """What a package is, and the target that it was made for."""
    if isinstance(subjects, Subject):
        return subjects.named, ""
    stem = Path(package).stem
    for entry in subjects.entries:
        if Path(entry.file).stem == stem:
            return Named(entry.subject_kind, entry.subject, entry.role), entry.target
    raise InputError(f"package '{package}' is not in the suite's manifest")


def _known(placement: Placement, package: Path | None) -> Placement:
    """The placement with its operators' names, read from the package where a plan lacks them."""
    if all(op.operator for op in placement.ops):
        return placement
    expect(
        package is not None and package.exists(),
        "the plan names outputs alone; name its package with --package, or a --suite that has it",
    )
    assert package is not None
    return with_operators(placement, package)


def _target(result: Result | None, made_for: str, unit: str) -> Target:
    if result is not None:
        return parse_target(f"{device_of(result.machine)}/{unit}@{result.runtime}")
    expect(made_for != "", "the file does not say which phone it is of: name it with --target")
    on = parse_target(made_for)
    return parse_target(f"{on.device}/{unit}@{on.runtime}")


def _subject(named: Named) -> Architecture | tuple[Op, ...]:
    if named.kind == "chain":
        return Chain.from_text(named.subject).ops()
    if named.kind == "op":
        return kernel_from_text(named.subject)
    name, at, _ = named.subject.partition("@")
    if "|" in named.subject:
        return Architecture.from_text(named.subject)
    return load(name) if name in ZOO and not at else network_ops(named.subject)
