"""Command on what to time first: `palmette latency plan`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palmette.cli.output import note, print_table, status
from palmette.cli.subjects import Json, PredictorFile

if TYPE_CHECKING:
    from palmette.latency.planning.choose import Proposal


def latency_plan(
    space_name: Annotated[str, typer.Option("--space", help="Preset or .toml.")],
    target: Annotated[
        str, typer.Option(help="What is to be timed: any device/unit@runtime, or an alias.")
    ],
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
    from palmette.latency.planning.explained import explain
    from palmette.latency.planning.space_plan import plan_space
    from palmette.latency.predictor import LatencyPredictor
    from palmette.latency.targets import parse_target
    from palmette.space import SearchSpace

    space = (
        SearchSpace.read(Path(space_name))
        if space_name.endswith(".toml")
        else SearchSpace.preset(space_name)
    )
    asked = parse_target(target)
    known = None if predictor is None else LatencyPredictor.read(predictor)
    with status("reading off what the space needs"):
        found = plan_space(space, asked, minutes, seed=seed, broad=broad, predictor=known)
    if out is not None:
        found.plan.write(out)
    if as_json:
        print(json.dumps(_answer(found, str(asked), out)))
        return
    title = f"To time for '{space.name}' on {asked}: {found.plan.seconds / 60:.1f} minutes"
    columns = ["what", "count", "min", "% of time", "why"]
    print_table(title, columns, explain(found))
    for line in _sums(found):
        print(line)
    if out is None:
        note("no --out: the plan was not written")


def _answer(found: Proposal, target: str, out: Path | None) -> dict[str, object]:
    rows = found.plan.rows
    return {
        "plan": None if out is None else str(out),
        "target": target,
        "seconds": found.plan.seconds,
        "covered": found.covered,
        "guessed": found.guessed,
        "more": [asdict(more) for more in found.more],
        "rows": [asdict(row) for row in rows],
    }


def _sums(found: Proposal) -> list[str]:
    """What the plan stands for, and what further minutes would add."""
    guess = "guessed, as no predictor is known" if found.guessed else "predicted"
    lines = [
        f"stands for {found.covered:.1%} of the time of the space's networks ({guess}): kernels"
        " that are timed, or like one that is"
    ]
    for more in found.more:
        lines.append(
            f"{more.minutes:g} minutes more: {more.ops} ops, {more.blocks} blocks as chains,"
            f" {more.networks} networks; stands for {more.covered:.1%}"
        )
    return lines if found.more else [*lines, "further minutes add nothing: all of it is planned"]
