"""Measurements of coremltools as JSON: one file, any number of timings.

coremltools' `MLModelBenchmarker` gives `Measurement(statistics, samples)` in milliseconds and has
no form of its own to store it in. Ours is what `dataclasses.asdict` makes of one, with what it is
of:

    {"format": "palmette/measurements@1",
     "machine": "Mac15,6", "system": "macos", "os_version": "15.1", "os_build": "24B83",
     "measurements": [
       {"package": "a.mlpackage", "sha256": "", "units": "cpuOnly",
        "statistics": {"median": 1.2, ...}, "samples": [1.1, 1.2, 1.3],
        "plan": null}]}

`sha256`, `statistics`, `plan`, `os_build` and `system` (`ios`) may be missing; `plan` is the
dictionary of a compute plan, as `ComputePlan.from_dict` reads it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palmette.latency.foreign.samples import figures_of
from palmette.latency.placement import Key, Placement, from_plan
from palmette.latency.quarantine import BadRow
from palmette.latency.suite.answers import RULES, Result
from palmette.latency.timings import LONGEST_MS
from palmette.space.errors import InputError, expect

FORMAT = "palmette/measurements@1"
SYSTEMS = ("ios", "macos")
STATISTICS = {"median": "median_ms", "minimum": "min_ms", "average": "mean_ms"}
"""Of coremltools -> the figure of the samples that it must equal."""
TOLERANCE = 1e-6


def is_measurements(path: Path) -> bool:
    """Whether a file is one by its name."""
    return path.suffix == ".json"


def read_measurements(
    path: Path,
) -> tuple[list[Result], dict[Key, Placement], list[BadRow]]:
    """Timings of a file, where their ops ran, and the entries that were put aside.

    `row` of a timing is its place in `measurements`, from 1.

    Raises:
        InputError: unreadable, not JSON, another format, or a machine or system that is not told.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    expect(
        isinstance(data, dict) and data.get("format") == FORMAT,
        f"{path}: 'format' must be '{FORMAT}', of measurements of coremltools (docs/timing.md);"
        " what another tool timed comes in as CSV, by --map",
    )
    entries = data.get("measurements")
    expect(isinstance(entries, list), f"{path}: 'measurements' must be a list")
    common = {name: _text(data, name) for name in ("machine", "os_version", "os_build")}
    try:
        for name, text in common.items():
            _check(name, text)
        system = data.get("system", SYSTEMS[0])
        expect(system in SYSTEMS, f"system must be {' or '.join(SYSTEMS)}, got {system!r:.40}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    good, placements, bad = [], {}, []
    for row, entry in enumerate(entries, start=1):
        package = entry.get("package") if isinstance(entry, Mapping) else ""
        try:
            result, placement = _read(entry, {**common, "system": system}, str(path), row)
        except InputError as error:
            bad.append(BadRow(str(path), row, str(package or ""), str(error)))
            continue
        good.append(result)
        if placement is not None:
            placements[result.package, result.units] = placement
    return good, placements, bad


def _read(
    entry: Any, common: Mapping[str, Any], file: str, row: int
) -> tuple[Result, Placement | None]:
    expect(isinstance(entry, Mapping), f"a measurement must be an object, got {entry!r:.60}")
    package, sha256, units = (_text(entry, name) for name in ("package", "sha256", "units"))
    _check("file", package)
    _check("units", units)
    if sha256:
        _check("sha256", sha256)
    figures = figures_of(entry.get("samples"), 1.0, "samples")
    _agree(entry.get("statistics"), figures)
    plan = entry.get("plan")
    result = Result(
        file=file, row=row, package=package, units=units, sha256=sha256, **common, **figures
    )
    return result, None if plan is None else from_plan(plan)


def _agree(statistics: Any, figures: Mapping[str, float]) -> None:
    """Statistics are those of the samples: else one of them is of another unit, or of others."""
    if statistics is None:
        return
    expect(isinstance(statistics, Mapping), f"statistics must be an object, got {statistics!r:.60}")
    for theirs, ours in STATISTICS.items():
        value = statistics.get(theirs)
        expect(
            value is None
            or (
                isinstance(value, int | float)
                and 0 < value <= LONGEST_MS
                and math.isclose(value, figures[ours], rel_tol=TOLERANCE)
            ),
            f"statistics.{theirs} must be that of the samples, {figures[ours]:.6g} ms,"
            f" got {value!r:.40}",
        )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    expect(isinstance(value, str), f"{name} must be a text, got {value!r:.40}")
    return str(value)


def _check(name: str, text: str) -> None:
    rule, holds = RULES[name]
    expect(holds(text), f"{name} must be {rule}, got {text!r:.80}")
