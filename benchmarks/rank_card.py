"""Rank-correlation card: how well estimators of accuracy rank networks trained alone.

Networks of a space of tiny ones (`benchmarks/spaces/tiny.toml`) are drawn: a third of them uniform
over the space, a third with MACs near its median, a third spread from the smallest to the largest.
Each is trained alone with three seeds, on procedural images of 32 px: the first eight classes (two
shapes, four textures). Estimators: a supernet with BatchNorm recalibrated for each network and
without, short trainings of several fidelities, parameters and MACs.

Printed for each, with 95 % bootstrap intervals over the networks: Kendall's tau with the mean
accuracy of the seeds, over all pairs, in the best 20 %, and over pairs whose MACs differ by at most
10 %; its difference to parameters and to MACs, and what recalibration gains, paired; what it costs,
in trainings of one network. One training, for reference: tau of one seed's accuracies with the mean
of the others'. The fidelity of short trainings that is chosen: the cheapest within 0.05 of the
highest tau.

Everything that is trained is noted in `--folder`, and a card that was interrupted goes on there.

    python benchmarks/rank_card.py [--folder runs/rank_card] [--networks 24] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.space import Architecture, InputError, SearchSpace
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.train.datasets import ArrayImages, Data, procedural
from palmette.train.estimates import Measured
from palmette.train.proxy import Fidelity, ProxyAccuracy
from palmette.train.rank_card import BAND, ONE_TRAINING, REFERENCES, card, cheapest
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.supernet import SupernetAccuracy, load_schedule, read_supernet, train_supernet
from palmette.train.supernet.network import with_classes
from palmette.train.supernet.run import FILE
from palmette.train.trainer import train

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PICTURE = ROOT / "results" / "rank_card.json", ROOT / "results" / "rank_card.png"
SHIPPED = ROOT / "train" / "data" / RESULTS.name
SPACE = Path(__file__).resolve().parent / "spaces" / "tiny.toml"
MEDIAN_OF = 400
"""Networks that the median of the MACs is taken of."""
FIDELITIES = (Fidelity(1, 1.0), Fidelity(3, 0.75), Fidelity(3, 1.0))
PROXIES = {f"proxy_{item}": item for item in FIDELITIES}
SUPERNETS = {"supernet": True, "supernet_not_recalibrated": False}
"""Whether BatchNorm's statistics are measured for each network."""
AGAINST = {"supernet": ("supernet_not_recalibrated",)}
"""Compared besides with parameters and MACs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that a card depends on."""

    networks: int = 24
    seeds: int = 3
    classes: int = 8
    train_images: int = 10_000
    validation_images: int = 4_000
    epochs: int = 12
    batch: int = 64
    supernet_epochs: int = 30
    schedule: str = "sandwich"
    seed: int = 0

    def recipe(self, epochs: int) -> Recipe:
        """The quick recipe without crops, which would hide patterns on images this small."""
        return load_recipe("quick").changed(
            epochs=epochs,
            batch=self.batch,
            augment__crop_scale=1.0,
            schedule__warmup_epochs=0.5,
        )

    def data(self, space: SearchSpace) -> Data:
        """Training and validation images, at the highest resolution of the space."""
        side = space.largest_side
        training = first_classes(self.train_images, self.classes, side, self.seed)
        held = first_classes(
            self.validation_images, self.classes, side, self.seed, after=self.train_images
        )
        return Data("procedural, first classes", training, held)


def first_classes(count: int, classes: int, side: int, seed: int, after: int = 0) -> ArrayImages:
    """Procedural images of the first classes alone; `after` so many others of them."""
    every = len(procedural(1, 8).classes)
    first = -(-after // classes) * every
    last = first + -(-count // classes) * every
    images = procedural(last - first, side, seed, first)
    kept = np.flatnonzero(images.labels < classes)[:count]
    return ArrayImages(
        images.pixels[kept], images.labels[kept], images.classes[:classes], images.title
    )


class Ledger:
    """Measured numbers by name and network in a CSV file, each with the CPU time that it took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[tuple[str, str], tuple[float, float]] = {}
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    key = row["what"], row["network"]
                    self.rows[key] = float(row["value"]), float(row["cpu_s"])

    def value(self, what: str, network: str, measure: Callable[[], float]) -> float:
        """The number, measured only if it is not noted yet."""
        if (what, network) not in self.rows:
            begin = time.process_time()
            value = measure()
            self.rows[what, network] = value, time.process_time() - begin
            lines = [
                f"{key[0]},{key[1]},{found!r},{cpu!r}" for key, (found, cpu) in self.rows.items()
            ]
            write_text(self.path, "\n".join(["what,network,value,cpu_s", *lines, ""]))
            print(f"{what} {network}: {value:.4f}", file=sys.stderr, flush=True)
        return self.rows[what, network][0]

    def cpu_s(self, what: str) -> float:
        """CPU time of all numbers of a name."""
        return sum(cpu for (name, _), (_, cpu) in self.rows.items() if name == what)


def draw_networks(space: SearchSpace, setting: Setting) -> list[Architecture]:
    """A third uniform, a third with MACs within 10 % of the median, a third of all sizes.

    Of the last, each network has a bias of its own to large or to small choices: uniform ones are
    nearly all of middle size. All are different.
    """
    rng = np.random.default_rng(setting.seed)
    middle = float(np.median([n.macs() for n in space.decode_batch(space.sample(MEDIAN_OF, rng))]))
    found: dict[str, Architecture] = {}
    third = setting.networks // 3
    while len(found) < 2 * third:
        network = space.decode(space.sample(1, rng)[0])
        if len(found) < third or abs(network.macs() / middle - 1) <= BAND:
            found[network.id] = network
    while len(found) < setting.networks:
        network = space.decode(rng.binomial(space.cardinalities - 1, rng.uniform()))
        found[network.id] = network
    return list(found.values())


class Bench:
    """Measures the networks of a card, or reads what its folder has."""

    def __init__(self, folder: Path, setting: Setting, space: SearchSpace) -> None:
        self.folder, self.setting = folder, setting
        self.ledger = Ledger(folder / "ledger.csv")
        self.data = setting.data(space)
        self.space = with_classes(space, setting.classes)
        self.networks = draw_networks(self.space, setting)

    def estimates(self) -> dict[str, Floats]:
        """Estimates (n,) of each estimator; shares of 1, millions of parameters and MACs."""
        found = {name: self._by_supernet(name) for name in SUPERNETS}
        found |= {name: self._by_proxy(name) for name in PROXIES}
        found["params"] = np.array([network.params() / 1e6 for network in self.networks])
        found["macs"] = np.array([network.macs() / 1e6 for network in self.networks])
        return found

    def alone(self) -> Floats:
        """Top-1 of the networks trained alone, (seeds, n)."""
        recipe = self.setting.recipe(self.setting.epochs)
        return np.stack(
            [
                self._noted(f"alone_{seed}", partial(_trained, self.data, recipe, seed))
                for seed in range(self.setting.seeds)
            ]
        )

    def costs(self) -> dict[str, float]:
        """CPU time of each estimator for all networks, in trainings of one network."""
        seeds = range(self.setting.seeds)
        alone = sum(self.ledger.cpu_s(f"alone_{seed}") for seed in seeds)
        one = alone / (len(self.networks) * len(seeds))
        names = (*SUPERNETS, *PROXIES, *REFERENCES)
        shared = self.ledger.cpu_s("supernet_training")
        return {
            name: (self.ledger.cpu_s(name) + shared * (name in SUPERNETS)) / one for name in names
        }

    def _by_supernet(self, name: str) -> Floats:
        self.ledger.value("supernet_training", "largest", self._train_supernet)
        estimator = SupernetAccuracy(
            read_supernet(self.folder / "supernet" / FILE),
            self.data,
            device="cpu",
            recalibrated=SUPERNETS[name],
        )
        return self._noted(name, estimator)

    def _by_proxy(self, name: str) -> Floats:
        recipe = self.setting.recipe(self.setting.epochs)
        seed = self.setting.seeds  # none of those that train alone
        proxy = ProxyAccuracy(self.data, recipe, PROXIES[name], seed=seed, device="cpu")
        return self._noted(name, proxy)

    def _train_supernet(self) -> float:
        shutil.rmtree(self.folder / "supernet", ignore_errors=True)  # of an interrupted card
        done = train_supernet(
            self.space,
            self.data,
            self.setting.recipe(self.setting.supernet_epochs),
            load_schedule(self.setting.schedule),
            self.folder / "supernet",
            seed=self.setting.seed,
            device="cpu",
        )
        return done.history[-1]["top1"]

    def _noted(self, what: str, measure: Any) -> Floats:
        """Numbers of all networks, by an estimator or a function of the network."""
        evaluate = getattr(measure, "evaluate", None)
        if evaluate is not None:
            measure = partial(_estimated, evaluate)
        return np.array([self.ledger.value(what, n.id, partial(measure, n)) for n in self.networks])


def _estimated(evaluate: Callable[[list[Architecture]], Measured], network: Architecture) -> float:
    return float(evaluate([network]).top1[0] / 100)


def _trained(data: Data, recipe: Recipe, seed: int, network: Architecture) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        done = train(network, data, recipe, Path(scratch) / "run", seed=seed, device="cpu")
    return done.history[-1]["top1"]


def show(metrics: dict[str, Any]) -> None:
    """Print the card."""
    print(
        f"{metrics['networks']} networks alone, {metrics['seeds']} seeds: top-1"
        f" {metrics['top1_lowest']:.1%} to {metrics['top1_highest']:.1%}, standard deviation of"
        f" seeds {metrics['seed_sd_points']:.2f} points; {metrics['near_macs_pairs']} pairs of"
        " nearly equal MACs"
    )
    columns = {"tau": "tau", "tau_top20": "best 20 %", "tau_near_macs": "MACs +-10 %"}
    print(f"{'':26}" + "".join(f"{title:>24}" for title in columns.values()) + f"{'cost':>8}")
    rows = {**metrics["estimators"], ONE_TRAINING: metrics["one_training"]}
    for name, row in rows.items():
        cells = "".join(f"{_cell(row[column]):>24}" for column in columns)
        cost = f"{row['cost']:8.2f}" if "cost" in row else ""
        print(f"{name:26}{cells}{cost}")
    print("paired differences:")
    for name, row in metrics["estimators"].items():
        for other in (
            key.removeprefix("tau_minus_") for key in row if key.startswith("tau_minus_")
        ):
            cells = "".join(f"{_cell(row[f'{column}_minus_{other}']):>24}" for column in columns)
            print(f"{f'{name} - {other}':48}{cells}")
    print(f"chosen fidelity of short trainings: {metrics['fidelity']}")


def _cell(found: dict[str, float]) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def draw(metrics: dict[str, Any], estimates: dict[str, Floats], alone: Floats, out: Path) -> None:
    """Picture: each estimator against the accuracy alone, with the range of the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = 3
    figure, axes = plt.subplots(
        math.ceil(len(estimates) / columns), columns, figsize=(10, 6.2), sharey=True, squeeze=False
    )
    truth = 100 * alone.mean(axis=0)
    spread = np.abs(100 * np.array([alone.min(axis=0), alone.max(axis=0)]) - truth)
    for axis, (name, estimate) in zip(axes.flat, estimates.items(), strict=False):
        share = name not in REFERENCES
        x = 100 * estimate if share else estimate
        axis.errorbar(x, truth, spread, fmt="o", ms=4, lw=0.8, color="#2f6f4f", alpha=0.8)
        tau = metrics["estimators"][name]["tau"]
        axis.set_title(f"{name}\ntau {_cell(tau)}", fontsize=9)
        axis.set_xlabel("estimated top-1, %" if share else f"{name}, millions", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[:, 0]:
        axis.set_ylabel("top-1 alone, %", fontsize=8)
    figure.tight_layout()
    figure.savefig(out, dpi=130)
    plt.close(figure)


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "rank_card")
    for item in fields(Setting):
        kind = str if item.name == "schedule" else int
        flag = f"--{item.name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=item.default)
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    parser.add_argument(
        "--write", action="store_true", help="write results/rank_card.* and the shipped copy"
    )
    arguments = parser.parse_args()
    try:
        setting = Setting(**{item.name: getattr(arguments, item.name) for item in fields(Setting)})
        metrics, estimates, alone = run(arguments.folder, setting)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    if arguments.write:
        for place in (RESULTS, SHIPPED):
            write_text(place, json.dumps(metrics, indent=1) + "\n")
        draw(metrics, estimates, alone, PICTURE)
    if arguments.json:
        print(json.dumps(metrics))
    return 0


def run(folder: Path, setting: Setting) -> tuple[dict[str, Any], dict[str, Floats], Floats]:
    """Measure or read on what is missing; the card, the estimates and the accuracies alone.

    Raises:
        InputError: the folder has another setting's numbers.
    """
    import torch

    torch.set_num_threads(1)
    note = folder / "setting.json"
    mine = json.dumps(asdict(setting))
    expect(
        not note.is_file() or note.read_text("utf-8") == mine,
        f"{folder}: holds numbers of another setting; name another --folder",
    )
    write_text(note, mine)
    bench = Bench(folder, setting, SearchSpace.read(SPACE))
    estimates, alone = bench.estimates(), bench.alone()
    found = card(estimates, alone, bench.costs(), setting.seed, AGAINST)
    about = {
        "command": "python benchmarks/rank_card.py --write",
        "setting": asdict(setting),
        "fidelity": str(PROXIES[cheapest(found, PROXIES)]),
    }
    return {**about, **found}, estimates, alone


if __name__ == "__main__":
    sys.exit(main())
