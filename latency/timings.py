"""The timing table: what was timed, where, how, and the milliseconds. Long-form CSV.

`RULES` says what the cells of each column must be. The columns of `REQUIRED` are needed; the others
are a timing's passport and may be missing or blank.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency.op_lists import network_ops
from palmette.latency.tables import read_csv
from palmette.latency.targets import TARGETS
from palmette.space import Op
from palmette.space.errors import InputError, expect

LONGEST_MS = 1e6
UNITS = ("cpu", "gpu", "ane", "all", "cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")
"""Compute units as targets name them, and as Core ML does."""
_TARGET_NAMES = {name: str(t) for t in TARGETS.values() for name in (str(t), t.alias)}

Cells = pd.Series  # of text, one entry per row


@dataclass(frozen=True, slots=True)
class Rule:
    """What the cells of a column must be, in words and as a mask over the column."""

    text: str
    holds: Callable[[Cells], Cells]


def _given(text: str) -> Rule:
    return Rule(text, lambda cells: cells.str.strip() != "")


def _one_of(*names: str) -> Rule:
    return Rule(f"must be one of {', '.join(names)}", lambda cells: cells.isin(names))


def _is_positive(cells: Cells) -> Cells:
    numbers = pd.to_numeric(cells, errors="coerce")
    return (numbers > 0) & (numbers <= LONGEST_MS)  # false for NaN


def _or_blank(rule: Rule) -> Rule:
    def holds(cells: Cells) -> Cells:
        return (cells.str.strip() == "") | rule.holds(cells)

    return Rule(f"{rule.text}, or blank", holds)


_MILLISECONDS = Rule(
    f"must be a positive number of milliseconds up to {LONGEST_MS:g}", _is_positive
)
_COUNT = _or_blank(Rule("must be a whole number", lambda cells: cells.str.fullmatch("[0-9]{1,9}")))
_ANYTHING = Rule("", lambda cells: cells == cells)

REQUIRED = {
    "subject_kind": _one_of("op", "chain", "network"),
    "subject": _given("must name what was timed"),
    "target": Rule(
        f"must be a known target: {', '.join(TARGETS)} (the part after @ may be left)",
        lambda cells: cells.isin(list(_TARGET_NAMES)),
    ),
    "latency_ms": _MILLISECONDS,
    "source": _given("must say where the figure is from"),
}
PASSPORT = {
    "input_kind": _or_blank(_one_of("tensor", "image")),
    "requested_units": _or_blank(_one_of(*UNITS)),
    "placement": _ANYTHING,
    "precision": _ANYTHING,
    "warmup": _COUNT,
    "repeats": _COUNT,
    "p10_ms": _or_blank(_MILLISECONDS),
    "p90_ms": _or_blank(_MILLISECONDS),
    "burst_ms": _or_blank(_MILLISECONDS),
    "sustained_ms": _or_blank(_MILLISECONDS),
    "thermal_before": _ANYTHING,
    "thermal_after": _ANYTHING,
    "power_mode": _ANYTHING,
    "os_build": _ANYTHING,
    "flags": _ANYTHING,
}
RULES = {**REQUIRED, **PASSPORT}
"""Column -> what its cells must be."""


def read_timings(path: Path) -> pd.DataFrame:
    """Timings of a CSV file, validated.

    Returns:
        One row per timing with all columns of `RULES`; `target` is the full name, milliseconds are
        floats (NaN where blank), everything else text. Paths of op lists, relative to the table in
        the file, are relative to the current folder here.

    Raises:
        InputError: unreadable file, missing or unknown column, a cell against its rule, an unknown
            network or unreadable op; the message names file, row (the header is row 1), column,
            rule and value.
    """
    table = read_csv(path)
    _check(table, str(path))
    lists = (table["subject_kind"] == "network") & table["subject"].str.endswith(".csv")
    table.loc[lists, "subject"] = [str(path.parent / name) for name in table.loc[lists, "subject"]]
    for kind, read in (("network", network_ops), ("op", Op.from_text)):
        subjects = table.loc[table["subject_kind"] == kind, "subject"].drop_duplicates()
        for row, subject in subjects.items():
            try:
                read(subject)
            except InputError as error:
                raise InputError(f"{path}: row {row}: subject: {error}") from None
    found = table.reindex(columns=list(RULES), fill_value="").reset_index(drop=True)
    found["target"] = found["target"].map(_TARGET_NAMES)
    times = [name for name in RULES if name.endswith("_ms")]
    found[times] = found[times].apply(lambda cells: pd.to_numeric(cells, errors="coerce"))
    return found


def _check(table: pd.DataFrame, where: str) -> None:
    """Raise InputError for the first thing in a table that is against its rule."""
    import pandera.pandas as pa  # slow to import

    columns = {
        name: pa.Column(str, pa.Check(rule.holds, error=rule.text), required=name in REQUIRED)
        for name, rule in RULES.items()
    }
    try:
        pa.DataFrameSchema(columns, strict=True).validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise InputError(f"{where}: {_first(error.failure_cases)}") from None
    expect(len(table) > 0, f"{where}: the table has no rows")


def _first(failures: Any) -> str:
    """Words for the first failure of a table: columns go before cells, and cells by row."""
    for check, text in (
        ("column_in_dataframe", "column '{}' is missing; a timing table needs {}"),
        ("column_in_schema", "unknown column '{}'; known: {}"),
    ):
        names = failures.loc[failures["check"] == check, "failure_case"].tolist()
        if names:
            known = REQUIRED if check == "column_in_dataframe" else RULES
            return text.format(names[0], ", ".join(known))
    failures = failures.sort_values("index", kind="stable")
    first = failures.iloc[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return (
        f"row {first['index']}: {first['column']} {first['check']}, got {first['failure_case']!r}"
        + more
    )
