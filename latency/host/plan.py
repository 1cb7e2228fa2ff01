"""What to time on this machine: by default the broad plan of a space, else a file's subjects."""

from __future__ import annotations

from pathlib import Path

from palmette.latency.planning.plan import Plan
from palmette.latency.planning.space_plan import plan_space
from palmette.latency.tables import read_csv
from palmette.latency.targets import parse_target
from palmette.space import SearchSpace
from palmette.space.errors import expect

KINDS = ("op", "chain", "network")
TARGET = "host/cpu@torch-eager"
"""Of the rows of `host_plan`; what is worth timing is the same for all of this machine's."""
MINUTES = 3.0


def host_plan(space: SearchSpace, *, minutes: float = MINUTES, seed: int = 0) -> Plan:
    """Default plan for a space: a broad one, whose predictor answers for other networks too.

    Reference networks are left out of its calibration networks, so that they can be predicted.

    Args:
        space: whose networks are to be predicted.
        minutes: as on one core of a laptop.
        seed: of the architectures that are drawn.
    """
    target = parse_target(TARGET)
    return plan_space(space, target, minutes, seed=seed, broad=True, known=False).plan


def read_subjects(path: Path) -> list[tuple[str, str]]:
    """Subjects of a CSV file with the columns subject_kind and subject, a timing table's say.

    Raises:
        InputError: unreadable, a missing column, no rows, an unknown kind or an empty subject; the
            message names file and row.
    """
    table = read_csv(path)
    for column in ("subject_kind", "subject"):
        expect(column in table, f"{path}: column '{column}' is missing")
    expect(len(table) > 0, f"{path}: there are no rows")
    rows = zip(table.index, table["subject_kind"].tolist(), table["subject"].tolist(), strict=True)
    subjects = []
    for row, kind, text in rows:
        expect(
            kind in KINDS,
            f"{path}: row {row}: subject_kind must be one of {', '.join(KINDS)}, got '{kind}'",
        )
        expect(text.strip() != "", f"{path}: row {row}: subject is empty")
        subjects.append((kind, text.strip()))
    return subjects
