"""The main job: `palmette search`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from palmette.cli.goals import EACH, goals_of, print_target_runs
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
    targets: Annotated[
        str | None, typer.Option(help="Several: iphone-11/ane=6,iphone-xs/gpu=30 (ms).")
    ] = None,
    join: Annotated[
        Literal["each", "worst", "weighted", "best"],
        typer.Option(help="Of several: a front for each, or one front; best: unit of one phone."),
    ] = "each",
    weights: Annotated[
        str | None, typer.Option(help="With --join weighted: iphone-11/ane=2,iphone-xs/gpu=1.")
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="Hold all budgets together at the confidence.")
    ] = False,
    reward: Annotated[
        str | None, typer.Option(help="mnasnet or mnasnet-hard: pick by it, no hard budget.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Networks to begin with: front.csv of another run.")
    ] = None,
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
    """Find the most accurate networks inside a latency budget, on one target or on several."""
    from palmette import search as engine
    from palmette.cli.progress import shown
    from palmette.space.errors import InputError, expect

    options: dict[str, Any] = {
        "space": space_name,
        "confidence": confidence,
        "params_m": params_m,
        "macs_m": macs_m,
        "lam": lam,
        "recipe": recipe,
        "evaluations": evaluations,
        "shortlist": shortlist,
        "seed": seed,
        "extrapolate": extrapolate,
        "exportable": exportable,
        "predictor": predictor,
        "accuracy": accuracy,
        "data": data,
        "trials": trials,
        "sampler": sampler,
        "warm_start": warm_start,
        "budget": budget,
        "reward": reward,
        "start": start,
    }
    goals = None
    if resume is not None:
        expect_alone(context, "resume", "export_pick", "as_json", *COMPUTE)
    elif targets is not None:
        expect(target is None, "search: give --target or --targets, not both")
        goals = goals_of(targets, budget_ms, weights, join, joint)
        out = out or engine.default_folder_of(goals, join)
    elif target is None or budget_ms is None:
        raise InputError(
            "search: give --target and --budget-ms, or --targets TARGET=MS,..., or --resume FOLDER"
        )
    else:
        expect(
            (join, weights, joint) == (EACH, None, False),
            "--join, --weights, --joint: belong to --targets",
        )
        out = out or engine.default_folder(target, budget_ms, budget)
    folder = resume or out
    assert folder is not None
    several = goals is not None and join == EACH
    several = several or (resume is not None and engine.is_target_runs(resume))
    compute = engine.Compute(workers, ray, storage, study, gpus, cpus, timeout_s)
    try:
        with shown() as told:
            how: dict[str, Any] = {"compute": compute, "told": told}
            if resume is not None and several:
                runs = engine.resume_targets(folder, **how)
            elif resume is not None:
                runs = [engine.resume(resume, **how)]
            elif goals is not None and join == "each":
                runs = engine.run_targets(goals, folder, **how, **options)
            elif goals is not None and join != "each":
                runs = [engine.run_joined(goals, folder, join=join, joint=joint, **how, **options)]
            else:
                assert target is not None and budget_ms is not None
                runs = [engine.run(target, budget_ms, folder, **how, **options)]
    except KeyboardInterrupt:
        print(f"interrupted; go on with: palmette search --resume {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    packages = [engine.export_pick(run) if export_pick else None for run in runs]
    if several:
        _answer_several(runs, packages, folder, as_json)
    elif as_json:
        print(json.dumps(_summary(runs[0], packages[0])))
    else:
        _print_run(runs[0], packages[0])


def _answer_several(
    runs: list[Run], packages: list[Path | None], folder: Path, as_json: bool
) -> None:
    if as_json:
        summaries = [_summary(*one) for one in zip(runs, packages, strict=True)]
        print(json.dumps({"folder": str(folder), "runs": summaries}))
        return
    print_target_runs(runs, str(folder))
    for package in packages:
        if package is not None:
            print(f"Core ML package: {package}")


def _summary(run: Run, package: Path | None) -> dict[str, Any]:
    from palmette import search as engine

    return {**engine.summary(run), "package": str(package) if package else None}


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

    time, at_confidence = run.problem.time_columns
    rows = [
        [
            str(row["name"]),
            f"{row[time]:.3g}",
            f"{row[at_confidence]:.3g}",
            "-" if row["timed_ms"] is None else f"{row['timed_ms']:.3g}",
            f"{row['top1']:.1f}",
            "-" if row["published"] is None else f"{row['published']:.1f}",
            f"{row['params_m']:.1f}",
            str(row["verdict"]),
        ]
        for row in comparison(run)
    ]
    config = run.config
    quantity = "" if config.budget == "latency" else f"{config.budget} "
    words = f"{config.target}, {quantity}budget {config.budget_ms:g} ms"
    if config.reward is not None:
        words = f"{config.target}, reward {config.reward} at {config.budget_ms:g} ms"
    print_table(
        f"{config.words if config.goals else words} at confidence {config.confidence:g}",
        ["network", time, "at conf.", "timed", "top-1", "publ.", "M par.", "vs pick"],
        rows,
    )
    for line in guard_lines(run):
        print(line)
    print(f"the pick: {run.pick.to_text()}")
    print(f"run folder: {run.folder.path} ({len(run.front)} networks in front.csv, front.html)")
    if package is not None:
        print(f"Core ML package: {package}")
