"""What `palmette latency plan --run` does: picks of a run to time, and its front ranked anew."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.cli.interrupts import working
from palmette.cli.output import at_confidence, note, print_table, say

if TYPE_CHECKING:
    from palmette.search import Retimed


ROLES = ("pick", "neighbour", "anchor")


def plan_run(folder: Path, out: Path | None, as_json: bool) -> None:
    """Plan the picks of a run's front and their neighbours."""
    from palmette.search import finished_run, retime_plan

    with working("reading the run"):
        plan = retime_plan(finished_run(folder))
    if out is not None:
        plan.write(out)
    counts = {role: sum(row.role == role for row in plan.rows) for role in ROLES}
    if as_json:
        rows = [asdict(row) for row in plan.rows]
        written = None if out is None else str(out)
        print(json.dumps({"plan": written, "seconds": plan.seconds, **counts, "rows": rows}))
        return
    print(
        f"{counts['pick']} picks of the front and {counts['neighbour']} neighbours that may be"
        f" better, {counts['anchor']} of them timed again and again:"
        f" {plan.seconds / 60:.1f} minutes"
    )
    from palmette.cli.plan import say_plan_next
    from palmette.latency.targets import parse_target

    say_plan_next(parse_target(plan.rows[0].target), out)


def rank_anew(folder: Path, timings: Sequence[Path], as_json: bool) -> None:
    """Rank a run's front anew by timings of its networks."""
    from palmette.search import retime

    with working("ranking the front anew"):
        found = retime(folder, timings)
    for bad in found.quarantined:
        note(f"put aside: {bad}")
    for name in found.left_out:
        note(f"left out: {name}: no network of this run's space")
    if as_json:
        print(json.dumps(found.summary()))
    else:
        _print(found)


def _print(found: Retimed) -> None:
    """The networks that were timed, those that come and go, and what it means."""
    run = found.run
    rows = found.table.to_dict("records")
    shown = [row for row in rows if _told(row)]
    quantity = run.problem.latency.predictor.quantity_
    print_table(
        f"{run.config.target}, {run.config.budget_ms:g} ms ({quantity}): predicted and measured",
        ["network", "predicted", "measured", "ratio", "now", "at conf.", "top-1", "front"],
        [_cells(row) for row in shown],
    )
    say(at_confidence(run.config.confidence))
    if len(shown) < len(rows):
        print(f"{len(rows) - len(shown)} more that were not timed are in {run.folder.retimed.name}")
    for line in found.lines():
        say(line)
    (pick,) = (row for row in rows if row["pick"])
    print(f"the pick: {pick['architecture']}")
    print(f"written: {run.folder.retimed}")


def _told(row: dict[Any, Any]) -> bool:
    return bool(row["pick"] or row["pick_before"] or not math.isnan(row["measured_ms"]))


def _cells(row: dict[Any, Any]) -> list[str]:
    name = ("pick " if row["pick"] else "was pick " if row["pick_before"] else "") + row["id"][:8]
    timed = not math.isnan(row["measured_ms"])
    return [
        name,
        f"{row['predicted_ms']:.3g}",
        f"{row['measured_ms']:.3g}" if timed else "-",
        f"{row['measured_ms'] / row['predicted_ms']:.2f}" if timed else "-",
        f"{row['ms']:.3g}",
        f"{row['ms_at_confidence']:.3g}",
        f"{row['top1']:.1f}",
        row["fate"],
    ]
