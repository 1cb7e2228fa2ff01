"""Command on what to time first: `palmette latency plan`."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.door import check_planned, check_run
from palmette.cli.interrupts import working
from palmette.cli.output import note, print_table, say, say_next
from palmette.cli.retime import plan_run, rank_anew
from palmette.cli.subjects import Json, PredictorFile, expect_only

if TYPE_CHECKING:
    from palmette.latency import Target
    from palmette.latency.planning.choose import Proposal


def latency_plan(
    context: typer.Context,
    space_name: Annotated[
        str | None, typer.Option("--space", help="Preset or .toml; with --target.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="What is to be timed: any device/unit@runtime, or an alias."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Instead: picks of the run in a folder, to check them.")
    ] = None,
    timings: Annotated[
        list[Path] | None,
        typer.Option(help="With --run: tables of these timings; the front is ranked anew."),
    ] = None,
    minutes: Annotated[float, typer.Option(help="That the device is to spend.")] = 20.0,
    out: Annotated[Path | None, typer.Option(help="CSV file for the plan.")] = None,
    broad: Annotated[
        bool, typer.Option("--broad", help="Also what reference networks need and the space lacks.")
    ] = False,
    predictor: PredictorFile = None,
    seed: Annotated[int, typer.Option(help="Of the architectures that are drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Say what to time first, so that a predictor gets good for a space soonest."""
    from palmette.space.errors import InputError, expect

    expect(run is not None or not timings, "--timings: needs --run, the folder of a search")
    if run is not None:
        _of_run(context, run, timings, out, as_json)
        return
    if space_name is None or target is None:
        raise InputError("plan: give --space and --target, or --run FOLDER")
    from palmette.latency.planning.minutes import expect_minutes, expect_seed
    from palmette.latency.targets import parse_target
    from palmette.space import SearchSpace

    expect_minutes(minutes)
    expect_seed(seed)
    space = (
        SearchSpace.read(Path(space_name))
        if space_name.endswith(".toml")
        else SearchSpace.preset(space_name)
    )
    asked = parse_target(target)
    check_planned(asked)
    from palmette.latency.planning.explained import explain, shown_by_id
    from palmette.latency.planning.space_plan import plan_space
    from palmette.latency.predictor import LatencyPredictor

    known = None if predictor is None else LatencyPredictor.read(predictor)
    with working("reading off what the space needs"):
        found = plan_space(space, asked, minutes, seed=seed, broad=broad, predictor=known)
    if out is not None:
        found.plan.write(out)
    if as_json:
        print(json.dumps(_answer(found, str(asked), out)))
        return
    title = f"To time for '{space.name}' on {asked}: {found.plan.seconds / 60:.1f} minutes"
    columns = ["what", "count", "min", "% of time", "why"]
    print_table(title, columns, explain(found))
    if shown_by_id(found):
        say("a network without a name has its size and its id; the plan's file has its text")
    for line in _sums(found):
        say(line)
    say_plan_next(asked, out)


def say_plan_next(target: Target, out: Path | None) -> None:
    """What follows a plan, once it is written: what its target is timed by."""
    from palmette.export.formats import RUNTIME_KINDS
    from palmette.latency.planning.seconds import HOST
    from palmette.latency.synthetic import is_synthetic

    if out is None:
        note("no --out: the plan was not written; give --out FILE.csv")
        return
    file = shlex.quote(str(out))
    if target.device == HOST:
        measure = f"palmette latency measure --target {target} --plan {file} --out table.csv"
        say_next(measure, "times this machine")
    elif is_synthetic(str(target)):
        say_next(f"palmette latency synthetic {file} --out results.csv", "of no real phone")
    elif target.runtime in RUNTIME_KINDS:
        say_next(f"palmette latency suite {file} --out suite", "packages to time")
    else:
        note(
            f"palmette times nothing on {target.runtime}: use its own tools, and write a table of"
            " timings (docs/timing.md)"
        )


def _of_run(
    context: typer.Context, run: Path, timings: list[Path] | None, out: Path | None, as_json: bool
) -> None:
    """Plan the picks of a run, or rank its front anew by their timings."""
    allowed = "timings" if timings else "out"
    when = "with --run and --timings" if timings else "with --run"
    expect_only(context, when, "run", allowed, "as_json")
    check_run(run, several=True)
    if timings:
        rank_anew(run, timings, as_json)
    else:
        plan_run(run, out, as_json)


def _answer(found: Proposal, target: str, out: Path | None) -> dict[str, object]:
    rows = found.plan.rows
    return {
        "plan": None if out is None else str(out),
        "target": target,
        "seconds": found.plan.seconds,
        "covered": found.covered,
        "untimed": found.untimed,
        "guessed": found.guessed,
        "more": [asdict(more) for more in found.more],
        "rows": [asdict(row) for row in rows],
    }


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sums(found: Proposal) -> list[str]:
    """What the plan stands for, and what further minutes would add."""
    guess = "guessed, as no predictor is known" if found.guessed else "predicted"
    lines = [
        f"stands for {_percent(found.covered)} of the time of the space's networks ({guess}):"
        " kernels that are timed, or like one that is"
    ]
    if found.untimed >= 5e-4:  # shown as 0.1 %
        lines.append(
            f"{_percent(found.untimed)} of that time is in kernels too short to be timed alone and"
            " in no chain of equal blocks; they are counted above as far as they are like a timed"
            " one, and whole networks scale the rest"
        )
    for more in found.more:
        lines.append(
            f"{more.minutes:g} minutes more: {more.ops} ops, {more.blocks} blocks as chains,"
            f" {more.networks} networks; stands for {_percent(more.covered)}"
        )
    if not found.more:
        lines.append("further minutes add nothing: all that can be timed is planned")
    return lines
