"""Shrinking one network beside what else fits it into the budget.

MobileNetV2 and MobileNetV3-Large at 70 % and 50 % of their own time, on three targets, all held at
80 % confidence and judged by the same prior:

- `shrink`: by `palmette.search.shrink`, and `shrink_paper`: by the paper's rule, the best score;
- `width`: the uniform width multiplier, the largest of 0.01 to 1 that keeps the budget;
- `compound`: the largest member of the compound family with EfficientNet's coefficients;
- `search`: the front of a search over the main job's space, which is not bound to the network.

Each is the score (top-1 less half a sigma) of the network found; missing where none keeps the
budget.

    python benchmarks/families.py [--evaluations N] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from palmette import search
from palmette.latency import LatencyPredictor, load_predictor
from palmette.search.families.estimates import Estimator
from palmette.space import Architecture, InputError, load
from palmette.space.files import write_text
from palmette.space.scaling import scale

RESULTS = Path(__file__).resolve().parents[1] / "results" / "families.json"
NETWORKS = ("mobilenet_v2", "mobilenet_v3_large")
SPACE = "mobilenet_v2"
"""Preset of the main job: MobileNetV2's stages, SE and h-swish among its choices."""
TARGETS = ("iphone-11/ane", "iphone-xs/gpu", "iphone-11/cpu")
SHARES = (0.7, 0.5)
CONFIDENCE = 0.8
WIDTHS = np.arange(1, 101) / 100
RIVALS = ("shrink_paper", "width", "compound", "search")


def uniform(base: Architecture, predictor: LatencyPredictor, budget_ms: float) -> float | None:
    """Score of the widest network by one multiplier, its head kept as the papers do."""
    limits = search.Limits(budget_ms=budget_ms, confidence=CONFIDENCE)
    estimator = Estimator.of(base, predictor, limits)
    every = [scale(base, width=float(width), head=False) for width in WIDTHS]
    _, upper = estimator.time(every)
    kept = np.flatnonzero(upper <= budget_ms)
    return float(estimator.estimate([every[kept[-1]]]).score[0]) if len(kept) else None


def searched(target: str, budget_ms: float, evaluations: int) -> float:
    """Best score of a search's front."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"space": SPACE, "confidence": CONFIDENCE, "evaluations": evaluations}
        run = search.run(target, budget_ms, Path(folder) / "run", **options)
        return float(run.front["score"].max())


def row(network: str, target: str, share: float, evaluations: int) -> dict[str, Any]:
    """Scores of all ways for one budget."""
    base, predictor = load(network), load_predictor(target)
    interval = predictor.predict_interval([base], CONFIDENCE, two_sided=False)
    budget = share * float(interval.upper_ms[0])
    began = time.perf_counter()
    walk = search.shrink(base, predictor, budget, confidence=CONFIDENCE)
    seconds = time.perf_counter() - began
    paper = search.shrink(base, predictor, budget, confidence=CONFIDENCE, rule="score")
    try:
        scaled = search.scale_to_budget(base, predictor, budget, confidence=CONFIDENCE)
        compound = float(scaled.row["score"].item())
    except InputError:
        compound = None
    return {
        "network": network,
        "target": target,
        "share": share,
        "budget_ms": budget,
        "whole": float(walk.path["score"].iloc[0]),
        "shrink": float(walk.path["score"].iloc[-1]),
        "shrink_paper": float(paper.path["score"].iloc[-1]),
        "width": uniform(base, predictor, budget),
        "compound": compound,
        "search": searched(target, budget, evaluations),
        "steps": len(walk.path) - 1,
        "seconds": seconds,
        "over_budget": bool(walk.path["ms_at_confidence"].iloc[-1] > budget),
        "architecture": walk.architecture.to_text(),
    }


def metrics(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rows say together."""
    gains = {
        rival: [one["shrink"] - one[rival] for one in rows if one[rival] is not None]
        for rival in RIVALS
    }
    return {
        "over_budget": sum(one["over_budget"] for one in rows),
        **{f"gain_over_{rival}": float(np.mean(gain)) for rival, gain in gains.items()},
        **{f"least_gain_over_{rival}": min(gain) for rival, gain in gains.items()},
        **{f"budgets_{rival}": len(gain) for rival, gain in gains.items()},
        "median_steps": float(np.median([one["steps"] for one in rows])),
        "budgets": len(rows),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--evaluations", type=int, default=200_000, help="of each search")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    columns = ("whole", "shrink", *RIVALS)
    print(f"{'network':<20}{'target':<15}share" + "".join(f"{name:>14}" for name in columns))
    rows = []
    for network in NETWORKS:
        for target in TARGETS:
            for share in SHARES:
                one = row(network, target, share, arguments.evaluations)
                cells = ("-" if one[name] is None else f"{one[name]:.2f}" for name in columns)
                print(
                    f"{network:<20}{target:<15}{share:5.2f}"
                    + "".join(f"{cell:>14}" for cell in cells),
                    flush=True,
                )
                rows.append(one)
    found = metrics(rows)
    about = {"command": f"python benchmarks/families.py --evaluations {arguments.evaluations}"}
    for one in rows:
        del one["seconds"]  # of one machine and its load
    write_text(arguments.out, json.dumps({**about, **found, "rows": rows}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
