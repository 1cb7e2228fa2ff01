"""Predictions along width and resolution: a sanity check where no phone was timed.

All timed networks of 2020 take 224 to 256 px at width 1, so slopes along width and resolution are
the model's own. MobileNet v1, v2 and v3 large in six widths (0.25 to 2) and six resolutions (128 to
320 px) are predicted on every target. Printed per target and network: milliseconds at the small end
(0.25, 128 px), at 1.0 and 224 px, and at the large end (2, 320 px); the elasticity of the time over
MACs along width (0.5 to 2) and along resolution (128 to 320 px), where 1 is proportional and 0 all
fixed cost; Kendall's tau with MACs over the grid; steps up after which the time does not rise.
There is no truth in it: an elasticity above 1, or a falling step, would be a fault.

    python benchmarks/scaling_grid.py [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.space import load
from palmette.space.files import write_text
from palmette.space.scaling import scale

RESULTS = Path(__file__).resolve().parents[1] / "results" / "scaling_grid.json"
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large")
WIDTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
SIDES = (128, 160, 192, 224, 256, 320)


def grid(network: str, predictor: LatencyPredictor) -> tuple[Any, Any]:
    """MACs and milliseconds of a network over the grid, (widths, sides) each."""
    base = load(network)
    every = [scale(base, width=w, resolution=side, head=w > 1) for w in WIDTHS for side in SIDES]
    macs = np.array([architecture.macs() for architecture in every], dtype=np.float64)
    shape = (len(WIDTHS), len(SIDES))
    return macs.reshape(shape), predictor.predict(every).reshape(shape)


def figures(macs: Any, ms: Any) -> dict[str, float]:
    """What is printed of a grid."""
    one, side = WIDTHS.index(1.0), SIDES.index(224)

    def elasticity(low: tuple[int, int], high: tuple[int, int]) -> float:
        return math.log(ms[high] / ms[low]) / math.log(macs[high] / macs[low])

    falling = (np.diff(ms, axis=0) <= 0).sum() + (np.diff(ms, axis=1) <= 0).sum()
    return {
        "ms_small": float(ms[0, 0]),
        "ms": float(ms[one, side]),
        "ms_large": float(ms[-1, -1]),
        "elasticity_width": elasticity((WIDTHS.index(0.5), side), (len(WIDTHS) - 1, side)),
        "elasticity_resolution": elasticity((one, 0), (one, len(SIDES) - 1)),
        "tau_macs": float(kendalltau(ms.ravel(), macs.ravel()).statistic),
        "falling_steps": int(falling),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'target':<31}{'network':<20}   small      1.0    large  width  resol.   tau")
    for target in TARGETS:
        found[target] = {n: figures(*grid(n, load_predictor(target))) for n in NETWORKS}
        for network, row in found[target].items():
            print(
                f"{target:<31}{network:<20}{row['ms_small']:8.2f}{row['ms']:9.2f}"
                f"{row['ms_large']:9.2f}{row['elasticity_width']:7.2f}"
                f"{row['elasticity_resolution']:8.2f}{row['tau_macs']:6.2f}"
            )
    every = [row for rows in found.values() for row in rows.values()]
    metrics: dict[str, Any] = {
        "falling_steps": sum(row["falling_steps"] for row in every),
        "least_tau_macs": min(row["tau_macs"] for row in every),
        "most_elasticity": max(
            max(row["elasticity_width"], row["elasticity_resolution"]) for row in every
        ),
        "targets": found,
    }
    about = {"command": "python benchmarks/scaling_grid.py"}
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))


if __name__ == "__main__":
    main()
