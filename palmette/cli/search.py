"""The main job: `palmette search`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from palmette.cli.output import print_table
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    from palmette.search import Run

COMPUTE = ("workers", "ray", "gpus", "cpus", "timeout_s", "storage")
"""Parameters that say where trials run: a run that goes on may take others."""


def search(
    context: typer.Context,
    target: Annotated[str | None, typer.Option(help="Such as iphone-13/ane.")] = None,
    budget_ms: Annotated[float | None, typer.Option(help="Milliseconds of one image.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    space_name: Annotated[str, typer.Option("--space", help="Preset or .toml.")] = "mobilenet_v2",
    confidence: Annotated[float, typer.Option(help="That the budget is kept.")] = 0.8,
    budget: Annotated[
        Literal["latency", "sustained"],
        typer.Option(help="What the budget is of; sustained: a warm phone, needs --predictor."),
    ] = "latency",
    params_m: Annotated[float, typer.Option(help="Most parameters, millions.")] = float("inf"),
    macs_m: Annotated[float, typer.Option(help="Most MACs, millions.")] = float("inf"),
    lam: Annotated[float, typer.Option(help="Standard deviations off the accuracy.")] = 0.5,
    recipe: Annotated[str | None, typer.Option(help="Training recipe.")] = None,
    evaluations: Annotated[int, typer.Option(help="Networks to evaluate.")] = 1_000_000,
    shortlist: Annotated[int, typer.Option(help="Networks that become trials.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    extrapolate: Annotated[bool, typer.Option(help="Keep unidentified choices.")] = False,
    exportable: Annotated[
        bool, typer.Option("--exportable", help="Bar ops that the unit is known to refuse.")
    ] = False,
    predictor: Annotated[str | None, typer.Option(help="Predictor JSON of your own.")] = None,
    accuracy: Annotated[str, typer.Option(help="prior, supernet:FILE or proxy:RECIPE.")] = "prior",
    data: Annotated[str | None, typer.Option(help="Images that the latter two measure on.")] = None,
    trials: Annotated[int, typer.Option(help="Networks that are measured.")] = 200,
    sampler: Annotated[
        str, typer.Option(help="palmette, tpe, nsga2, nsga3, gp or random.")
    ] = "palmette",
    warm_start: Annotated[
        bool, typer.Option("--warm-start/--cold", help="Begin with the predictors' shortlist.")
    ] = True,
    workers: Annotated[int | None, typer.Option(help="Processes that measure.")] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster, or auto.")] = None,
    gpus: Annotated[float, typer.Option("--gpus-per-trial", help="On Ray.")] = 0.0,
    cpus: Annotated[float, typer.Option("--cpus-per-trial", help="On Ray.")] = 1.0,
    timeout_s: Annotated[float | None, typer.Option("--timeout", help="Seconds a trial.")] = None,
    storage: Annotated[str | None, typer.Option(help="Database of the trials, a URL.")] = None,
    study: Annotated[str | None, typer.Option(help="Its name there.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    export_pick: Annotated[bool, typer.Option("--export", help="Export the pick.")] = False,
    as_json: Json = False,
) -> None:
    """Find the most accurate networks inside a latency budget on one target."""
    from palmette import search as engine
    from palmette.cli.progress import shown
    from palmette.space.errors import InputError

    if resume is not None:
        expect_alone(context, "resume", "export_pick", "as_json", *COMPUTE)
    elif target is None or budget_ms is None:
        raise InputError("search: give --target and --budget-ms, or --resume FOLDER")
    else:
        out = out or engine.default_folder(target, budget_ms, budget)
    compute = engine.Compute(workers, ray, storage, study, gpus, cpus, timeout_s)
    try:
        with shown() as told:
            if resume is not None:
                run = engine.resume(resume, compute=compute, told=told)
            else:
                assert target is not None and budget_ms is not None and out is not None
                run = engine.run(
                    target,
                    budget_ms,
                    out,
                    compute=compute,
                    told=told,
                    space=space_name,
                    confidence=confidence,
                    params_m=params_m,
                    macs_m=macs_m,
                    lam=lam,
                    recipe=recipe,
                    evaluations=evaluations,
                    shortlist=shortlist,
                    seed=seed,
                    extrapolate=extrapolate,
                    exportable=exportable,
                    predictor=predictor,
                    accuracy=accuracy,
                    data=data,
                    trials=trials,
                    sampler=sampler,
                    warm_start=warm_start,
                    budget=budget,
                )
    except KeyboardInterrupt:
        print(f"interrupted; go on with: palmette search --resume {resume or out}", file=sys.stderr)
        raise typer.Exit(130) from None
    package = engine.export_pick(run) if export_pick else None
    if as_json:
        print(json.dumps({**engine.summary(run), "package": str(package) if package else None}))
    else:
        _print_run(run, package)


def expect_alone(context: typer.Context, *allowed: str) -> None:
    """Raise InputError if another option than these was given."""
    from palmette.space.errors import expect

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name == "COMMANDLINE"
        expect(
            not given or parameter.name in allowed,
            f"{parameter.opts[0]}: can't be changed when a run goes on; leave it out, or begin a"
            " new run",
        )


def _print_run(run: Run, package: Path | None) -> None:
    """The picks beside the reference networks, the guards, and where everything is."""
    from palmette.search import comparison, guard_lines

    rows = [
        [
            str(row["name"]),
            f"{row['ms']:.3g}",
            f"{row['ms_at_confidence']:.3g}",
            "-" if row["timed_ms"] is None else f"{row['timed_ms']:.3g}",
            f"{row['top1']:.1f}",
            "-" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['params_m']:.1f}",
            str(row["verdict"]),
        ]
        for row in comparison(run)
    ]
    config = run.config
    print_table(
        f"{config.target}, {'' if config.budget == 'latency' else config.budget + ' '}budget"
        f" {config.budget_ms:g} ms at confidence {config.confidence:g}",
        ["network", "ms", "at conf.", "timed", "top-1", "publ.", "M par.", "vs pick"],
        rows,
    )
    for line in guard_lines(run):
        print(line)
    print(f"the pick: {run.pick.to_text()}")
    print(f"run folder: {run.folder.path} ({len(run.front)} networks in front.csv, front.html)")
    if package is not None:
        print(f"Core ML package: {package}")
