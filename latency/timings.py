"""The timing table: what was timed, where, how, and the milliseconds. Long-form CSV.

`RULES` says what the cells of each column must be. The columns of `REQUIRED` are needed; the others
are a timing's passport and may be missing or blank.

    op       text of an op, or of a kernel: `conv ... ; add ...`
    chain    a block in a row, `4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24`
    probe    a chain with ops that are forced off a unit, `palmette.latency.suite.probes`
    network  what `network_ops` knows, or a name whose kernels the table holds under `part_of`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import kernel_from_text
from palmette.latency.quarantine import BadRow, contradictions
from palmette.latency.tables import read_csv
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect

LONGEST_MS = 1e6
UNITS = ("cpu", "gpu", "ane", "all", "cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")
"""Compute units as targets name them, and as Core ML does."""
TELLING = ("os_build", "power_mode", "thermal_before", "input_kind", "precision", "requested_units")
"""Columns of a passport that may be why two timings of one thing differ."""
INCOMPLETE = "incomplete"
"""Flag of a network that lost one of the kernels timed inside it."""
DISAGREEMENT = 1.1
"""Slowest over fastest source of one timing from which on they disagree."""

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


def _full_name(name: str) -> str:
    """Full name of a target; blank if it is malformed."""
    try:
        return str(parse_target(name))
    except InputError:
        return ""


_MILLISECONDS = Rule(
    f"must be a positive number of milliseconds up to {LONGEST_MS:g}", _is_positive
)
_COUNT = _or_blank(Rule("must be a whole number", lambda cells: cells.str.fullmatch("[0-9]{1,9}")))
_ANYTHING = Rule("", lambda cells: cells == cells)

REQUIRED = {
    "subject_kind": _one_of("op", "chain", "network", "probe"),
    "subject": _given("must name what was timed"),
    "target": Rule(
        "must be device/unit@runtime in lower case, with the unit cpu, gpu or ane, such as"
        " iphone-15/ane@coreml-ios18; of those of `palmette targets` the part after @ may be left",
        lambda cells: cells.map(_full_name) != "",
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
    "paced_ms": _or_blank(_MILLISECONDS),
    "thermal_before": _ANYTHING,
    "thermal_after": _ANYTHING,
    "power_mode": _ANYTHING,
    "os_build": _ANYTHING,
    "flags": _ANYTHING,
    "part_of": _ANYTHING,
    "family": _ANYTHING,
}
RULES = {**REQUIRED, **PASSPORT}
"""Column -> what its cells must be."""


@dataclass(frozen=True, slots=True)
class TimingTable:
    """Good rows of timing tables, and the rows that were put aside.

    `rows` has all columns of `RULES`; `target` is the full name, milliseconds are floats (NaN where
    blank), everything else text. Paths of op lists, relative to the table in the file, are relative
    to the current folder here.
    """

    rows: pd.DataFrame
    quarantined: tuple[BadRow, ...]


def read_timings(path: Path) -> pd.DataFrame:
    """Timings of a CSV file, all of them good: the rows of `read_timing_tables`.

    Raises:
        InputError: as there, or a row against a rule; the message counts the others.
    """
    table = read_timing_tables([path])
    if table.quarantined:
        more = len(table.quarantined) - 1
        raise InputError(f"{table.quarantined[0]}" + (f" (and {more} more)" if more else ""))
    return table.rows


def read_timing_tables(paths: Sequence[Path]) -> TimingTable:
    """Timings of CSV files together; bad rows are put aside one by one.

    Put aside are rows with a cell against its rule, of an unknown network or an op or chain that
    cannot be, and timings of one thing by one source that contradict each other (`MOST_SPREAD`).

    Raises:
        InputError: unreadable file, missing or unknown column, no rows at all, or none that is
            good; the message names file, row (the header is row 1), column, rule and value.
    """
    bad: list[BadRow] = []
    frame = pd.concat([_read(path, bad) for path in paths], ignore_index=True)
    for check in (wrong_subjects, contradicting):
        reasons = check(frame)
        bad += _bad_rows(frame, reasons)
        frame = frame.drop(index=list(reasons))
    order = {str(path): place for place, path in enumerate(paths)}
    bad.sort(key=lambda row: (order[row.file], row.row))
    expect(len(frame) > 0, f"{bad[0]} (and {len(bad) - 1} more; no row is good)" if bad else "")
    hurt = {(row.target, row.part_of) for row in bad}
    whole = frame[frame["subject_kind"] == "network"]
    names = zip(whole.index, whole["target"], whole["subject"], strict=True)
    lost = [place for place, target, name in names if hurt & {(target, name), ("", name)}]
    frame.loc[lost, "flags"] = (frame.loc[lost, "flags"] + " " + INCOMPLETE).str.strip()
    return TimingTable(frame[list(RULES)].reset_index(drop=True), tuple(bad))


def conflicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Timings that two sources, or two passports of one, disagree about by over `DISAGREEMENT`.

    Columns: target, subject, low_ms, low_source, high_ms, high_source, differs, ratio; worst first.
    `differs` has the columns of `TELLING` in which the passports of the two differ, each with both
    cells, such as `os_build 20G75 and 22B91`; blank if only the sources do.
    """
    telling = [name for name in TELLING if name in rows]
    thing = ["target", "subject_kind", "subject"]
    alike = rows.groupby([*thing, "source", *telling], sort=True)
    medians = alike["latency_ms"].median().reset_index()
    found = []
    for (target, _, subject), group in medians.groupby(thing):
        if len(group) == 1:
            continue
        by_ms = group.sort_values("latency_ms").to_dict("records")
        low, high = by_ms[0], by_ms[-1]
        differs = ", ".join(
            f"{name} {low[name] or '-'} and {high[name] or '-'}"
            for name in telling
            if low[name] != high[name]
        )
        ends = [cell for end in (low, high) for cell in (end["latency_ms"], end["source"])]
        found.append((str(target), str(subject), *ends, differs))
    columns = ["target", "subject", "low_ms", "low_source", "high_ms", "high_source", "differs"]
    table = pd.DataFrame(found, columns=columns)
    table["ratio"] = table["high_ms"] / table["low_ms"]
    worst = table[table["ratio"] > DISAGREEMENT].sort_values("ratio", ascending=False)
    return worst.reset_index(drop=True)


def _read(path: Path, bad: list[BadRow]) -> pd.DataFrame:
    """Rows of a file that keep the rules of the columns; `file` and `row` say whence they are."""
    table = read_csv(path)
    reasons = _failures(table, str(path))
    table = table.reindex(columns=list(RULES), fill_value="").assign(file=str(path))
    table["row"] = table.index
    table["target"] = table["target"].map(_full_name)
    bad += _bad_rows(table, reasons)
    table = table.drop(index=list(reasons))
    lists = (table["subject_kind"] == "network") & table["subject"].str.endswith(".csv")
    table.loc[lists, "subject"] = [str(path.parent / name) for name in table.loc[lists, "subject"]]
    times = [name for name in RULES if name.endswith("_ms")]
    table[times] = table[times].apply(lambda cells: pd.to_numeric(cells, errors="coerce"))
    return table


def _bad_rows(table: pd.DataFrame, reasons: Mapping[int, str]) -> list[BadRow]:
    """Rows of a table by their index, with the reasons."""
    rows = table.loc[list(reasons), ["file", "row", "subject", "part_of", "target"]]
    columns = zip(*(rows[name].tolist() for name in rows), reasons.values(), strict=True)
    return [BadRow(file, row, what, why, whole, on) for file, row, what, whole, on, why in columns]


def _failures(table: pd.DataFrame, where: str) -> dict[int, str]:
    """First thing in each row that is against a rule: row number -> words.

    Raises:
        InputError: a column is missing or unknown, or there are no rows.
    """
    import pandera.pandas as pa  # slow to import

    columns = {
        name: pa.Column(str, pa.Check(rule.holds, error=rule.text), required=name in REQUIRED)
        for name, rule in RULES.items()
    }
    found: dict[int, str] = {}
    try:
        pa.DataFrameSchema(columns, strict=True).validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        _expect_columns(error.failure_cases, where)
        for failure in error.failure_cases.itertuples():
            words = f"{failure.column} {failure.check}, got {failure.failure_case!r}"
            found.setdefault(int(failure.index), words)
    expect(len(table) > 0, f"{where}: the table has no rows")
    return found


def _expect_columns(failures: Any, where: str) -> None:
    for check, text in (
        ("column_in_dataframe", "column '{}' is missing; a timing table needs {}"),
        ("column_in_schema", "unknown column '{}'; known: {}"),
    ):
        names = failures.loc[failures["check"] == check, "failure_case"].tolist()
        known = REQUIRED if check == "column_in_dataframe" else RULES
        expect(not names, f"{where}: {text.format((names or [''])[0], ', '.join(known))}")


def wrong_subjects(frame: pd.DataFrame) -> dict[int, str]:
    """Rows whose subject cannot be read: place -> words."""
    from palmette.latency.chains import Chain
    from palmette.latency.suite.probes import Probe

    inside = set(zip(frame["target"], frame["part_of"], strict=True))
    readers: dict[str, Callable[[str], object]] = {
        "op": kernel_from_text,
        "chain": Chain.from_text,
        "network": network_ops,
        "probe": Probe.from_text,
    }
    said: dict[tuple[str, str], str] = {}
    reasons = {}
    columns = (frame[name] for name in ("subject_kind", "subject", "target"))
    for place, kind, subject, target in zip(frame.index, *columns, strict=True):
        if kind == "network" and (target, subject) in inside:
            continue
        if (kind, subject) not in said:
            said[kind, subject] = _complaint(readers[kind], subject)
        if said[kind, subject]:
            reasons[place] = f"subject: {said[kind, subject]}"
    return reasons


def _complaint(read: Callable[[str], object], subject: str) -> str:
    try:
        read(subject)
    except InputError as error:
        return str(error)
    return ""


def contradicting(frame: pd.DataFrame) -> dict[int, str]:
    """Rows that contradict others of the same source: place -> words."""
    columns = [frame[name] for name in ("target", "subject_kind", "subject", "source")]
    things = list(zip(*columns, strict=True))
    found = contradictions(things, frame["latency_ms"].tolist())
    return {int(frame.index[place]): f"latency_ms {words}" for place, words in found.items()}
