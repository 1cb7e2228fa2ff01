"""A plan: what to time for a target, one subject a row of a CSV file, the most useful first.

`role` says what a row is for. Whoever times a plan may stop after any row: rows stand in the order
in which they pay.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

from palmette.latency.tables import read_csv
from palmette.latency.targets import parse_target
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

KINDS = ("op", "chain", "network", "probe")
"""Of subjects, as in the timing table; a probe is a chain that is made to change units."""
ROLES = {
    "op": "prices an op or a kernel",
    "chain": "prices a block: the slope between two depths of it",
    "calibration": "a whole network that the sum of ops is calibrated on",
    "anchor": "timed again and again through the run, so that drift shows",
    "probe": "makes a change of unit happen, so that its cost shows",
    "pick": "a network that a search picked",
    "neighbour": "a network beside a pick, which may turn out to be better",
}
"""What a row is for."""
COLUMNS = ("subject_kind", "subject", "role", "target", "seconds")


@dataclass(frozen=True, slots=True)
class Planned:
    """A row of a plan."""

    kind: str
    subject: str
    role: str
    target: str
    """Full name of what it is to be timed on."""
    seconds: float
    """Thought to be spent on it on the device: loading, warming up, timing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to time, the most useful first."""

    rows: tuple[Planned, ...]

    @property
    def subjects(self) -> list[tuple[str, str]]:
        """(kind, text) of each thing, once."""
        return list(dict.fromkeys((row.kind, row.subject) for row in self.rows))

    @property
    def seconds(self) -> float:
        """Of all rows."""
        return sum(row.seconds for row in self.rows)

    def write(self, path: Path) -> None:
        """Write the CSV file, atomically."""
        import pandas as pd

        table = pd.DataFrame([astuple(row) for row in self.rows], columns=list(COLUMNS))
        write_text(path, table.to_csv(index=False, float_format="%.6g"))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read the CSV file.

        Raises:
            InputError: unreadable, a column missing, no rows, or a cell against its rule; the
                message names file, row, column, rule and value.
        """
        table = read_csv(path)
        missing = [name for name in COLUMNS if name not in table]
        expect(
            not missing,
            f"{path}: column '{', '.join(missing)}' is missing; a plan needs {', '.join(COLUMNS)}",
        )
        expect(len(table) > 0, f"{path}: the plan has no rows")
        cells = table[list(COLUMNS)].itertuples(name=None)
        return cls(tuple(_planned(f"{path}: row {row}", *texts) for row, *texts in cells))


def _planned(where: str, kind: str, subject: str, role: str, target: str, seconds: str) -> Planned:
    for column, value, known in (("subject_kind", kind, KINDS), ("role", role, ROLES)):
        expect(
            value in known,
            f"{where}: {column} must be one of {', '.join(known)}, got '{value}'",
        )
    expect(subject.strip() != "", f"{where}: subject is empty")
    try:
        spent = float(seconds)
    except ValueError:
        spent = -1.0
    expect(0 < spent < 1e6, f"{where}: seconds must be a positive number, got '{seconds}'")
    try:
        full_name = str(parse_target(target))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return Planned(kind, subject.strip(), role, full_name, spent)
