"""Commands on milliseconds: `palmette latency ...`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.door import check_tables
from palmette.cli.fits import note_few, note_without_sustained, print_fits
from palmette.cli.interrupts import interruptible, tell_nothing, working
from palmette.cli.output import listed, note, print_table
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    import pandas as pd

latency = typer.Typer(help="Latency predictors.", no_args_is_help=True)

Tables = Annotated[
    list[Path] | None, typer.Argument(metavar="TABLE...", help="Timings; default the published.")
]


@latency.command("fit")
def latency_fit(
    out: Annotated[Path, typer.Option(help="Folder for the predictors; a file with --target.")],
    tables: Tables = None,
    target: Annotated[
        str | None, typer.Option(help="Fit this one alone: any device/unit@runtime of the tables.")
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="With --target: a related target that knows more networks.")
    ] = None,
    lookup: Annotated[
        bool, typer.Option("--lookup", help="Let look-up compete; no search can use it then.")
    ] = False,
    sustained: Annotated[
        bool, typer.Option("--sustained", help="Fit sustained_ms, of a phone that has got warm.")
    ] = False,
    timings: Annotated[
        bool,
        typer.Option(
            "--keep-timings/--drop-timings",
            help="Of networks, in the file: a search shows them. Published ones are not kept.",
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Fit predictors to tables of timings; one JSON file per target."""
    from palmette.latency.targets import parse_target
    from palmette.space.errors import expect

    expect(target is not None or like is None, "--like: needs --target, the one to be fitted")
    if target is None:
        expect(not out.exists() or out.is_dir(), f"--out: {out} is not a folder")
    else:
        expect(out.suffix == ".json", f"--out: with --target it is a .json file, got {out}")
        parse_target(target)
    check_tables(tables)
    with interruptible(tell_nothing):
        from palmette.latency import LATENCY, SUSTAINED, fit

        rows = given_timings(tables)
    with working("fitting"):
        predictors = fit(rows, target, like, lookup, SUSTAINED if sustained else LATENCY)
    if sustained:
        note_without_sustained(rows, predictors)
    if target is not None and like is None:
        note_few(predictors)
    for predictor in predictors.values():
        # what is published is in palmette's own table
        kept = timings and bool(tables)
        predictor.write(out if target else out / predictor.file_name, timings=kept)
    print_fits(predictors, out, as_json)


@latency.command("validate")
def latency_validate(
    tables: Tables = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for interactive figures (HTML).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score predictors on networks they never saw, beside baselines in the same folds."""
    check_tables(tables)
    from palmette.latency.validation.validate import report

    rows = given_timings(tables)
    with working("fitting without each network in turn"):
        found, metrics = report(rows, figures)
    for title, columns, cells in found:
        print_table(title, columns, cells, to_stderr=as_json)
    headline = {k: value for k, value in metrics.items() if not isinstance(value, dict)}
    print(json.dumps(metrics) if as_json else listed(headline))


def given_timings(tables: list[Path] | None) -> pd.DataFrame:
    """Good rows of tables; those put aside, and what sources disagree about, are printed."""
    from palmette.latency import conflicts, published_timings, read_timing_tables
    from palmette.latency.passports import marked_down

    if not tables:
        return published_timings()
    found = read_timing_tables(tables)
    for bad in found.quarantined:
        note(f"put aside: {bad}")
    if found.quarantined:
        good = len(found.rows)
        note(f"{good} of {good + len(found.quarantined)} rows are used; the others are put aside")
    for row in conflicts(found.rows).to_dict("records"):
        who = "sources" if row["low_source"] != row["high_source"] else "passports"
        note(
            f"{who} disagree: {row['subject']} on {row['target']}: {row['low_ms']:g} ms"
            f" ({row['low_source']}) and {row['high_ms']:g} ms ({row['high_source']})"
            + (f"; {row['differs']}" if row["differs"] else "")
        )
    down = int(marked_down(found.rows).sum())
    if 0 < down < len(found.rows):
        note(
            f"{down} of {len(found.rows)} timings count half beside others of their target: no"
            " passport, drift or low power"
        )
    return found.rows
