"""A plan as a suite without packages: the synthetic phone needs only their names.

`sha256` is that of the text of kind and subject, since there is no package to take it of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.suite.manifest import Entry
from palmette.latency.synthetic import LABEL
from palmette.latency.synthetic.subjects import ops_to_run

EVERY = 20
"""Packages between two timings of the anchors."""


def manifest_of(plan: Plan, seed: int = 0) -> list[Entry]:
    """Manifest of a plan, as that of its suite.

    Args:
        plan: what to time.
        seed: of the order.

    Raises:
        InputError: a subject that cannot be read.
    """
    packages = {(row.kind, row.subject): at for at, row in reversed(list(enumerate(plan.rows)))}
    entries = {key: _entry(plan.rows[at], at) for key, at in packages.items()}
    return [
        replace(entries[row.kind, row.subject], position=place)
        for place, row in _ordered(plan.rows, seed)
    ]


def _ordered(rows: Sequence[Planned], seed: int) -> list[tuple[int, Planned]]:
    """Positions from 1 and rows: at random, with the anchors first, last and again and again."""
    once = list(dict.fromkeys(row for row in rows if row.role != "anchor"))
    anchors = list(dict.fromkeys(row for row in rows if row.role == "anchor"))
    shuffled = [once[at] for at in np.random.default_rng(seed).permutation(len(once))]
    order = [*anchors]
    for at in range(0, len(shuffled), EVERY):
        order += [*shuffled[at : at + EVERY], *anchors]
    return list(enumerate(order, start=1))


def _entry(row: Planned, number: int) -> Entry:
    ops, _ = ops_to_run(row.kind, row.subject)
    shapes = [f"1x{'x'.join(map(str, shape))}" for shape in ops[0].inputs]
    names = ["image"] if len(shapes) == 1 else [f"input{at}" for at in range(len(shapes))]
    return Entry(
        0,
        f"{LABEL}_{number + 1:04d}.mlpackage",
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
