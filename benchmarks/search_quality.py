"""How much of the exact Pareto front our search finds, beside pymoo's and Optuna's NSGA-II.

The exact front of a space of 10^15 networks is known where both objectives are sums over stages:
`search_fronts/additive.py` says of what. The real prior is no such sum; what is measured there is
the search, not the prior. All fronts are compared by hypervolume in the box of the exact front's
ideal and nadir, as a share of its hypervolume. A network beyond the exact front would be an error
and ends the benchmark.

One space and target: our search gets the evaluations of the demo; the others, the time that it took
with the same seed; pymoo runs with two sizes of population, and the better one counts. The
last row gives our search no more evaluations than the better pymoo made: what it gains, it gains by
speed.

`--cells`: the same on three spaces and four targets with up to three million evaluations
(`search_fronts/cells.py`), and on a space of five million networks that are all judged by the
shipped predictor and the real prior (`search_fronts/enumerated.py`). `hypervolume_ratio_3m` is the
worst of all cells and seeds.

    python benchmarks/search_quality.py [--target T] [--evaluations N] [--json]
    python benchmarks/search_quality.py --cells [--evaluations N] [--json]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from search_fronts import report
from search_fronts.additive import (
    AdditiveProblem,
    Floats,
    additive_problem,
    cost_table,
    exact_front,
    score_table,
)
from search_fronts.attempts import (
    PYMOO_POPULATIONS,
    Attempt,
    optuna_nsga2,
    ours,
    pymoo_nsga2,
    share_of_exact,
)
from threadpoolctl import threadpool_limits

from palmette.latency import find_target
from palmette.search.config import EVALUATIONS
from palmette.space import InputError, SearchSpace, compile_space
from palmette.space.errors import expect
from palmette.space.files import write_text

SPACE = "mobilenet_v2"
TARGET = "iphone-13/ane"
SEEDS = (0, 1, 2)
SCORE_SEED = 0
MOST = 3_000_000
RESULTS = Path(__file__).resolve().parents[1] / "results" / "search_quality.json"
CELLS = RESULTS.with_name("search_quality_cells.json")


def measure(
    space: SearchSpace, target: str, evaluations: int, seeds: tuple[int, ...] = SEEDS
) -> dict[str, Any]:
    """All metrics of a space on a target."""
    compiled = compile_space(space)
    score = score_table(compiled, SCORE_SEED)
    problem = additive_problem(compiled, cost_table(target, compiled), score)
    start = time.perf_counter()
    exact = exact_front(problem)
    exact_seconds = time.perf_counter() - start
    searches = _searches(problem, evaluations, seeds)
    rows = {name: _row(attempts, exact) for name, attempts in searches.items()}
    sizes = [f"pymoo_{population}" for population in PYMOO_POPULATIONS]
    best = max(sizes, key=lambda name: rows[name]["mean"])
    few = round(rows[best]["evaluations"])
    rows["ours_as_few"] = _row([ours(problem, few, seed) for seed in seeds], exact)
    return {
        "hypervolume_ratio": rows["ours"]["mean"],
        "hypervolume_ratio_pymoo": rows[best]["mean"],
        "hypervolume_ratio_optuna_nsga2": rows["optuna_nsga2"]["mean"],
        "hypervolume_ratio_as_few_evaluations_as_pymoo": rows["ours_as_few"]["mean"],
        "target": str(find_target(target)),
        "space": space.name,
        "space_size": compiled.space.size,
        "exact_points": len(exact),
        "exact_seconds": exact_seconds,
        "evaluations": evaluations,
        "evaluations_per_second": rows["ours"]["evaluations"] / rows["ours"]["seconds"],
        "searches": rows,
    }


def _searches(
    problem: AdditiveProblem, evaluations: int, seeds: tuple[int, ...]
) -> dict[str, list[Attempt]]:
    """Attempts of every search, one per seed; the others take as long as ours did."""
    searches: dict[str, list[Attempt]] = {}
    for seed in seeds:
        own = ours(problem, evaluations, seed)
        found = {"ours": own, "optuna_nsga2": optuna_nsga2(problem, [own.seconds], seed)[0]}
        for population in PYMOO_POPULATIONS:
            name = f"pymoo_{population}"
            found[name] = pymoo_nsga2(problem, [own.seconds], seed, population)[0]
        for name, attempt in found.items():
            searches.setdefault(name, []).append(attempt)
    return searches


def _row(attempts: list[Attempt], exact: Floats) -> dict[str, float]:
    shares = [share_of_exact(attempt, exact) for attempt in attempts]
    return {
        "mean": float(np.mean(shares)),
        "lowest": min(shares),
        "highest": max(shares),
        "evaluations": float(np.mean([attempt.evaluations for attempt in attempts])),
        "seconds": float(np.mean([attempt.seconds for attempt in attempts])),
    }


def show(metrics: dict[str, Any]) -> None:
    """Print a table of the searches."""
    print(
        f"{metrics['target']}, space '{metrics['space']}' of {metrics['space_size']:.2g} networks;"
        f" exact front: {metrics['exact_points']} points in {metrics['exact_seconds']:.1f} s"
    )
    print(f"{'hypervolume / exact':<22}{'mean':>9}  {'[lowest - highest]':<22}", end="")
    print(f"{'missing':>9}{'evaluations':>13}{'seconds':>9}")
    for name, row in metrics["searches"].items():
        extent = f"[{row['lowest']:.5f} - {row['highest']:.5f}]"
        print(f"{name:<22}{row['mean']:9.5f}  {extent:<22}", end="")
        print(f"{1 - row['mean']:9.1e}{row['evaluations']:13,.0f}{row['seconds']:9.2f}")


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--target", default=TARGET, help="whose cost table, such as iphone-13/ane")
    parser.add_argument("--evaluations", type=int, help="of our search; default 1 M, of cells 3 M")
    parser.add_argument("--cells", action="store_true", help="all spaces and targets")
    parser.add_argument("--out", type=Path, help="JSON file for the metrics; of cells, rows beside")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    default, out = (MOST, CELLS) if arguments.cells else (EVALUATIONS, RESULTS)
    evaluations = default if arguments.evaluations is None else arguments.evaluations
    out = arguments.out or out
    try:
        expect(evaluations > 0, f"--evaluations: needs 1 or more, got {evaluations}")
        if arguments.cells:
            command = f"--cells --evaluations {evaluations}"
            with threadpool_limits(1):
                metrics = report.measure(evaluations, out.with_suffix(".csv"))
            report.show(metrics)
        else:
            command = f"--target {arguments.target} --evaluations {evaluations}"
            with threadpool_limits(1):
                metrics = measure(SearchSpace.preset(SPACE), arguments.target, evaluations)
            show(metrics)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    about = {
        "command": f"python benchmarks/search_quality.py {command}",
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("numpy", "optuna", "pymoo")},
    }
    write_text(out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
