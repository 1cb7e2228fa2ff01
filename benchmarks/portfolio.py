"""How few backbones an iPhone 11, XS and X can share, on all of their units.

Eight targets: CPU and GPU of all three, the Neural Engine of the XS and the 11 (nobody timed the
X's). Each is searched for by itself with its budget at confidence 0.95; the networks of all fronts
are candidates for all. Budgets follow a rule, of which there are two:

- `mobilenet_v2`: what MobileNetV2 just keeps there at 95 %;
- `frame`: 33.3 ms everywhere, 30 frames a second, so that the oldest phone needs small networks
  and the youngest may take large ones.

Under each the fewest backbones within half a point of every target's own best, the least worst loss
of 1, 2, 3, ... backbones, and the proof that fewer do not suffice: the integer program's bound, and
beside it every subset of the networks' distinct services counted out.

    python benchmarks/portfolio.py [--rule NAME] [--evaluations N] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from palmette import search
from palmette.latency import TARGETS, load_predictor
from palmette.search.bundle import Portfolio, choose, open_fleet, proof_lines, report, table
from palmette.space.files import write_text

RESULTS = Path(__file__).resolve().parents[1] / "results"
PHONES = ("iphone-11", "iphone-xs", "iphone-x")
CONFIDENCE = 0.95
MAX_LOSS, BACKBONES = 0.5, 3
FRAME_MS = 33.3
EVALUATIONS = 200_000
MOST_SUBSETS = 2_000_000


def targets() -> list[str]:
    """Full names of the Core ML targets of the three phones."""
    return [
        name
        for name, target in TARGETS.items()
        if target.device in PHONES and target.runtime.startswith("coreml")
    ]


def mobilenet_v2_ms(target: str) -> float:
    """Time that MobileNetV2 keeps on a target at the confidence, up to the next microsecond."""
    time = load_predictor(target).predict_interval(["mobilenet_v2"], CONFIDENCE, two_sided=False)
    return math.ceil(float(time.upper_ms[0]) * 1000) / 1000


RULES: dict[str, Callable[[str], float]] = {
    "mobilenet_v2": mobilenet_v2_ms,
    "frame": lambda target: FRAME_MS,
}
"""Budget in milliseconds of a target, by rule."""


def chosen(rule: str, names: list[str], folder: Path, **options: Any) -> Portfolio:
    """The portfolio under a rule, of searches that are run into a folder."""
    runs = []
    for target in names:
        print(f"searching: {rule}, {target}", file=sys.stderr)
        place = folder / rule / target.replace("/", "-")
        found = search.run(target, RULES[rule](target), place, confidence=CONFIDENCE, **options)
        runs.append(found.folder.path)
    return choose(open_fleet(runs, confidence=CONFIDENCE), MAX_LOSS)


def counted_out(serves: NDArray[np.bool_], backbones: int) -> int | None:
    """Number of subsets that were tried, none of which serves all; None if they are too many.

    Args:
        serves: shape (networks, phones).
        backbones: size of the subsets.

    Raises:
        AssertionError: a subset serves all.
    """
    bits = {int(row @ (1 << np.arange(serves.shape[1]))) for row in serves.astype(np.int64)}
    largest = [a for a in sorted(bits) if not any(a != b and a & b == a for b in bits)]
    everyone, tried = (1 << serves.shape[1]) - 1, 0
    size = min(backbones, len(largest))
    if math.comb(len(largest), size) > MOST_SUBSETS:
        return None
    for subset in combinations(largest, size):
        served = 0
        for service in subset:
            served |= service
        assert served != everyone, "fewer backbones serve all"
        tried += 1
    return tried


def metrics(portfolio: Portfolio) -> dict[str, Any]:
    """What is stored of a portfolio: the choice, its losses, its proofs."""
    data = report(portfolio)
    serves = portfolio.fleet.losses <= MAX_LOSS
    losses = data["proof"]["least_worst_loss"]
    return {
        "fewest": portfolio.fewest,
        "three_suffice": int(portfolio.fewest <= BACKBONES),
        "worst_loss_of_three": losses[str(min(BACKBONES, len(losses)))],
        "worst_loss": portfolio.worst_loss,
        "mean_loss": portfolio.mean_loss,
        "candidates": data["candidates"],
        "least_worst_loss": losses,
        "weights": data["proof"]["weights"],
        "subsets_counted_out": counted_out(serves, portfolio.fewest - 1),
        "backbones": data["backbones"],
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rule", choices=RULES, action="append", help="one alone; repeatable")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    rows = []
    for rule in arguments.rule or RULES:
        with tempfile.TemporaryDirectory() as folder:
            portfolio = chosen(rule, targets(), Path(folder), evaluations=arguments.evaluations)
        found[rule] = metrics(portfolio)
        rows.append(table(portfolio).assign(rule=rule))
        print(f"{rule}\n  " + "\n  ".join(proof_lines(portfolio)))
        print(f"  lost at worst {portfolio.worst_loss:.3f} points, mean {portfolio.mean_loss:.3f}")
    data = {"command": "python benchmarks/portfolio.py", **found}
    write_text(arguments.out / "portfolio.json", json.dumps(data, indent=1) + "\n")
    both = pd.concat(rows).round(4)
    columns = ["rule", *(name for name in both if name != "rule")]
    text = both[columns].to_csv(index=False, lineterminator="\n")
    write_text(arguments.out / "portfolio.csv", text)
    if arguments.json:
        flat = {
            f"{rule}_{name}": value
            for rule, values in found.items()
            for name, value in values.items()
            if isinstance(value, int | float)
        }
        print(json.dumps(flat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
