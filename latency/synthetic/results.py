"""Results of the synthetic phone as files: `results.csv` row by row, `placement.csv` beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.results import (
    COLUMNS,
    KEY,
    MODES,
    PLACEMENT_COLUMNS,
    REQUESTED_UNITS,
    placement_beside,
)
from palmette.latency.suite.row_file import RowFile
from palmette.latency.synthetic.app import Conditions, build_of, run_suite
from palmette.latency.synthetic.subjects import ops_to_run
from palmette.latency.synthetic.truth import truth
from palmette.latency.synthetic.units import UNIT_OF
from palmette.space.errors import InputError, expect
from palmette.space.files import write_text

DEFAULT_UNITS = ("cpuAndNeuralEngine",)
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many rows are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What a run of the synthetic phone wrote."""

    results: Path
    rows: int
    failed: int
    kept: int
    """Rows that were there before."""


def write_results(
    entries: Sequence[Entry],
    out: Path,
    *,
    units: Sequence[str] = DEFAULT_UNITS,
    modes: Sequence[str] = MODES,
    seed: int = 0,
    conditions: Conditions | None = None,
    progress: Progress | None = None,
) -> Timed:
    """Time a suite on the synthetic phone; rows that are there already are kept.

    Args:
        entries: of the suite's manifest.
        out: CSV file of the results; `placement_beside` it the plans are written.
        units: compute units to ask for, of `REQUESTED_UNITS`.
        modes: ways of calling, of `MODES`.
        seed: of the noise, 0 or more.
        conditions: what disturbs the timings.
        progress: told of every row.

    Raises:
        InputError: an unknown unit or seed, or a file there that holds something else.
    """
    for what, given, known in (("units", units, REQUESTED_UNITS), ("modes", modes, MODES)):
        expect(
            0 < len(given) == len(set(given)) and set(given) <= set(known),
            f"{what} must be of {', '.join(known)}, once each, got {', '.join(given) or 'none'}",
        )
    expect(0 <= seed < 2**32, f"seed must be from 0 to {2**32 - 1}, got {seed}")
    done = rows_done(entries, out, seed)
    others = sorted({row[KEY.index("units")] for row in done} - set(units))
    expect(not others, f"{out}: has rows of {', '.join(others)}; name another folder for others")
    _place(out, _table(PLACEMENT_COLUMNS, _placements(entries, units)))
    failed, count, total = 0, 0, len(entries) * len(units) * len(modes)
    file = RowFile(out, COLUMNS, synced=False)
    for row in run_suite(entries, units, modes, seed, conditions):
        count += 1
        failed += row["error"] != ""
        if tuple(str(row[name]) for name in KEY) not in done:
            file.append([row])
        if progress is not None:
            progress("time", count, total)
    return Timed(out, count, failed, len(done))


def rows_done(entries: Sequence[Entry], out: Path, seed: int = 0) -> set[tuple[str, ...]]:
    """Timings that a file of results has, after a row that was torn is cut off it.

    Raises:
        InputError: it holds something else than results of this suite and seed.
    """
    if not out.exists():
        return set()
    known = {(str(entry.position), entry.sha256): entry.file for entry in entries}
    rows = RowFile(out, COLUMNS, synced=False).rows
    for number, row in enumerate(rows, start=2):
        expect(
            known.get((row["position"], row["sha256"])) == row["file"]
            and row["os_build"] == build_of(seed),
            f"{out}: row {number}: is of another suite, seed or phone; name another file",
        )
    return {tuple(row[name] for name in KEY) for row in rows}


def _place(out: Path, text: str) -> None:
    """Write the placement beside results, over nothing else than itself."""
    path = placement_beside(out)
    expect(
        not path.exists() or path.read_bytes() == text.encode(),
        f"{path}: is of another suite, run or --units; name another folder",
    )
    write_text(path, text)


def _placements(entries: Sequence[Entry], units: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of `placement.csv`: an op of each package with each choice of units."""
    packages = {entry.file: entry for entry in entries}
    for file, entry in packages.items():
        for asked in units:
            try:
                ops, forced = ops_to_run(entry.subject_kind, entry.subject)
            except InputError:
                continue
            cost = truth(ops, UNIT_OF[asked], forced)
            for place, (op, ran) in enumerate(zip(ops, cost.units, strict=True)):
                yield {
                    "file": file,
                    "units": asked,
                    "place": place,
                    "operator": op.kind,
                    "output": f"{op.kind}_{place}",
                    "preferred": ran,
                    "supported": ";".join(sorted({ran, "cpu"})),
                    "cost": f"{cost.op_ms[place] / cost.busy_ms:.6f}",
                }


def _table(columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
