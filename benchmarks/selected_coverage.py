"""Intervals on networks that a search selected, over several made truths: model against model.

`palmette latency validate` makes one set of timings from each truth; this makes several, and gives
the standard error of the means. No phone is involved: see `palmette.latency.validation.selected`.

    python benchmarks/selected_coverage.py [--draws N] [--space PRESET] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

from palmette.latency import published_timings
from palmette.latency.predictor import fit_all
from palmette.latency.validation.held_out import timed_families
from palmette.latency.validation.selected import selections, summary
from palmette.latency.whole.model import Fits
from palmette.space import InputError, SearchSpace, compile_space
from palmette.space.errors import expect
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "selected_coverage.json"
NAMES = ("coverage_80_selected", "coverage_80_random", "upper_80_selected", "upper_80_random")


def measure(draws: int, space: str) -> dict[str, float]:
    """Means over draws of what a validation prints for one, and their standard errors.

    Raises:
        InputError: fewer than two draws, or no preset of this name.
    """
    expect(draws >= 2, f"--draws: must be at least 2, got {draws}")
    compiled = compile_space(SearchSpace.preset(space))
    timings, fits = published_timings(), Fits()
    fit_all(timings, fits)
    families = timed_families(timings, fits)
    found = [summary(selections(families, compiled, seed)) for seed in range(draws)]
    metrics: dict[str, float] = {"draws": draws}
    for name in NAMES:
        values = np.array([one[name] for one in found], dtype=np.float64)
        metrics[name] = float(values.mean())
        metrics[f"{name}_error"] = float(values.std(ddof=1) / math.sqrt(draws))
    return metrics


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--draws", type=int, default=5, help="sets of timings from each truth")
    parser.add_argument("--space", default="mobilenet_v2", help="name of a preset")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        metrics = measure(arguments.draws, arguments.space)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in NAMES:
        print(f"{name:<22}{metrics[name]:.3f} +- {metrics[f'{name}_error']:.3f}")
    options = f"--draws {arguments.draws} --space {arguments.space}"
    about = {"command": f"python benchmarks/selected_coverage.py {options}"}
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
