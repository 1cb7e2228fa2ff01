"""The synthetic phone: `palmette latency synthetic`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.interrupts import interruptible, tell_repeatable
from palmette.cli.output import counting, note
from palmette.cli.subjects import Json


def synthetic(
    suite: Annotated[
        Path, typer.Argument(metavar="SUITE", help="Folder of a suite, or the .csv of a plan.")
    ],
    out: Annotated[Path, typer.Option(help="Results to write, as our app does.")],
    units: Annotated[
        list[str] | None,
        typer.Option(help="Compute units to ask for, such as cpuAndNeuralEngine (the default)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of a plan, and of the noise.")] = 0,
    as_json: Json = False,
) -> None:
    """Time a suite or a plan on a made-up phone whose truth is known; for practice, not claims."""
    from palmette.latency.planning.plan import Plan
    from palmette.latency.suite.manifest import MANIFEST, read_manifest, write_manifest
    from palmette.latency.synthetic.planned import manifest_of
    from palmette.latency.synthetic.results import DEFAULT_UNITS, rows_done, write_results
    from palmette.space.errors import expect

    expect(out.suffix == ".csv", f"--out: must be a .csv file, got {out}")
    if suite.is_dir():
        entries = read_manifest(suite)
    else:
        entries = manifest_of(Plan.read(suite), seed)
        rows_done(entries, out, seed)
        expect(
            not (out.parent / MANIFEST).exists() or read_manifest(out.parent) == entries,
            f"{out.parent / MANIFEST}: is of another suite; name another folder",
        )
        write_manifest(out.parent, entries)
    with interruptible(tell_repeatable), counting() as tell:
        found = write_results(entries, out, units=units or DEFAULT_UNITS, seed=seed, progress=tell)
    note("synthetic: a made-up phone, good for practice and tests; never quote its milliseconds")
    answer = asdict(found) | {"results": str(found.results)}
    print(json.dumps(answer) if as_json else f"{out}: {found.rows} rows, {found.failed} failed")
