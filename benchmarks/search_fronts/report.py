"""All cells and the enumerated space in turn: rows as they come, and what they amount to."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from palmette.search.problem import SearchProblem
from palmette.space.files import write_text
from search_fronts import cells, enumerated
from search_fronts.additive import exact_front
from search_fronts.cells import Row

ENUMERATED = "enumerated"
"""Name of the enumerated space in the rows."""


def measure(
    evaluations: int,
    rows_file: Path,
    spaces: Sequence[str] = cells.SPACES,
    targets: Sequence[str] = cells.TARGETS,
    seeds: Sequence[int] = cells.SEEDS,
    judged: SearchProblem | None = None,
) -> dict[str, Any]:
    """Metrics of all cells with up to a number of evaluations; the rows go to a CSV file.

    `judged` is the problem that is enumerated; None for `enumerated.posed()`.
    """
    steps = _up_to(cells.STEPS, evaluations)
    found: list[Row] = []
    about = []
    for space in spaces:
        for target in targets:
            problem = cells.cell(space, target)
            exact = exact_front(problem)
            new = list(cells.rows((space, target), problem, exact, steps, seeds))
            found += new
            about.append(_about(space, target, problem.space.size, len(exact), new))
            _tell(about[-1])
            write_text(rows_file, _table(found))
    by_enumeration, all_codes = _enumerated(
        judged or enumerated.posed(), _up_to(enumerated.STEPS, evaluations), seeds
    )
    write_text(rows_file, _table(found + by_enumeration))
    last = [row for row in found if row.search == "ours" and row.step == evaluations]
    worst = cells.worst(last)
    return {
        "hypervolume_ratio_3m": worst.hypervolume_ratio,
        "evaluations": evaluations,
        "mean": sum(row.hypervolume_ratio for row in last) / len(last),
        "worst_cell": asdict(worst),
        "curve": cells.curve(found),
        "cells": about,
        ENUMERATED: {**all_codes, "curve": cells.curve(by_enumeration)},
    }


def _enumerated(
    problem: SearchProblem, steps: Sequence[int], seeds: Sequence[int]
) -> tuple[list[Row], dict[str, Any]]:
    exact, feasible = enumerated.enumerated_front(problem)
    name = (ENUMERATED, problem.latency.predictor.model_.target.alias)
    found = list(cells.rows(name, problem, exact, steps, seeds))
    about = _about(*name, problem.space.size, len(exact), found)
    _tell(about)
    return found, {**about, "feasible": feasible, "budget_ms": problem.limits.budget_ms}


def _up_to(steps: Sequence[int], evaluations: int) -> list[int]:
    """The steps below a number of evaluations, and that number."""
    return [step for step in steps if step < evaluations] + [evaluations]


def _about(
    space: str, target: str, size: int, exact_points: int, found: Sequence[Row]
) -> dict[str, Any]:
    own = [row for row in found if row.search == "ours"]
    last = max(row.step for row in own)
    least = cells.worst([row for row in own if row.step == last]).hypervolume_ratio
    return {
        "space": space,
        "target": target,
        "size": size,
        "exact_points": exact_points,
        "lowest": least,
    }


def _tell(about: dict[str, Any]) -> None:
    print(
        f"{about['space']:<14}{about['target']:<16}{about['size']:>9.2g} networks"
        f"{about['exact_points']:>6} on the front, lowest of ours {about['lowest']:.6f}",
        flush=True,
    )


def _table(found: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in found:
        writer.writerow({**asdict(row), "seconds": f"{row.seconds:.3f}"})
    return text.getvalue()


def show(metrics: dict[str, Any]) -> None:
    """Print the curves."""
    for name, curve in (
        ("all cells", metrics["curve"]),
        ("enumerated, every network judged", metrics[ENUMERATED]["curve"]),
    ):
        print(f"{name:<34}{'step':>10}{'mean':>10}{'lowest':>10}{'evaluations':>13}{'seconds':>9}")
        for row in curve:
            print(
                f"  {row['search']:<32}{row['step']:>10,}{row['mean']:>10.6f}"
                f"{row['lowest']:>10.6f}{row['evaluations']:>13,.0f}{row['seconds']:>9.2f}"
            )
