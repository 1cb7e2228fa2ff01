"""The main job: `palmette search`."""

from __future__ import annotations

import json
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from palmette.cli.door import check_new_run, check_run
from palmette.cli.goals import (
    EACH,
    asked_goals,
    check_export,
    check_names,
    check_options,
    default_folder,
    expect_asked,
    print_target_runs,
)
from palmette.cli.interrupts import interruptible, tell_interrupted
from palmette.cli.output import print_table, say, say_next
from palmette.cli.subjects import Json, MaybeTarget

if TYPE_CHECKING:
    from palmette.search import Run

INFINITE = float("inf")
COMPUTE = ("workers", "ray", "gpus", "cpus", "timeout_s", "storage")
"""Parameters that say where trials run: a run that goes on may take others."""
CONFIG = (
    "space",
    "confidence",
    "budget",
    "params_m",
    "macs_m",
    "package_mb",
    "peak_memory_mb",
    "precision",
    "lam",
    "recipe",
    "evaluations",
    "shortlist",
    "seed",
    "extrapolate",
    "exportable",
    "predictor",
    "accuracy",
    "data",
    "trials",
    "sampler",
    "warm_start",
    "halving",
    "epochs",
    "reward",
    "start",
)
"""Parameters that are fields of `SearchConfig`."""
LIMITS, ACCURACY, CHOOSING, SEVERAL, WHERE = (
    {"rich_help_panel": title}
    for title in (
        "What a network may cost",
        "Where accuracies come from",
        "How networks are chosen",
        "Several targets",
        "Where trials run and are kept",
    )
)


def search(
    context: typer.Context,
    target: MaybeTarget = None,
    budget_ms: Annotated[float | None, typer.Option(help="Milliseconds of one image.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    space: Annotated[str, typer.Option(help="Preset or .toml.")] = "mobilenet_v2",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in a folder.")] = None,
    export_pick: Annotated[bool, typer.Option("--export", help="Export the pick.")] = False,
    as_json: Json = False,
    confidence: Annotated[float, typer.Option(help="That the budget is kept.", **LIMITS)] = 0.8,
    budget: Annotated[
        Literal["latency", "sustained"],
        typer.Option(help="Of single calls, or of a warm phone (needs --predictor).", **LIMITS),
    ] = "latency",
    params_m: Annotated[float, typer.Option(help="Parameters, millions.", **LIMITS)] = INFINITE,
    macs_m: Annotated[float, typer.Option(help="MACs, millions.", **LIMITS)] = INFINITE,
    package_mb: Annotated[float, typer.Option(help="Core ML package.", **LIMITS)] = INFINITE,
    peak_memory_mb: Annotated[
        float, typer.Option(help="Activations alive at once.", **LIMITS)
    ] = INFINITE,
    precision: Annotated[
        str, typer.Option(help="Of weights: float16, int8, int4, or several of them.", **LIMITS)
    ] = "float16",
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Keep choices that timings don't show.", **LIMITS)
    ] = False,
    exportable: Annotated[
        bool, typer.Option("--exportable", help="Bar ops that the unit refuses.", **LIMITS)
    ] = False,
    predictor: Annotated[
        str | None, typer.Option(help="Predictor JSON of your own.", **LIMITS)
    ] = None,
    accuracy: Annotated[
        str,
        typer.Option(help="prior, supernet:FILE, proxy:RECIPE or function:FILE:NAME.", **ACCURACY),
    ] = "prior",
    data: Annotated[
        str | None, typer.Option(help="Images that it is measured on.", **ACCURACY)
    ] = None,
    lam: Annotated[
        float,
        typer.Option(
            help="Standard deviations taken off an estimate before networks are ranked.", **ACCURACY
        ),
    ] = 0.5,
    recipe: Annotated[
        str | None, typer.Option(help="Training recipe of the prior.", **ACCURACY)
    ] = None,
    evaluations: Annotated[
        int, typer.Option(help="Networks that the predictors see.", **CHOOSING)
    ] = 1_000_000,
    shortlist: Annotated[
        int | None,
        typer.Option(help="Of these, trials: 64, or a fifth of those measured.", **CHOOSING),
    ] = None,
    trials: Annotated[int, typer.Option(help="Networks that are measured.", **CHOOSING)] = 200,
    sampler: Annotated[
        str, typer.Option(help="palmette, tpe, nsga2, nsga3, gp or random.", **CHOOSING)
    ] = "palmette",
    warm_start: Annotated[
        bool, typer.Option("--warm-start/--cold", help="Measure the shortlist first.", **CHOOSING)
    ] = True,
    halving: Annotated[
        bool,
        typer.Option("--halving", help="Train the shortlist in rungs of epochs.", **CHOOSING),
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Of a whole training by a function.", **ACCURACY)
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help="mnasnet or mnasnet-hard, in place of a hard budget.", **CHOOSING),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Begin with the front.csv of another run.", **CHOOSING)
    ] = None,
    targets: Annotated[
        str | None, typer.Option(help="iphone-11/ane=6,iphone-xs/gpu=30 (ms).", **SEVERAL)
    ] = None,
    join: Annotated[
        Literal["each", "worst", "weighted", "best"],
        typer.Option(help="A front for each, or one; best: of one phone's units.", **SEVERAL),
    ] = "each",
    weights: Annotated[
        str | None, typer.Option(help="Of weighted: iphone-11/ane=2,iphone-xs/gpu=1.", **SEVERAL)
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="Keep all budgets at once with confidence.", **SEVERAL)
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that measure.", **WHERE)] = None,
    ray: Annotated[str | None, typer.Option(help="Ray cluster: auto, HOST:PORT.", **WHERE)] = None,
    gpus: Annotated[float, typer.Option("--gpus-per-trial", help="On Ray.", **WHERE)] = 0.0,
    cpus: Annotated[float, typer.Option("--cpus-per-trial", help="On Ray.", **WHERE)] = 1.0,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout", help="Seconds a trial.", **WHERE)
    ] = None,
    storage: Annotated[str | None, typer.Option(help="URL of a database.", **WHERE)] = None,
    study: Annotated[str | None, typer.Option(help="Name in the database.", **WHERE)] = None,
) -> None:
    """Find the most accurate networks inside a latency budget, on one target or on several."""
    if resume is not None:
        expect_alone(context, "resume", "export_pick", "as_json", *COMPUTE)
        check_run(resume, several=True)
    else:
        expect_asked(target, targets, budget_ms)
        check_names(target, targets, space, predictor, accuracy, data, recipe, start)
        if out is not None:
            check_new_run(out)
    from palmette import search as engine

    compute = engine.Compute(workers, ray, storage, study, gpus, cpus, timeout_s)
    options = {name: context.params[name] for name in CONFIG}
    goals = None
    if resume is None:
        goals = asked_goals(target, targets, budget_ms, weights, join, joint)
        check_options(goals, join, joint, target, budget_ms, options)
    from palmette.cli.progress import shown

    if export_pick:
        check_export(goals, join, resume)
    folder = resume or out or default_folder(goals, join, target, budget_ms, budget)
    several = goals is not None and join == EACH
    several = several or (resume is not None and engine.is_target_runs(resume))
    again = f"palmette search --resume {folder}"
    with interruptible(partial(tell_interrupted, folder, again)), shown() as told:
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
            print(f"Core ML package: {package} ({UNTRAINED})")


def _summary(run: Run, package: Path | None) -> dict[str, Any]:
    from palmette import search as engine

    return {**engine.summary(run), "package": str(package) if package else None}


UNTRAINED = "fresh weights, to be timed; train it, then palmette export --weights"


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
    from palmette.search.expensive.fresh import TOP1, confirmed_pick
    from palmette.search.report.next_steps import BELIEVE, steps

    time, at_confidence = run.problem.time_columns
    # networks of one's own have no published top-1, those of the zoo none of fresh seeds
    beside, column = ("fresh", TOP1) if confirmed_pick(run.front) else ("publ.", "published")
    rows = [
        [
            str(row["name"]),
            f"{row[time]:.3g}",
            f"{row[at_confidence]:.3g}",
            "-" if row["timed_ms"] is None else f"{row['timed_ms']:.3g}",
            f"{row['top1']:.1f}",
            "-" if row[column] is None else f"{row[column]:.1f}",
            f"{row['params_m']:.1f}",
            str(row["verdict"]).removesuffix(" budget"),  # it would break in a narrow terminal
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
        ["network", time, "at conf.", "timed", "top-1", beside, "M par.", "vs pick"],
        rows,
    )
    if any(row[-1] == "over" for row in rows):
        print("over: over the budget, as timed where it was, else at that confidence")
    for line in guard_lines(run):
        say(line)
    folder = shlex.quote(str(run.folder.path))
    if run.failures:
        say(f"{run.failures.words} (all reasons: palmette report {folder})")
    print(f"the pick: {run.pick.to_text()}")
    print(f"run folder: {run.folder.path} ({len(run.front)} networks in front.csv, front.html)")
    if package is not None:
        print(f"Core ML package: {package} ({UNTRAINED})")
    say_next(f"palmette report {folder}", "how sure this is, on a page")
    for what, command in steps(run.folder.path, run.problem, run.front):
        about, _, purpose = what.partition(": ")
        if about == BELIEVE:  # the page has all of them
            say_next(command, purpose)
            break
