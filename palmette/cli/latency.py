"""Commands on milliseconds: `palmette latency ...`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.door import check_tables
from palmette.cli.output import listed, note, print_table, say_next, status
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    import pandas as pd

    from palmette.latency import LatencyPredictor

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
    from palmette.latency import LATENCY, SUSTAINED, fit

    rows = given_timings(tables)
    with status("fitting"):
        predictors = fit(rows, target, like, lookup, SUSTAINED if sustained else LATENCY)
    if sustained:
        _print_without_sustained(rows, predictors)
    if target is not None and like is None:
        _print_few(predictors)
    for predictor in predictors.values():
        # what is published is in palmette's own table
        kept = timings and bool(tables)
        predictor.write(out if target else out / predictor.file_name, timings=kept)
    _print_fits(predictors, out, as_json)


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
    with status("fitting without each network in turn"):
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


FEW = 8
"""Networks up to which a known phone as the prior was better (`benchmarks/few_shot.py`)."""


def _print_few(predictors: dict[str, LatencyPredictor]) -> None:
    """Say where a known phone would help, of predictors by whole networks."""
    for name, predictor in predictors.items():
        count = len(predictor.held_out_errors_)
        if count <= FEW and not predictor.compared_:
            note(
                f"{name}: fitted to {count} networks alone; with so few a known phone as the prior"
                " (--like, such as iphone-13/ane) predicts better"
            )


def _print_without_sustained(rows: pd.DataFrame, predictors: dict[str, LatencyPredictor]) -> None:
    """Say which rows told nothing of the fitted targets."""
    for name in predictors:
        own = rows.loc[rows["target"] == name, "sustained_ms"]
        if own.isna().any():
            note(f"left out: {name}: {own.isna().sum()} of {len(own)} rows have no sustained_ms")


def _print_fits(predictors: dict[str, LatencyPredictor], out: Path, as_json: bool) -> None:
    rows = {
        name: {
            "networks": len(predictor.held_out_errors_),
            "mape": predictor.mape,
            "model": predictor.model_name,
            "quantity": predictor.quantity_,
            "compared": dict(predictor.compared_),
        }
        for name, predictor in predictors.items()
    }
    for predictor in predictors.values():
        for line in predictor.left_out_:
            note(f"left out: {line}")
    if as_json:
        print(json.dumps(rows))
        return
    print_table(
        f"Predictors written to {out}",
        ["target", "networks", "held-out error", "fitted"],
        [
            [name, str(len(p.held_out_errors_)), f"{p.mape:.1f} %", _fitted(p)]
            for name, p in predictors.items()
        ],
    )
    _say_next(predictors, out)


def _say_next(predictors: dict[str, LatencyPredictor], out: Path) -> None:
    """A search by the first predictor that can serve one."""
    from palmette.latency import LATENCY

    for name, predictor in predictors.items():
        if predictor.model_name == "lookup":
            continue
        file = out if out.suffix == ".json" else out / predictor.file_name
        budget = "" if predictor.quantity_ == LATENCY else f" --budget {predictor.quantity_}"
        say_next(
            f"palmette search --target {name} --predictor {shlex.quote(str(file))}{budget}"
            " --budget-ms MS",
            "MS: milliseconds that a network may take",
        )
        return


def _fitted(predictor: LatencyPredictor) -> str:
    """What was fitted; of op models, the error of each that was compared."""
    others = ", ".join(f"{name} {mape:.1f} %" for name, mape in predictor.compared_.items())
    return predictor.model_name + (f" (of {others})" if others else "")
