"""Op lists: networks as CSV files of ops, and the ops of anything that a timing names.

A file has the columns `op` (text of `palmette.space.Op`) and `count`. Those in `data/ops` were made
by `python -m palmette.latency.trace_networks`.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from palmette.latency.tables import read_csv
from palmette.space import ZOO, Architecture, InputError, Op, load
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.spelling import did_you_mean

COLUMNS = ("op", "count")
SHIPPED = files("palmette.latency") / "data" / "ops"


def read_op_list(path: Path) -> tuple[Op, ...]:
    """Ops of an op-list file, repeated as often as their count says.

    Raises:
        InputError: missing column, unreadable op, a count that is not a positive integer; the
            message names file and row.
    """
    table = read_csv(path)
    for column in COLUMNS:
        expect(column in table, f"{path}: column '{column}' is missing; it needs op and count")
    expect(len(table) > 0, f"{path}: the list has no ops")
    ops: list[Op] = []
    rows = zip(table.index, table["op"].tolist(), table["count"].tolist(), strict=True)
    for row, text, count in rows:
        expect(
            re.fullmatch("[1-9][0-9]{0,4}", count) is not None,
            f"{path}: row {row}: count must be an integer from 1 to 99999, got '{count}'",
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


@functools.cache
def shipped_names() -> tuple[str, ...]:
    """Networks that palmette ships as op lists, beyond the zoo."""
    names = (item.name for item in SHIPPED.iterdir())
    return tuple(sorted(name.removesuffix(".csv") for name in names if name.endswith(".csv")))


def network_ops(subject: str) -> tuple[Op, ...]:
    """Ops of a timed network.

    Args:
        subject: zoo name, zoo name at a resolution in px (`mobilenet_v2@192x256`, height before
            width), name of a shipped op list (a network as it was timed), architecture text, or
            path of an op-list CSV.

    Raises:
        InputError: nothing of that name; the message has the nearest names.
    """
    if subject.endswith(".csv"):
        return read_op_list(Path(subject))
    architecture = named_architecture(subject)
    if architecture is not None:
        return architecture.ops()
    name, at, _ = subject.partition("@")
    if name in shipped_names() and not at:
        return _shipped_ops(name)
    expect(
        name not in shipped_names(),
        f"network '{subject}': only zoo networks come at other resolutions",
    )
    known = list(dict.fromkeys([*ZOO, *shipped_names()]))
    raise InputError(
        f"network '{subject}' is unknown; {did_you_mean(name, known)}give one of the {len(known)}"
        " known names (palmette zoo list, latency/data/ops), an architecture text, or an op-list"
        " .csv"
    )


def named_architecture(subject: str) -> Architecture | None:
    """The network that a timing names by its text or by its name in the zoo; else none.

    Raises:
        InputError: a text or a resolution that cannot be read.
    """
    if "|" in subject:
        return Architecture.from_text(subject)
    name, at, size = subject.partition("@")
    if name not in ZOO:
        return None
    return load(name).with_resolution(*_size(subject, size)) if at else load(name)


def _size(subject: str, size: str) -> tuple[int, int]:
    found = re.fullmatch("([0-9]{1,5})x([0-9]{1,5})", size)
    if found is None:
        raise InputError(f"network '{subject}': resolution must be HxW in px, got '{size}'")
    return int(found.group(1)), int(found.group(2))


@functools.cache
def _shipped_ops(name: str) -> tuple[Op, ...]:
    return read_op_list(Path(str(SHIPPED / f"{name}.csv")))
