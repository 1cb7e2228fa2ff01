"""Successive halving against training everything: does it end with the same networks, for less?

Networks of the space of tiny ones (`benchmarks/spaces/tiny.toml`) at 16 px, drawn as for the
rank-correlation card, compete on scikit-learn's digits: 1437 images to train on, 360 to validate
with. For each seed of the trainings, brackets are run for real, from the checkpoints of the
trainings; then whatever they stopped is trained to the end, so that the truth is known.

Printed for each bracket, as means over the seeds: epochs that were trained, as a share of training
all networks in full; how far the best accuracy that it found is below the best there is; whether it
ends with the same pick (the fastest of those that tie with the best); how far its pick lies below
the pick of the full trainings, in the same seed, and by the means of all seeds, where the luck of
one training averages out; and the hypervolume of what it trained in full, as a share of that of all
networks, up to the slowest and the least accurate. What all of this is to be held against: the
standard deviation of one network's accuracy over the seeds.

Trainings are kept in `--folder`, and a benchmark that was interrupted goes on there.

    python benchmarks/halving.py [--folder runs/halving] [--networks 16] [--seeds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency import load_predictor
from palmette.search.expensive.halving import Contender, Halving, rungs_of
from palmette.search.front import hypervolume
from palmette.search.trials.rungs import ProxyEvaluator
from palmette.search.trials.task import Outcome, Task
from palmette.space import Architecture, SearchSpace
from palmette.space.files import write_text
from palmette.train import TIE_POINTS
from palmette.train.datasets import open_data
from palmette.train.proxy import Fidelity, shortened
from palmette.train.recipe import load_recipe
from palmette.train.supernet.network import with_classes

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "halving.json"
SPACE = Path(__file__).resolve().parent / "spaces" / "tiny.toml"
TARGET, DATA, SIDE, EPOCHS = "iphone-11/cpu", "digits", 16, 9
BRACKETS = {
    "rungs_1_3_9": {"first": 1, "asynchronous": False},
    "rungs_1_3_9_asynchronous": {"first": 1, "asynchronous": True},
    "rungs_3_9": {"first": 3, "asynchronous": False},
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a bracket of one seed came to; see the module."""

    epochs_share: float
    trained_in_full: int
    best_below_points: float
    same_pick: bool
    pick_below_points: float
    pick_below_points_mean_of_seeds: float
    hypervolume_share: float


def evaluator_in(folder: Path) -> ProxyEvaluator:
    """Trainings by the quick recipe, without mirrored digits."""
    data = open_data(DATA)
    recipe = load_recipe("quick").changed(batch=32, augment__crop_scale=0.8, augment__flip=0.0)
    keys = shortened(recipe, Fidelity(EPOCHS))
    return ProxyEvaluator(DATA, data.fingerprint, keys, folder=str(folder), device="cpu")


def contenders_of(count: int) -> list[Contender]:
    """Networks with their predicted milliseconds, in the order in which they were drawn."""
    from rank_card import Setting, draw_networks

    space = with_classes(SearchSpace.read(SPACE), 10)
    drawn = draw_networks(space, Setting(networks=count))
    networks: list[Architecture] = [network.with_resolution(SIDE, SIDE) for network in drawn]
    ms = load_predictor(TARGET).predict(networks)
    pairs = enumerate(zip(networks, ms, strict=True))
    return [Contender(at, network.to_text(), float(time)) for at, (network, time) in pairs]


def bracket_of(name: str, contenders: list[Contender], seed: int) -> Halving:
    """A bracket by its name in the table."""
    keys: dict[str, Any] = BRACKETS[name]
    rungs = rungs_of(EPOCHS, first=keys["first"])
    return Halving(contenders, rungs, seed=seed, asynchronous=keys["asynchronous"])


def run(halving: Halving, evaluator: ProxyEvaluator) -> Halving:
    """The bracket, ended."""
    while tasks := halving.next_tasks(1):
        top1, sigma = evaluator(tasks[0])
        halving.tell(Outcome(tasks[0], "done", top1, sigma))
    return halving


def pick_of(ms: Floats, top1: Floats) -> int:
    """The fastest of those that tie with the best."""
    ties = np.flatnonzero(top1 >= top1.max() - TIE_POINTS)
    return int(ties[np.argmin(ms[ties])])


def ended(halving: Halving, ms: Floats, truth: Floats, mean: Floats) -> Ended:
    """A bracket held against all networks' accuracies (n,), of its seed and the mean of seeds."""
    whole = np.array(sorted(outcome.task.trial for outcome in halving.whole()))
    pick, real = int(whole[pick_of(ms[whole], truth[whole])]), pick_of(ms, truth)
    points = np.stack([ms, -truth], axis=1)
    corner = points.max(axis=0)
    return Ended(
        halving.spent / (EPOCHS * len(ms)),
        len(whole),
        float(truth.max() - truth[whole].max()),
        pick == real,
        float(truth[real] - truth[pick]),
        float(mean[real] - mean[pick]),
        hypervolume(points[whole], corner) / hypervolume(points, corner),
    )


def main() -> None:
    """Run it; the last line of `--json` is one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "halving")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.networks < 3 or options.seeds < 2:
        parser.error("needs 3 networks and 2 seeds or more")
    evaluator, contenders = evaluator_in(options.folder), contenders_of(options.networks)
    brackets, truth = list[dict[str, Halving]](), list[list[float]]()
    for seed in range(options.seeds):
        brackets.append(
            {name: run(bracket_of(name, contenders, seed), evaluator) for name in BRACKETS}
        )
        tasks = [Task(item.trial, item.architecture, seed) for item in contenders]
        truth.append([evaluator(task)[0] for task in tasks])
        print(f"seed {seed}: best {max(truth[-1]):.1f} %", file=sys.stderr, flush=True)
        if seed:
            found = summary(contenders, brackets, np.array(truth))
            write_text(RESULTS, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))


def summary(
    contenders: list[Contender], brackets: list[dict[str, Halving]], truth: Floats
) -> dict[str, Any]:
    """Means over the seeds of each bracket, and each seed's own; `truth` is (seeds, networks)."""
    ms, mean = np.array([item.ms for item in contenders]), truth.mean(axis=0)
    answer: dict[str, Any] = {
        "command": "python benchmarks/halving.py",
        "networks": len(contenders),
        "seeds": len(truth),
        "epochs": EPOCHS,
        "tie_points": TIE_POINTS,
        "noise_sd_points": float(np.sqrt(truth.var(axis=0, ddof=1).mean())),
        "spread_sd_points": float(mean.std(ddof=1)),
        "full_pick_below_best_points_mean_of_seeds": float(
            np.mean([mean.max() - mean[pick_of(ms, row)] for row in truth])
        ),
    }
    for name in BRACKETS:
        rows = [
            asdict(ended(each[name], ms, row, mean))
            for each, row in zip(brackets, truth, strict=True)
        ]
        for key in rows[0]:
            answer[f"{name}.{key}"] = float(np.mean([row[key] for row in rows]))
        answer[f"{name}.by_seed"] = rows
    return answer


if __name__ == "__main__":
    main()
