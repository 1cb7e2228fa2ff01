"""Searches for several targets that begin with each other's fronts, beside searches apart.

Predictor stage: for each seed, the targets are searched one after another, each search beginning
with the shortlists of those before (as `palmette search --targets` does), and each by itself, with
the same evaluations in all. The score is the hypervolume inside the budget; the reference is the
front of all that any search of this target found. Run it as

    python benchmarks/shared_targets.py [--evaluations N] [--seeds N] [--json]

Metrics: `hypervolume_shared`, `hypervolume_apart` (mean shares of the best known front, of the
targets that had something to begin with), `hypervolume_ratio` and `hypervolume_ratio_worst` (shared
over apart: mean, and the worst pair of target and seed).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from palmette.latency import load_predictor
from palmette.search.evolution import Front, evolve, groups_of
from palmette.search.front import hypervolume, non_dominated
from palmette.search.limits import Limits
from palmette.search.objectives.goal import Goal
from palmette.search.problem import SearchProblem, pose
from palmette.search.proposals import thinned
from palmette.search.start import Start, first_state
from palmette.space import Architecture, SearchSpace, compile_space
from palmette.space.files import write_text

GOALS = (Goal("iphone-13/ane", 0.9), Goal("iphone-11/ane", 6.0), Goal("iphone-xs/gpu", 25.0))
SHORTLIST = 64
RESULTS = Path(__file__).resolve().parents[1] / "results" / "shared_targets.json"


def searched(problem: SearchProblem, evaluations: int, seed: int) -> Front:
    """Front of a search that begins with the problem's start."""
    return evolve(
        problem,
        evaluations=evaluations,
        seed=seed,
        groups=groups_of([gene.name for gene in problem.space.genes]),
        start=first_state(problem, evaluations),
    )


def shortlisted(problem: SearchProblem, front: Front) -> list[Architecture]:
    """What `front.csv` would hold."""
    return problem.space.decode_batch(front.codes[thinned(front.objectives, SHORTLIST)])


def shared(problems: list[SearchProblem], evaluations: int, seed: int) -> list[Front]:
    """Fronts of searches that begin with those before."""
    fronts: list[Front] = []
    networks: dict[Architecture, None] = {}
    for problem in problems:
        start = Start(tuple(networks), (None,) * len(networks))
        fronts.append(searched(replace(problem, start=start), evaluations, seed))
        networks |= dict.fromkeys(shortlisted(problem, fronts[-1]))
    return fronts


def compared(evaluations: int, seeds: int) -> list[dict[str, Any]]:
    """A row for each seed and target."""
    compiled = compile_space(SearchSpace.preset("mobilenet_v2"))
    problems = [
        pose(compiled.space, load_predictor(g.target), Limits(g.budget_ms), compiled=compiled)
        for g in GOALS
    ]
    found = []
    for seed in range(seeds):
        apart = [searched(problem, evaluations, seed) for problem in problems]
        found.append((shared(problems, evaluations, seed), apart))
    rows = []
    for index, goal in enumerate(GOALS):
        every = [pair[way][index].objectives for pair in found for way in (0, 1)]
        best, corner = np.concatenate(every), np.array([goal.budget_ms, 0.0])
        most = best[non_dominated(best)]
        corner[1] = most[:, 1].max()  # the worst score of the best front: its box alone counts
        whole = hypervolume(most, corner)
        for seed, (together, apart) in enumerate(found):
            shares = [hypervolume(f[index].objectives, corner) / whole for f in (together, apart)]
            rows.append({"target": goal.alias, "seed": seed, "order": index, "shared": shares[0]})
            rows[-1]["apart"] = shares[1]
    return rows


def metrics_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means and the worst pair; the first target had nothing to begin with and is left out."""
    later = [row for row in rows if row["order"] > 0]
    ratios = [row["shared"] / row["apart"] for row in later]
    return {
        "hypervolume_shared": float(np.mean([row["shared"] for row in later])),
        "hypervolume_apart": float(np.mean([row["apart"] for row in later])),
        "hypervolume_ratio": float(np.mean(ratios)),
        "hypervolume_ratio_worst": float(np.min(ratios)),
    }


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluations", type=int, default=100_000, help="of each search")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    rows = compared(arguments.evaluations, arguments.seeds)
    for row in rows:
        print(
            f"{row['target']:<16} seed {row['seed']}: shared {row['shared']:.5f},"
            f" apart {row['apart']:.5f}"
        )
    options = f"--evaluations {arguments.evaluations} --seeds {arguments.seeds}"
    about = {
        "command": f"python benchmarks/shared_targets.py {options}",
        "evaluations": arguments.evaluations,
        "seeds": arguments.seeds,
    }
    metrics = metrics_of(rows)
    print(", ".join(f"{name} {value:.5f}" for name, value in metrics.items()))
    write_text(arguments.out, json.dumps({**about, **metrics, "rows": rows}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))


if __name__ == "__main__":
    main()
