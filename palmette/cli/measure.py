"""`palmette latency measure`: timing this machine, a Mac through Core ML, or a phone beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.output import counting, note
from palmette.cli.subjects import Json


def latency_measure(
    target: Annotated[str, typer.Option(help="This machine: such as host/cpu@torch-eager.")],
    out: Annotated[Path, typer.Option(help="Timing table to write; rounds are kept beside it.")],
    space_name: Annotated[
        str, typer.Option("--space", help="Time what this space needs: preset or .toml.")
    ] = "mobilenet_v2",
    subjects: Annotated[
        Path | None,
        typer.Option(help="Time these instead: CSV with the columns subject_kind and subject."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often everything is timed.")] = 24,
    threads: Annotated[int, typer.Option(help="Of the runtime; as many cores are pinned.")] = 1,
    seed: Annotated[int, typer.Option(help="Of what is drawn and of the order.")] = 0,
    as_json: Json = False,
) -> None:
    """Time ops, chains and networks on this machine; interrupted, it goes on."""
    from palmette.latency.host.measure import measure
    from palmette.latency.host.plan import host_plan, read_subjects
    from palmette.space import SearchSpace

    if subjects is None:
        space = (
            SearchSpace.read(Path(space_name))
            if space_name.endswith(".toml")
            else SearchSpace.preset(space_name)
        )
        chosen = host_plan(space, seed=seed).subjects
    else:
        chosen = read_subjects(subjects)
    try:
        with counting() as tell:
            found = measure(
                target, chosen, out, rounds=rounds, threads=threads, seed=seed, progress=tell
            )
    except KeyboardInterrupt:
        note("interrupted; the same command goes on")
        raise typer.Exit(130) from None
    for (kind, text), reason in found.refused.items():
        note(f"left out: {kind} {text}: {reason}")
    answer = {"table": str(out), "rows": len(found.table), "left_out": len(found.refused)}
    print(json.dumps(answer) if as_json else f"{out}: {answer['rows']} timings")
