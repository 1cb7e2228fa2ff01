"""Timing a suite where coremltools can: the loop, and the rows that it makes.

Rows are those of the app (palmette.latency.suite.results), so what reads the app's results reads
these. What a Mac or coremltools does not say (thermal state, power) stays blank.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from palmette.latency.devices.calls import Calls, Guard, timed_calls
from palmette.latency.devices.log import ResultsLog
from palmette.latency.devices.mac import require_mac, this_mac
from palmette.latency.devices.phone import expect_bursts, expect_few, opened_phone, within
from palmette.latency.devices.place import Lost, Place
from palmette.latency.devices.plans import counts, plan_rows
from palmette.latency.suite.manifest import Entry, hash_package, read_manifest
from palmette.latency.suite.results import MODES, REQUESTED_UNITS
from palmette.latency.suite.settings import Settings, expect_bursts_too, usual_modes
from palmette.space.errors import expect

MAC = "mac"
ENDED = "the phone's app has ended; run the same command again"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a finished run wrote."""

    rows: int
    failed: int
    """Of them, rows with an error."""


@dataclass(frozen=True, slots=True)
class _Job:
    entry: Entry
    units: str
    mode: str


def time_suite(
    suite: Path,
    out: Path,
    on: str,
    *,
    team: str = "",
    units: Sequence[str] = (),
    modes: Sequence[str] = (),
    progress: Progress | None = None,
) -> Finished:
    """Time a suite on this Mac or on a phone beside it; ended early, the same call goes on.

    Args:
        suite: folder with the manifest, the packages and perhaps settings.
        out: CSV file of the results; `placement_beside` it the compute plans are written.
        on: `mac`, or identifier or name of a phone.
        team: development team that signs coremltools' app; for phones.
        units: compute units, in place of those of the settings.
        modes: ways of calling, in place of those of the settings; one that the settings lack is
            for the kinds that it is for by default.
        progress: told of every timing.

    Raises:
        InputError: no Mac, a suite that is damaged or too large for a phone, a file there that
            holds something else, a phone that is not there or answers no more.
    """
    require_mac(f"--on {on}")
    expect(out.suffix == ".csv", f"--out: with --on it is a .csv file, got {out}")
    entries = read_manifest(suite)
    if on != MAC:
        expect_few(entries)
        expect_bursts(modes)
    settings = _chosen(Settings.read(suite), units, modes)
    _check_packages(suite, entries)
    tell = progress or (lambda what, done, of: None)
    if on == MAC:
        return asyncio.run(run(suite, out, this_mac(), entries, settings, tell))
    return asyncio.run(_on_phone(on, team, suite, out, entries, settings, tell))


async def _on_phone(
    on: str,
    team: str,
    suite: Path,
    out: Path,
    entries: Sequence[Entry],
    settings: Settings,
    tell: Progress,
) -> Finished:
    async with opened_phone(on, team) as place:
        return await run(suite, out, place, entries, settings, tell)


def _chosen(settings: Settings, units: Sequence[str], modes: Sequence[str]) -> Settings:
    """Settings with what the command line says in their place."""
    for option, names, known in (("--units", units, REQUESTED_UNITS), ("--mode", modes, MODES)):
        wrong = [name for name in names if name not in known]
        expect(not wrong, f"{option}: must be of {', '.join(known)}, got '{', '.join(wrong)}'")
    if units:
        settings = replace(settings, units=tuple(dict.fromkeys(units)))
    if modes:
        settings = replace(settings, modes={**usual_modes(), **settings.modes})
        settings = replace(settings, modes={mode: settings.modes[mode] for mode in modes})
        expect_bursts_too(settings.modes, "--mode")
    return settings


def _check_packages(suite: Path, entries: Sequence[Entry]) -> None:
    """Refuse packages that are not those of the manifest, before any is timed."""
    for file, sha256 in dict.fromkeys((entry.file, entry.sha256) for entry in entries):
        path = suite / file
        expect(path.exists(), f"{path}: is missing; copy the suite again, all of it")
        expect(
            hash_package(path) == sha256,
            f"{path}: is not what the manifest says; copy the suite again, all of it",
        )


async def run(
    suite: Path,
    out: Path,
    place: Place,
    entries: Sequence[Entry],
    settings: Settings,
    tell: Progress,
) -> Finished:
    """Time at a place whatever has no row yet, mode by mode.

    Raises:
        Lost: the place answers no more; rows that are there stay.
        InputError: a file there that holds something else.
    """
    log = ResultsLog(out, entries, place)
    jobs = [
        _Job(entry, units, mode)
        for mode in place.modes
        for entry in entries
        if entry.subject_kind in settings.modes.get(mode, ())
        for units in settings.units
    ]
    expect(len(jobs) > 0, f"{suite}: its settings ask for nothing that can be timed here")
    with tempfile.TemporaryDirectory(prefix="palmette-weights-") as no_weights:
        for done, job in enumerate(jobs, start=1):
            if not log.has(job.entry.position, job.entry.file, job.units, job.mode):
                if not place.is_alive():
                    raise Lost(ENDED)
                await _one(suite, Path(no_weights), place, job, settings, log)
            tell("time", done, len(jobs))
    return Finished(log.count, log.failed)


async def _one(
    suite: Path, no_weights: Path, place: Place, job: _Job, settings: Settings, log: ResultsLog
) -> None:
    """One timing, as a row, whatever comes of it."""
    row = {
        "position": str(job.entry.position),
        "file": job.entry.file,
        "sha256": job.entry.sha256,
        "units": job.units,
        "mode": job.mode,
        "machine": place.machine,
        "os_version": place.os_version,
        "os_build": place.os_build,
        "started_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    try:
        path = suite / job.entry.file
        row |= await _figures(path, no_weights, place, job, settings)
        row |= await _counts(path, place, job, log)
    except Lost:
        raise
    except Exception as error:  # of one package: what Core ML or coremltools says of it
        if not place.is_alive():
            raise Lost(ENDED) from None
        row["error"] = " ".join(str(error).split())[:500] or type(error).__name__
    log.add(row)


async def _figures(
    path: Path, no_weights: Path, place: Place, job: _Job, settings: Settings
) -> dict[str, str]:
    def guard(awaited: Any) -> Any:
        return within(place, awaited)

    calls = Calls(path, job.units, no_weights, place.device)
    try:
        load_ms = await _loaded(calls, place, guard)
        samples = await timed_calls(calls, job.mode, settings, guard)
    except Lost:
        raise
    except Exception:
        await _close(calls, guard)
        raise
    await _close(calls, guard)
    p10, median, p90 = np.quantile(samples, [0.1, 0.5, 0.9])
    figures = {
        "load_ms": load_ms,
        "median_ms": median,
        "p10_ms": p10,
        "p90_ms": p90,
        "min_ms": min(samples),
        "mean_ms": np.mean(samples),
    }
    return {"n": str(len(samples))} | {name: f"{ms:.6f}" for name, ms in figures.items()}


async def _loaded(calls: Calls, place: Place, guard: Guard) -> float:
    """Load, again where the first try gave up."""
    for left in reversed(range(place.loads)):
        try:
            return float(await guard(calls.load_ms()))
        except Lost:
            raise
        except Exception:
            if not left or not place.is_alive():
                raise
    raise AssertionError("a place loads at least once")


async def _close(calls: Calls, guard: Guard) -> None:
    """Give the model back; one that will not go costs memory there, not the timing."""
    try:
        await guard(calls.close())
    except Lost:
        raise
    except Exception:
        return


async def _counts(path: Path, place: Place, job: _Job, log: ResultsLog) -> dict[str, str]:
    """Ops by unit; a plan that fails takes no timing with it, its cells stay blank."""
    known = log.plan(job.entry.file, job.units)
    if known is not None:
        return counts([dict(row) for row in known])
    try:
        rows = await within(place, plan_rows(path, job.units, place.device))
    except Lost:
        raise
    except Exception:
        return {}
    log.add_plan(rows)
    return counts(rows)
