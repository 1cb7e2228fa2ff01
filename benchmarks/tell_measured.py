"""What it costs to tell a search what was measured, after some hundred results.

The driver asks for the objectives of each network that it tells. Its top-1 is known; the time
beside it is that of the belief over all networks, which the call would need if it were not.

    python benchmarks/tell_measured.py [--results N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from palmette.search.expensive.measured import MeasuredAccuracy, prior_of
from palmette.search.trials.rungs import PriorEvaluator
from palmette.space import SearchSpace, compile_space
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results" / "tell_measured.json"
TELLS = 20


def main() -> None:
    """Print the milliseconds of a tell, and of one that would ask the belief."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=300)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the figures")
    arguments = parser.parse_args()
    count = arguments.results
    space, rng = SearchSpace.preset("mobilenet_v2"), np.random.default_rng(0)
    prior = prior_of(compile_space(space))
    assert prior is not None
    codes = space.sample(count + TELLS, rng)
    top1, sigma = prior(codes).top1 + rng.normal(0, 0.5, len(codes)), np.full(len(codes), 0.5)
    accuracy = MeasuredAccuracy("proxy", "0", space, PriorEvaluator(space), "nothing", prior)
    accuracy.learn(codes[:count], top1[:count], sigma[:count])
    known = believed = 0.0
    for at in range(count, count + TELLS):
        new = slice(at, at + 1)
        accuracy.learn(codes[new], top1[new], sigma[new])
        begin = time.perf_counter()
        accuracy.evaluate(codes[new])
        middle = time.perf_counter()
        accuracy.belief.predict(codes[new])
        known, believed = known + middle - begin, believed + time.perf_counter() - middle
    print(
        f"{count} results, mean of {TELLS} tells: {1e3 * known / TELLS:.3g} ms each, by the belief"
        f" {1e3 * believed / TELLS:.3g} ms ({believed / known:.0f} times)"
    )
    found = {
        "command": f"python benchmarks/tell_measured.py --results {count}",
        "tells": TELLS,
        "known_ms": 1e3 * known / TELLS,
        "belief_ms": 1e3 * believed / TELLS,
        "ratio": believed / known,
    }
    write_text(arguments.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
