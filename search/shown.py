"""A run as a notebook shows it: the pick, its diagram, and some of the front around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palmette.latency import parse_target
from palmette.search.expensive.fresh import fresh_words, is_confirmed
from palmette.search.objectives.goal import joined_name
from palmette.space.diagram import diagram
from palmette.space.markup import facts, sentence, table, titled

if TYPE_CHECKING:
    from palmette.search.run import Run

SHOWN = 10
"""Rows of the front at most, first and last ones among them, and the pick."""


def run_html(run: Run) -> str:
    """HTML of a finished run."""
    front = run.front.to_dict("records")
    picked = next(index for index, row in enumerate(front) if row["pick"])
    shown = _indices(len(front), picked)
    name = (
        joined_name(run.config.goals) if run.config.goals else parse_target(run.config.target).alias
    )
    time, at_confidence = run.problem.time_columns
    rows = [_cells(front[index], time, at_confidence) for index in shown]
    columns = ["", "network", time, f"{time} at {run.config.confidence:.0%}", "top-1", "80 %"]
    left = len(front) - len(shown)
    more = [sentence(f"{left} more in the front")] if left else []
    return titled(
        f"Search for {name}",
        facts(_facts(run, front[picked])),
        diagram(run.pick),
        table([*columns, "params_m", "macs_m", "resolution"], rows, bold=shown.index(picked)),
        *more,
    )


def _facts(run: Run, pick: dict[Any, Any]) -> dict[str, str]:
    time, at_confidence = run.problem.time_columns
    unit = "" if time == "load" else " ms"
    held = [f"{run.config.budget_ms:g}{unit} at confidence {run.config.confidence:g}"]
    if run.config.reward:
        held = [f"{run.config.budget_ms:g}{unit}, by the reward {run.config.reward}"]
    if run.config.goals:
        held = [f"{goal.alias} {goal.budget_ms:g} ms" for goal in run.config.goals]
    return {
        "budget": ", ".join(held),
        "pick": (
            f"{pick['id']}: {pick[time]:.3g}{unit} predicted ({pick[at_confidence]:.3g} at the"
            f" confidence), top-1 {pick['top1']:.1f} % ({pick['top1_low']:.1f} to"
            f" {pick['top1_high']:.1f})" + (f"; {fresh_words(pick)}" if is_confirmed(pick) else "")
        ),
        "rung of accuracy": run.problem.accuracy.rung,
        "front": f"{len(run.front)} networks",
        "folder": str(run.folder.path),
    }


def _indices(count: int, picked: int) -> list[int]:
    """Rows that are shown, spread over the front."""
    if count <= SHOWN:
        return list(range(count))
    spread = {round(i * (count - 1) / (SHOWN - 2)) for i in range(SHOWN - 1)}
    return sorted(spread | {picked})


def _cells(row: dict[Any, Any], time: str, at_confidence: str) -> list[str]:
    return [
        "pick" if row["pick"] else "tie" if row["tie"] else "",
        str(row["id"])[:8],
        f"{row[time]:.3g}",
        f"{row[at_confidence]:.3g}",
        f"{row['top1']:.1f}",
        f"{row['top1_low']:.1f} to {row['top1_high']:.1f}",
        f"{row['params_m']:.2f}",
        f"{row['macs_m']:.0f}",
        str(row["resolution"]),
    ]
