"""Answers of a device to a suite: rows of a results.csv as values, each held against its rules."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.latency.quarantine import BadRow
from palmette.latency.suite.results import COLUMNS, MODES, REQUESTED_UNITS, THERMAL_STATES, UNKNOWN
from palmette.latency.synthetic import LABEL
from palmette.latency.timings import LONGEST_MS
from palmette.space.errors import InputError, expect

OPS = {"ane": "ops_ane", "gpu": "ops_gpu", "cpu": "ops_cpu"}
"""Unit -> the column that counts its ops."""
_SYSTEMS = {"Mac": "macos", LABEL: LABEL}
"""What a machine's name holds (`Mac15,6`, `iMac21,1`) -> its system; phones and tablets run iOS."""


@dataclass(frozen=True, slots=True)
class Result:
    """One timing of one package, from the app or from whatever else timed it."""

    file: str
    """Of the results, for messages."""
    row: int
    package: str
    units: str
    """One of `REQUESTED_UNITS`."""
    machine: str
    """As it names itself, or as it is sold."""
    system: str
    """`ios`, `macos` or `synthetic`."""
    os_version: str
    n: int
    median_ms: float
    position: int | None = None
    """In the suite's run; None if it is not told."""
    sha256: str = ""
    mode: str = "burst"
    os_build: str = ""
    p10_ms: float | None = None
    p90_ms: float | None = None
    min_ms: float | None = None
    mean_ms: float | None = None
    thermal_start: str = ""
    thermal_end: str = ""
    low_power: bool | None = None
    counts: Mapping[str, int] | None = None
    """Ops by the unit that they prefer; None if there was no compute plan."""
    started_at: str = ""

    @property
    def runtime(self) -> str:
        """As targets name it, such as `coreml-ios18`; the synthetic phone's has no version."""
        major = int(self.os_version.partition(".")[0])
        return LABEL if self.system == LABEL else f"coreml-{self.system}{major}"


def is_results(path: Path) -> bool:
    """Whether a file begins as the app's results do."""
    try:
        with path.open("rb") as file:
            first = file.readline(4096).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return {"position", "sha256", "mode", "median_ms"} <= set(first.strip().split(","))


def read_results(path: Path) -> tuple[list[Result], list[BadRow]]:
    """Timings of a results.csv, and every row that is none, with its reason.

    Rows are lines: a line that was torn by a crash spoils itself alone.

    Raises:
        InputError: unreadable, or another header.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig", "replace").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    header = ",".join(COLUMNS)
    expect(
        lines[0].strip() == header,
        f"{path}: the first line must be '{header}', got '{lines[0].strip():.200}'",
    )
    good, bad = [], []
    for row, line in enumerate(lines[1:], start=2):
        if not line.strip("\r"):
            continue
        cells = _cells(line.rstrip("\r"))
        name = cells[COLUMNS.index("file")] if len(cells) > 1 else ""
        try:
            good.append(_result(str(path), row, cells))
        except InputError as error:
            bad.append(BadRow(str(path), row, name, str(error)))
    return good, bad


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:  # a quote without end
        return [line]


def _result(file: str, row: int, cells: list[str]) -> Result:
    expect(
        len(cells) == len(COLUMNS)
        and "\ufffd" not in "".join(cells)
        and "\0" not in "".join(cells),
        f"the line is torn: a row has {len(COLUMNS)} cells, got {len(cells)}",
    )
    texts = dict(zip(COLUMNS, cells, strict=True))
    expect(not texts["error"].strip(), f"it could not be timed: {texts['error'].strip()}")
    for name, (rule, holds) in RULES.items():
        expect(holds(texts[name]), f"{name} must be {rule}, got '{texts[name]}'")
    same = ("sha256", "units", "mode", "os_version", "os_build", "machine", "started_at")
    states = {name: texts[name] for name in ("thermal_start", "thermal_end")}
    others: dict[str, Any] = {
        **{name: texts[name] for name in same},
        **{name: "" if state == UNKNOWN else state for name, state in states.items()},
        **{name: _ms(texts[name]) for name in ("p10_ms", "p90_ms", "min_ms", "mean_ms")},
    }
    return Result(
        file=file,
        row=row,
        package=texts["file"],
        system=_system_of(texts["machine"]),
        n=int(texts["n"]),
        median_ms=float(texts["median_ms"]),
        position=int(texts["position"]),
        low_power=texts["low_power"] == "1" if texts["low_power"] else None,
        counts=_counts({unit: texts[name] for unit, name in OPS.items()}),
        **others,
    )


def _system_of(machine: str) -> str:
    found = (system for part, system in _SYSTEMS.items() if part in machine)
    return next(found, "ios")


def _counts(texts: Mapping[str, str]) -> dict[str, int] | None:
    """Ops by unit; None where none is counted."""
    counts = {unit: int(text or 0) for unit, text in texts.items()}
    return counts if sum(counts.values()) else None


def _ms(text: str) -> float | None:
    return float(text) if text else None


def _is_ms(text: str) -> bool:
    try:
        return 0 < float(text) <= LONGEST_MS  # false for NaN
    except ValueError:
        return False


def _is_name(text: str) -> bool:
    return bool(text.strip()) and "/" not in text and text.isprintable()


def _fits(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


_MS = (f"a positive number of milliseconds up to {LONGEST_MS:g}", _is_ms)
_MAYBE_MS = (f"{_MS[0]}, or blank", lambda text: not text or _is_ms(text))
_COUNT = ("a whole number, or blank", _fits("[0-9]{0,9}"))
_THERMAL = (
    f"one of {', '.join(THERMAL_STATES)}, or blank",
    lambda text: text in (*THERMAL_STATES, UNKNOWN, ""),
)

RULES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "position": ("a whole number from 1", _fits("[1-9][0-9]{0,8}")),
    "file": ("the name of a package", _is_name),
    "sha256": ("64 hexadecimal digits", _fits("[0-9a-f]{64}")),
    "units": (f"one of {', '.join(REQUESTED_UNITS)}", lambda text: text in REQUESTED_UNITS),
    "mode": (f"one of {', '.join(MODES)}", lambda text: text in MODES),
    "machine": ("the name of a machine, such as iPhone12,1", _fits("[A-Za-z][A-Za-z0-9 ,._()-]*")),
    "os_version": ("a version, such as 18.1", _fits(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}")),
    "os_build": ("letters and digits, or blank", _fits("[A-Za-z0-9.]*")),
    "load_ms": _MAYBE_MS,
    "n": ("a whole number from 1", _fits("[1-9][0-9]{0,8}")),
    "median_ms": _MS,
    **dict.fromkeys(("p10_ms", "p90_ms", "min_ms", "mean_ms"), _MAYBE_MS),
    **dict.fromkeys(("thermal_start", "thermal_end"), _THERMAL),
    "low_power": ("0, 1 or blank", _fits("[01]?")),
    **dict.fromkeys(OPS.values(), _COUNT),
    "started_at": (
        "a time in UTC, such as 2026-01-31T12:00:00Z, or blank",
        _fits(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00))?"),
    ),
}
"""Column -> what its cells must be, in words and as a test; the others may be anything."""
