"""The command that measures the winners of a search anew: `palmette confirm`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from palmette.cli.door import check_run
from palmette.cli.interrupts import interruptible, tell_repeatable
from palmette.cli.output import print_table, say, say_next
from palmette.cli.subjects import Json


def confirm(
    run: Annotated[Path, typer.Argument(help="Folder of a search by trainings.")],
    winners: Annotated[int, typer.Option(help="The pick, and its nearest on the front.")] = 5,
    seeds: Annotated[int, typer.Option(help="Fresh trainings of each.")] = 3,
    workers: Annotated[int | None, typer.Option(help="Processes that measure.")] = None,
    ray: Annotated[str | None, typer.Option(help="Address of a Ray cluster, or auto.")] = None,
    gpus: Annotated[float, typer.Option("--gpus-per-trial", help="On Ray.")] = 0.0,
    cpus: Annotated[float, typer.Option("--cpus-per-trial", help="On Ray.")] = 1.0,
    timeout_s: Annotated[float | None, typer.Option("--timeout", help="Seconds a trial.")] = None,
    storage: Annotated[str | None, typer.Option(help="Database of the trials, a URL.")] = None,
    as_json: Json = False,
) -> None:
    """Train the winners of a search anew with fresh seeds, and choose the pick by these."""
    from palmette.search.compute import Compute
    from palmette.space.errors import expect_some

    check_run(run, several=True)
    expect_some("--winners", winners)
    expect_some("--seeds", seeds)
    compute = Compute(workers, ray, storage, None, gpus, cpus, timeout_s)
    from palmette.cli.progress import shown
    from palmette.search.confirmed_front import confirm_front

    with interruptible(tell_repeatable), shown() as told:
        found = confirm_front(run, winners=winners, seeds=seeds, compute=compute, told=told)
    answer = found.summary()
    if as_json:
        print(json.dumps(answer))
        return
    time = found.run.problem.time_columns[0]
    rows = [
        [
            f"{'pick' if row['pick'] else 'front'} {row['id'][:8]}",
            f"{row[time]:.3g}",
            f"{row['top1']:.2f}",
            "-" if row["confirmed_top1"] is None else f"{row['confirmed_top1']:.2f}",
            "-" if row["confirmed_se"] is None else f"{row['confirmed_se']:.2f}",
            str(row["confirmed_seeds"]),
        ]
        for row in answer["networks"]
    ]
    print_table(
        "trained anew with seeds that nothing was selected by",
        ["network", time, "won by", "fresh mean", "standard error", "seeds"],
        rows,
    )
    for line in found.confirmed.words():
        say(line)
    print(f"the pick: {answer['pick']}")
    say_next(f"palmette report {shlex.quote(str(run))}", "how sure this is, on a page")
