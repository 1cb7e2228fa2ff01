"""Op lists: networks as CSV files of ops, and the ops of anything that a timing names.

A file has the columns `op` (text of `palmette.space.Op`) and `count`. Those in `data/ops` were made
by `python -m palmette.latency.trace_networks`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pandas as pd

from palmette.space import ZOO, Architecture, InputError, Op, load
from palmette.space.errors import expect
from palmette.space.files import write_text

COLUMNS = ("op", "count")
SHIPPED = files("palmette.latency") / "data" / "ops"


def read_op_list(path: Path) -> tuple[Op, ...]:
    """Ops of an op-list file, repeated as often as their count says.

    Raises:
        InputError: missing column, unreadable op, a count that is not a positive integer; the
            message names file and row.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from None
    for column in COLUMNS:
        expect(column in table, f"{path}: column '{column}' is missing; it needs op and count")
    ops: list[Op] = []
    rows = zip(table["op"].tolist(), table["count"].tolist(), strict=True)
    for row, (text, count) in enumerate(rows, start=2):
        expect(
            count.isdigit() and 0 < int(count) <= 100_000,
            f"{path}: row {row}: count must be a positive integer, got '{count}'",
        )
        try:
            ops += [Op.from_text(text)] * int(count)
        except InputError as error:
            raise InputError(f"{path}: row {row}: {error}") from None
    return tuple(ops)


def write_op_list(path: Path, ops: Iterable[Op]) -> None:
    """Write ops as an op-list file, equal ops in one row, in order of first appearance."""
    counts = Counter(op.to_text() for op in ops)
    rows = [f"{text},{count}" for text, count in counts.items()]
    write_text(path, "\n".join([",".join(COLUMNS), *rows, ""]))


def shipped_names() -> list[str]:
    """Networks that palmette ships as op lists, beyond the zoo."""
    return sorted(item.name.removesuffix(".csv") for item in SHIPPED.iterdir())


@functools.cache
def network_ops(subject: str, folder: Path | None = None) -> tuple[Op, ...]:
    """Ops of a timed network.

    Args:
        subject: zoo name, name of a shipped op list, architecture text, or path of an op-list CSV.
        folder: where relative paths start; default the current folder.

    Raises:
        InputError: nothing of that name; the message lists the known networks.
    """
    if subject in ZOO:
        return load(subject).ops()
    if subject.endswith(".csv"):
        return read_op_list((folder or Path()) / subject)
    if "|" in subject:
        return Architecture.from_text(subject).ops()
    if subject in shipped_names():
        return read_op_list(Path(str(SHIPPED / f"{subject}.csv")))
    known = ", ".join([*ZOO, *shipped_names()])
    raise InputError(
        f"network '{subject}' is unknown; give the path of an op-list .csv, an architecture text,"
        f" or one of {known}"
    )
