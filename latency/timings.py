"""The timing table: what was timed, where, how, and the milliseconds. Long-form CSV.

Five columns are required; the others are a timing's passport and may be missing or blank.
"""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from palmette.latency.op_lists import network_ops
from palmette.latency.targets import find_target
from palmette.space.errors import InputError, expect

REQUIRED = ("subject_kind", "subject", "target", "latency_ms", "source")
PASSPORT = (
    "input_kind",
    "requested_units",
    "placement",
    "precision",
    "warmup",
    "repeats",
    "p10_ms",
    "p90_ms",
    "burst_ms",
    "sustained_ms",
    "thermal_before",
    "thermal_after",
    "power_mode",
    "os_build",
    "flags",
)
SUBJECT_KINDS = ("op", "chain", "network")
INPUT_KINDS = ("tensor", "image")
_MILLISECONDS = ("latency_ms", "p10_ms", "p90_ms", "burst_ms", "sustained_ms")
LONGEST_MS = 1e6


def read_timings(path: Path) -> pd.DataFrame:
    """Timings of a CSV file, validated row by row.

    Returns:
        One row per timing with all columns of `REQUIRED` and `PASSPORT`; `target` is the full name,
        milliseconds are floats (NaN where blank), everything else text.

    Raises:
        InputError: unreadable file, missing or unknown column, a time that is not a positive finite
            number, an unknown network, unit, target or kind; the message names file and row.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    for column in REQUIRED:
        expect(
            column in table.columns,
            f"{path}: column '{column}' is missing; a timing table needs {', '.join(REQUIRED)}",
        )
    for column in table.columns:
        expect(
            column in REQUIRED or column in PASSPORT,
            f"{path}: unknown column '{column}'; known: {', '.join((*REQUIRED, *PASSPORT))}",
        )
    expect(len(table) > 0, f"{path}: the table has no rows")
    records = table.to_dict("records")
    return pd.DataFrame(
        [
            _row({str(k): str(v) for k, v in r.items()}, f"{path}: row {i}", path.parent)
            for i, r in enumerate(records, start=2)
        ]
    )


def _row(row: dict[str, str], where: str, folder: Path) -> dict[str, str | float]:
    """A validated row; `where` starts its messages."""
    _one_of(row["subject_kind"], SUBJECT_KINDS, f"{where}: subject_kind")
    if row.get("input_kind"):
        _one_of(row["input_kind"], INPUT_KINDS, f"{where}: input_kind")
    checked: dict[str, str | float] = {name: row.get(name, "") for name in (*REQUIRED, *PASSPORT)}
    try:
        checked["target"] = str(find_target(row["target"]))
        if row["subject_kind"] == "network":
            network_ops(row["subject"], folder)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    for column in _MILLISECONDS:
        checked[column] = _milliseconds(row.get(column, ""), f"{where}: {column}", column)
    expect(bool(row["source"].strip()), f"{where}: source must say where the figure is from")
    return checked


def _milliseconds(text: str, where: str, column: str) -> float:
    if not text.strip() and column != "latency_ms":
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    expect(
        math.isfinite(value) and 0 < value <= LONGEST_MS,
        f"{where} must be a positive number of milliseconds below {LONGEST_MS:g}, got '{text}'",
    )
    return value


def _one_of(value: str, names: tuple[str, ...], where: str) -> None:
    expect(value in names, f"{where} must be one of {', '.join(names)}; got '{value}'")
