"""Commands on packages to be timed: `palmette latency suite`, and `probes` for what they say."""

from __future__ import annotations

import json
import math
import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from palmette.cli.interrupts import interruptible, tell_repeatable
from palmette.cli.output import counting, note, print_table, say_next
from palmette.cli.subjects import Json

if TYPE_CHECKING:
    from palmette.latency.suite.slopes import Figure

MOST_PROCESSES = 4
"""By default: large networks take 1.5 GB each."""


def latency_suite(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="CSV file of a plan.")],
    out: Annotated[Path, typer.Option(help="Folder for the packages; begun before, it goes on.")],
    mode: Annotated[
        list[str] | None,
        typer.Option(help="Of networks, beside bursts: sustained or paced; a minute a timing."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(help="That convert side by side; default one a core, at most 4.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order in which they are timed.")] = 0,
    as_json: Json = False,
) -> None:
    """Make the packages of a plan, and the manifest that an app times them by."""
    from palmette.space.errors import expect_some
    from palmette.space.files import expect_readable

    count = min(os.cpu_count() or 1, MOST_PROCESSES) if processes is None else processes
    expect_some("--processes", count)
    expect_readable(plan)
    from palmette.latency.planning.plan import Plan
    from palmette.latency.suite.write import write_suite

    rows = Plan.read(plan)
    with interruptible(tell_repeatable), counting() as tell:
        found = write_suite(rows, out, modes=mode or (), processes=count, seed=seed, progress=tell)
    for kind, subject, reason in found.left_out:
        note(f"left out: {kind} {subject}: {reason}")
    for subject in found.lone_chains:
        note(f"{subject}: has no chain of another depth, so that its block will not show")
    if found.settings != found.wanted:
        note(f"{out}/settings.json was there and stays; take it away to have the plan's")
    if not found.anchors:
        note("the plan has no anchors: how far the phone drifts during the run will not show")
    answer = {
        "suite": str(out),
        "packages": found.made + found.kept,
        "made": found.made,
        "kept": found.kept,
        "left_out": len(found.left_out),
        "timings": len(found.entries),
        "anchors": found.anchors,
        "units": list(found.settings.units),
        "seconds": found.seconds,
    }
    if as_json:
        print(json.dumps(answer))
        return
    print(
        f"{out}: {answer['packages']} packages ({found.kept} were there),"
        f" {answer['timings']} timings on {', '.join(found.settings.units)} in about"
        f" {found.seconds / 60:.0f} minutes, {answer['left_out']} left out"
    )
    folder = shlex.quote(str(out))
    say_next("palmette latency app --out timer", "the source of the app that times them, for a Mac")
    say_next(
        f"palmette latency import results.csv --suite {folder} --out table.csv",
        "of what the app wrote",
    )


def latency_probes(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="Tables of timings.")],
    as_json: Json = False,
) -> None:
    """Dispatch floors, blocks, changes of unit and drift, as chains, probes and anchors say."""
    from palmette.cli.latency import given_timings
    from palmette.latency.suite.slopes import chain_costs, drift, floors, transfer_costs, unmoved
    from palmette.space.errors import expect

    rows = given_timings(tables)
    chains, transfers, steady = chain_costs(rows), transfer_costs(rows), drift(rows)
    still = unmoved(rows)
    for one in still:
        note(f"{one.target}: {one.subject}: not counted as a change of units: {one.reason}")
    expect(
        bool(chains or transfers or steady),
        "the tables have no chain at two depths, no probes with their chain, and nothing that was"
        " timed twice",
    )
    answer: dict[str, list[dict[str, Any]]] = {
        "floors": [{"target": name, **_ms(one)} for name, one in floors(chains).items()],
        "blocks": [
            {"target": one.target, "block": one.chain.to_text(), **_ms(one.block)} for one in chains
        ],
        "transfers": [
            {
                "target": one.target,
                "chain": one.chain.to_text(),
                "with_op": one.transfer is None,
                **_ms(one.transfer or one.forced),
            }
            for one in transfers
        ],
        "unmoved": [asdict(one) for one in still],
        "drift": [{**asdict(one), "flagged": one.flagged} for one in steady],
    }
    if as_json:
        print(json.dumps(answer))
    else:
        _print(answer)


def _ms(figure: Figure) -> dict[str, float | None]:
    """Numbers of a figure; None where nothing tells."""
    return {key: value if math.isfinite(value) else None for key, value in asdict(figure).items()}


def _print(answer: dict[str, list[dict[str, Any]]]) -> None:
    """The tables that have rows; one target stands in the titles, for texts of blocks are long."""
    targets = {row["target"] for rows in answer.values() for row in rows if "target" in row}
    on = f" on {next(iter(targets))}" if len(targets) == 1 else ""
    for title, key, name in (
        ("What a call costs that runs nothing", "floors", ""),
        ("Blocks", "blocks", "block"),
        ("A change of units, there and back", "transfers", "chain"),
    ):
        columns = ["target", "ms", "80 % interval", name]
        cells = [
            [
                "" if on else row["target"],
                f"{row['ms']:.3g}" + (" with the op itself" if row.get("with_op") else ""),
                _interval(row),
                row[name] if name else "",
            ]
            for row in answer[key]
        ]
        if cells:
            print_table(f"{title}{on}", columns, cells)
    cells = [
        [
            "" if on else row["target"],
            str(row["times"]),
            f"{100 * (row['largest'] - 1):.1f} %" + (" drifted" if row["flagged"] else ""),
            f"{row['last_to_first']:.3f}",
            row["subject"],
        ]
        for row in answer["drift"]
    ]
    if cells:
        columns = ["target", "times", "off median", "last to first", "subject"]
        print_table(f"Timed again and again{on}", columns, cells)


def _interval(row: dict[str, Any]) -> str:
    if row["lower_ms"] is None:
        return "unknown: nothing was timed twice"
    return f"{row['lower_ms']:.3g} to {row['upper_ms']:.3g}"
