"""A plan as a suite without packages: the synthetic phone needs only their names.

`sha256` is that of the text of kind and subject, since there is no package to take it of.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.order import ANCHOR, run_order
from palmette.latency.synthetic import LABEL
from palmette.latency.synthetic.subjects import ops_to_run
from palmette.space.errors import expect


def manifest_of(plan: Plan, seed: int = 0) -> list[Entry]:
    """Manifest of a plan, as that of its suite.

    Args:
        plan: what to time.
        seed: of the order, 0 or more.

    Raises:
        InputError: a subject that cannot be read, or a negative seed.
    """
    expect(seed >= 0, f"seed must be 0 or more, got {seed}")
    rows = list(dict.fromkeys(replace(row, seconds=1.0) for row in plan.rows))
    subjects = dict.fromkeys((row.kind, row.subject) for row in rows)
    numbers = {subject: number for number, subject in enumerate(subjects, start=1)}
    entries = [_entry(row, numbers[row.kind, row.subject]) for row in rows]
    anchors = [entry for entry in entries if entry.role == ANCHOR]
    others = [entry for entry in entries if entry.role != ANCHOR]
    order = run_order(others, anchors, seed)
    return [replace(entry, position=at) for at, entry in enumerate(order, start=1)]


def _entry(row: Planned, number: int) -> Entry:
    ops, _ = ops_to_run(row.kind, row.subject)
    shapes = [f"1x{'x'.join(map(str, shape))}" for shape in ops[0].inputs]
    names = ["image"] if len(shapes) == 1 else [f"input{at}" for at in range(len(shapes))]
    return Entry(
        0,
        f"{LABEL}_{number:04d}.mlpackage",
        hashlib.sha256(f"{row.kind}\n{row.subject}".encode()).hexdigest(),
        row.kind,
        row.subject,
        row.role,
        row.target,
        ";".join(names),
        ";".join(shapes),
        "mlprogram",
        "iOS17",
    )
