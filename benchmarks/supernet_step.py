"""A sandwich step of a supernet beside plain steps of the same four networks, each on its own.

A step of a supernet takes the largest network, the smallest and two random ones through the same
images, and ends in one update. Beside it each of these networks, built by itself, takes a plain
training step at its own resolution: the same forwards and backwards without slices of shared
weights, with four updates instead of one. Sides take turns within a round, each round with other
random networks; the ratio is a geometric mean over rounds with a one-sided 95 % bound. On one
thread of a CPU the process's own time is measured, so that neighbours on a shared machine take
none.

    python benchmarks/supernet_step.py [--space S] [--batch N] [--device D] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from palmette.space import InputError, SearchSpace
from palmette.space.files import write_text
from palmette.space.search_space import Codes
from palmette.train.datasets import procedural
from palmette.train.device import Normalisation, find_device
from palmette.train.learner import Learner, criterion_of
from palmette.train.loading import Batch, Batches
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.supernet import load_schedule
from palmette.train.supernet.learner import SupernetLearner
from palmette.train.supernet.network import Supernet, with_classes
from palmette.train.supernet.sampling import sandwich
from palmette.train.transforms import validation_transform

RESULTS = Path(__file__).resolve().parents[1] / "results" / "supernet_step.json"
CLASSES = 20
RANDOM = 2
"""Networks of a step beside the largest and the smallest."""
LEVEL = 0.95


class Given(SupernetLearner):
    """A learner that is told the networks of its step."""

    given: list[Codes]

    def networks(self) -> list[Codes]:
        """Those that it was told."""
        return self.given


class Bench:
    """Both sides on one batch of images."""

    def __init__(self, space: SearchSpace, recipe: Recipe, device: torch.device) -> None:
        self.space, self.recipe, self.device = with_classes(space, CLASSES), recipe, device
        sides = space.sections["network"]["resolution"]
        self.batches = {int(side): self._batch(int(side)) for side in sides}
        self.schedule = load_schedule("sandwich")
        self.supernet = Given(
            Supernet(self.space, 0), recipe, criterion_of(recipe), self.schedule, **self._common()
        )

    def round(self, number: int) -> tuple[float, float]:
        """Seconds of a sandwich step, and of plain steps of its networks, in a drawn order."""
        rng = np.random.default_rng(number)
        codes = sandwich(self.space, self.schedule.at(0.5).free, RANDOM, rng)
        self.supernet.given = codes
        largest = self.batches[max(self.batches)]
        shared = [(self.supernet, largest)]
        alone = [self._alone(code) for code in codes]
        for learner, batch in (*shared, *alone):  # buffers of the optimizer, layouts, kernels
            learner.update([batch])
        sides: dict[int, list[tuple[Learner, Batch]]] = {0: [*shared], 1: alone}
        took = {at: self._seconds(sides[at]) for at in rng.permutation(2).tolist()}
        return took[0], took[1]

    def _seconds(self, learners: Sequence[tuple[Learner, Batch]]) -> float:
        own = self.device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.process_time if own else time.perf_counter
        begin = clock()
        for learner, batch in learners:
            learner.update([batch])
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - begin

    def _alone(self, code: Codes) -> tuple[Learner, Batch]:
        network = self.space.decode(code)
        learner = Learner(network.build(), self.recipe, criterion_of(self.recipe), **self._common())
        return learner, self.batches[network.resolution[0]]

    def _common(self) -> dict[str, Any]:
        numbers = Normalisation()
        return {"classes": CLASSES, "steps": 1000, "normalisation": numbers, "device": self.device}

    def _batch(self, side: int) -> Batch:
        transform = validation_transform(self.recipe.augment, (side, side))
        batches = Batches(
            procedural(self.recipe.batch, side),
            transform,
            self.recipe.batch,
            workers=0,
            device=self.device,
        )
        return next(iter(batches.epoch()))


def run(bench: Bench, rounds: int) -> dict[str, float]:
    """Metrics; prints as it goes."""
    found = []
    for number in range(rounds + 1):
        took = bench.round(number)
        if number:  # the first round warms up
            found.append(took)
        print(f"round {number} of {rounds}: {took[0]:.3f} s, {took[1]:.3f} s", flush=True)
    times = np.array(found)
    logs = np.log(times[:, 0] / times[:, 1])
    error = logs.std(ddof=1) / len(logs) ** 0.5
    upper = logs.mean() + stats.t.ppf(LEVEL, len(logs) - 1) * error
    return {
        "supernet_step_ratio": float(np.exp(logs.mean())),
        "supernet_step_ratio_upper": float(np.exp(upper)),
        "supernet_step_s": float(np.median(times[:, 0])),
        "four_plain_steps_s": float(np.median(times[:, 1])),
    }


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--space", default="mobilenet_v2", help="preset, or .toml")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        device = find_device(arguments.device)
        recipe = load_recipe("quick").changed(
            batch=arguments.batch, compute__precision=arguments.precision
        )
        path = Path(arguments.space)
        space = SearchSpace.read(path) if path.suffix else SearchSpace.preset(arguments.space)
        metrics = run(Bench(space, recipe, device), arguments.rounds)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    name = torch.cuda.get_device_name() if device.type == "cuda" else str(device)
    about = {"command": "python benchmarks/supernet_step.py", "device": name, **metrics}
    write_text(arguments.out, json.dumps(about, indent=1) + "\n")
    print(f"a sandwich step takes {metrics['supernet_step_ratio']:.2f} of four plain steps")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
