"""Networks whose kernels were timed inside them, from a phone's files in a foreign form.

The files are those that the import maps `mobile_ml_ops` and `mobile_ml_networks` fit, and one that
groups networks into families.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palmette.latency.foreign.importing import import_timings
from palmette.latency.foreign.maps import find_map
from palmette.latency.per_op.kernels import KernelTable, kernel_from_text
from palmette.latency.per_op.network_cost import TimedNetworks
from palmette.latency.timings import INCOMPLETE
from palmette.space.errors import expect

TARGET = "any-phone/gpu@any-runtime"
"""Of all rows: no score depends on it."""
FOLDS = 6
"""Of whole families of networks that are held out."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Networks to score, their names, and a line for all that was put aside or left out."""

    networks: TimedNetworks
    names: tuple[str, ...]
    put_aside: tuple[str, ...]


def read(ops: Path, networks: Path, families: Path) -> Loaded:
    """Networks with all their kernels from the three files.

    Raises:
        InputError: a file breaks a rule, the files are of two devices, or fewer than `FOLDS`
            families remain.
    """
    sources = [(ops, find_map("mobile_ml_ops")), (networks, find_map("mobile_ml_networks"))]
    imported = import_timings(sources, families, TARGET)
    rows = imported.rows[imported.rows["part_of"] != ""]
    whole = imported.rows[imported.rows["subject_kind"] == "network"]
    ms = dict(zip(whole["subject"], whole["latency_ms"].astype(float), strict=True))
    family = dict(zip(rows["part_of"], rows["family"], strict=True))
    family |= dict(zip(whole["subject"], whole["family"], strict=True))
    timed_inside = set(rows["part_of"])
    lost = set(rows.loc[rows["flags"].str.contains(INCOMPLETE), "part_of"])
    left_out, usable = [], []
    for name in sorted(family.keys() - lost):  # those are among the notes of the import
        has = {"ops": name in timed_inside, "ms": name in ms, "family": family[name] != ""}
        lacks = " and no ".join(what for what, given in has.items() if not given)
        left_out += [f"{name}: left out: no {lacks}"] if lacks else []
        usable += [] if lacks else [name]
    count = len({family[name] for name in usable})
    expect(count >= FOLDS, f"{ops}: {FOLDS} folds need as many families, got {count}")
    place = {name: at for at, name in enumerate(usable)}
    chosen = rows[rows["part_of"].isin(usable)]
    timed = TimedNetworks(
        KernelTable.of([kernel_from_text(text) for text in chosen["subject"]]),
        chosen["latency_ms"].to_numpy(dtype=np.float64),
        np.array([place[name] for name in chosen["part_of"]]),
        np.array([ms[name] for name in usable]),
        tuple(family[name] for name in usable),
    )
    put_aside = (*map(str, imported.left_out), *imported.notes, *left_out)
    return Loaded(timed, tuple(usable), put_aside)
