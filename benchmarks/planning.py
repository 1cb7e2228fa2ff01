"""What a plan of ops is worth: error of whole networks against the number of ops that were timed.

A draw holds whole families of networks out, in six folds of its own. In each fold the kernels of
the other networks are candidates; their milliseconds are hidden from whoever chooses. Three choose,
each for all budgets at once, and all get the same five calibration networks and the same timing of
a kernel, one of those that the files have of it:

* planned: `choose_kernels`, as `palmette latency plan` does;
* random: uniformly;
* k-centre: always the kernel that is farthest from those taken (Gonzalez, 1985), the first drawn.

The op model is fitted to the chosen kernels, calibrated on the five networks, and asked for the
families that were held out. It is one form throughout: choosing among forms anew for each of some
thousand fits would take hours. The five networks are those that a plan takes (`choose_networks`);
the same errors with five random ones stand beside it. Differences are paired by draw.

    python benchmarks/planning.py [--ops FILE --networks FILE --families FILE] [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from palmette.latency.per_op.kernels import KernelTable
from palmette.latency.per_op.network_cost import (
    NetworkCalibration,
    TimedNetworks,
    family_folds,
    least_kernel_ms,
)
from palmette.latency.per_op.op_cost import fit_op_models
from palmette.latency.planning.calibration import choose_networks, describe
from palmette.latency.planning.herding import choose_kernels
from palmette.latency.planning.rough import rough_ms
from palmette.latency.validation.inside import FOLDS, Loaded, read
from palmette.space import InputError
from palmette.space.errors import expect
from palmette.space.files import write_text
from palmette.space.third_party import third_party_folder

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESULTS = Path(__file__).resolve().parents[1] / "results" / "planning.json"
DATA = third_party_folder()
DEFAULTS = {
    "ops": DATA / "iphone_xs_gpu_tflite_ops.csv.gz",
    "networks": DATA / "iphone_xs_gpu_tflite_networks.csv.gz",
    "families": DATA / "network_families.csv",
}
BUDGETS = (25, 50, 100, 200, 400, 800)
DRAWS, CALIBRATION, UNIT = 20, 5, "gpu"
MODEL = "trees"
"""The form that is chosen on all rows of the default files."""
PLANNED, RANDOM, CENTRE = ARMS = ("planned", "random", "kcentre")
TYPICAL, DRAWN = CALIBRATIONS = ("typical", "drawn")
"""Calibration networks: those of a plan, or random ones."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be timed in a fold: kernels that differ, and a guess of what each takes in all.

    `rows` (kernels,) are indices of the timing of each that this draw gives.
    """

    kernels: KernelTable
    total_ms: Floats
    rows: Ints


Chooser = Callable[[Candidates, int, np.random.Generator], Ints]


def planned(candidates: Candidates, count: int, rng: np.random.Generator) -> Ints:
    """Kernels of a plan."""
    return choose_kernels(candidates.kernels, candidates.total_ms, count)


def drawn(candidates: Candidates, count: int, rng: np.random.Generator) -> Ints:
    """Any kernels."""
    return rng.permutation(len(candidates.kernels))[:count]


def centres(candidates: Candidates, count: int, rng: np.random.Generator) -> Ints:
    """Kernels far from each other, all columns of work (logs) and traits on one scale."""
    kernels = candidates.kernels
    points = np.column_stack([np.log(np.maximum(kernels.work, 1.0)), kernels.traits])
    points = points / np.maximum(points.std(axis=0), 1e-9)
    order = [int(rng.integers(len(points)))]
    far = np.full(len(points), np.inf)
    while len(order) < min(count, len(points)):
        far = np.minimum(far, ((points - points[order[-1]]) ** 2).sum(axis=1))
        order.append(int(np.argmax(far)))
    return np.array(order)


CHOOSERS: Mapping[str, Chooser] = {PLANNED: planned, RANDOM: drawn, CENTRE: centres}


def candidates_of(networks: TimedNetworks, rng: np.random.Generator) -> Candidates:
    """Kernels of networks as candidates; whose milliseconds stay out of it."""
    kernels, back = networks.kernels.distinct()
    total_ms = rough_ms(kernels, UNIT) * np.bincount(back)
    rows = np.zeros(len(kernels), dtype=np.int64)
    order = rng.permutation(len(back))
    rows[back[order]] = order
    return Candidates(kernels, total_ms, rows)


def calibration_networks(networks: TimedNetworks, rng: np.random.Generator) -> dict[str, Ints]:
    """Five networks of those that are not held out, both ways; their milliseconds are not read."""
    guess = networks.sums(rough_ms(networks.kernels, UNIT))
    counts = networks.sums(np.ones(len(networks.kernels)))
    slow = networks.sums((networks.kernels.slow > 0).astype(float))
    return {
        TYPICAL: choose_networks(describe(guess, counts, slow), CALIBRATION),
        DRAWN: rng.choice(len(networks.ms), CALIBRATION, replace=False),
    }


def shuffled_folds(families: Sequence[str], rng: np.random.Generator) -> Ints:
    """Folds of whole families, by names that are drawn anew: ties of size fall otherwise."""
    names = sorted(set(families))
    anew = dict(zip(names, rng.permutation(len(names)), strict=True))
    order = rng.permutation(FOLDS)
    folds: Ints = order[family_folds([f"{anew[family]:06d}" for family in families], FOLDS)]
    return folds


def one_draw(networks: TimedNetworks, draw: int, budgets: Sequence[int]) -> Floats:
    """Errors in % over all networks, (arms, calibrations, budgets)."""
    fold = shuffled_folds(networks.families, np.random.default_rng([draw, FOLDS]))
    off = np.zeros((len(ARMS), len(CALIBRATIONS), len(budgets), len(networks.ms)))
    for held in range(FOLDS):
        out = fold == held
        known, asked = networks.take(~out), networks.take(out)
        candidates = candidates_of(known, np.random.default_rng([draw, held, 0]))
        picked = calibration_networks(known, np.random.default_rng([draw, held, 1]))
        for arm, name in enumerate(ARMS):
            rng = np.random.default_rng([draw, held, 2])
            order = CHOOSERS[name](candidates, max(budgets), rng)
            for at, budget in enumerate(budgets):
                found = predicted(known, asked, candidates, order[:budget], picked)
                off[arm, :, at][:, out] = np.abs(found / asked.ms - 1)
    return 100 * off.mean(axis=-1)


def predicted(
    known: TimedNetworks,
    asked: TimedNetworks,
    candidates: Candidates,
    chosen: Ints,
    picked: Mapping[str, Ints],
) -> Floats:
    """Milliseconds of networks from chosen kernels, by calibration: (calibrations, networks)."""
    ms = known.kernel_ms[candidates.rows[chosen]]
    model = fit_op_models(candidates.kernels.take(chosen), ms, [MODEL])[MODEL]
    wanted = asked.features(model.op_ms(asked.kernels))
    rows = []
    for name in CALIBRATIONS:
        chosen_networks = np.isin(np.arange(len(known.ms)), picked[name])
        some = known.take(chosen_networks)
        fitted = NetworkCalibration(least_kernel_ms(ms)).fit(
            some.features(model.op_ms(some.kernels)), some.ms
        )
        rows.append(fitted.predict(wanted))
    return np.stack(rows)


def kept_draws(path: Path | None, about: Mapping[str, Any]) -> list[Floats]:
    """Errors of the draws that a file holds, (arms, calibrations, budgets) each; or begin it.

    Raises:
        InputError: it holds draws of something else.
    """
    if path is None:
        return []
    if not path.exists():
        write_text(path, json.dumps(about) + "\n")
    head, *lines = path.read_text("utf-8").splitlines()
    expect(json.loads(head) == about, f"{path}: holds draws of something else; name another file")
    return [np.array(json.loads(line)) for line in lines]


def measure(
    loaded: Loaded,
    draws: int = DRAWS,
    budgets: Sequence[int] = BUDGETS,
    kept: Path | None = None,
) -> dict[str, Any]:
    """All metrics; prints how far it is. Draws go to the file `kept`, and are not drawn again."""
    names = hashlib.sha256(" ".join(loaded.names).encode()).hexdigest()[:12]
    about = {"networks": names, "model": MODEL, "budgets": list(budgets)}
    begin, errors = time.monotonic(), kept_draws(kept, about)[:draws]
    for draw in range(len(errors), draws):
        with threadpool_limits(1):  # of small matrices: threads would wait for each other
            errors.append(one_draw(loaded.networks, draw, budgets))
        if kept is not None:
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(errors[-1].tolist()) + "\n")
        seconds = time.monotonic() - begin
        print(f"draw {draw + 1} of {draws}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return {
        **summary(np.array(errors), budgets),
        "draws": draws,
        "networks": len(loaded.names),
        "kernels": len(loaded.networks.kernels.distinct()[0]),
        "put_aside": len(loaded.put_aside),
    }


def summary(errors: Floats, budgets: Sequence[int]) -> dict[str, Any]:
    """Metrics of errors (draws, arms, calibrations, budgets).

    `gain_over_*` are paired differences, the other's error less the plan's, with the standard error
    of their mean; `least_z` is the least of those ratios over all budgets.
    """
    found: dict[str, Any] = {}
    for way, calibration in enumerate(CALIBRATIONS):
        tail = "" if calibration == TYPICAL else f"_{calibration}"
        for at, budget in enumerate(budgets):
            for arm, name in enumerate(ARMS):
                place = f"mape{'' if name == PLANNED else '_' + name}_{budget}{tail}"
                found[place] = float(errors[:, arm, way, at].mean())
        for name in (RANDOM, CENTRE):
            gains = errors[:, ARMS.index(name), way] - errors[:, ARMS.index(PLANNED), way]
            means = gains.mean(axis=0)
            noise = gains.std(axis=0, ddof=1) / math.sqrt(len(gains))
            for at, budget in enumerate(budgets):
                found[f"gain_over_{name}_{budget}{tail}"] = float(means[at])
                found[f"gain_over_{name}_{budget}_se{tail}"] = float(noise[at])
            found[f"least_z_over_{name}{tail}"] = float((means / np.maximum(noise, 1e-12)).min())
    return found


def show(metrics: Mapping[str, Any], budgets: Sequence[int] = BUDGETS) -> None:
    """Print both tables."""
    print(
        f"{metrics['networks']} networks, {metrics['kernels']} kernels that differ, {FOLDS} folds"
        f" of families, {metrics['draws']} draws, {CALIBRATION} calibration networks; error in %"
    )
    for calibration in CALIBRATIONS:
        tail = "" if calibration == TYPICAL else f"_{calibration}"
        print(f"\n{f'calibration networks: {calibration}':<32}{'ops:':>6}", end="")
        print("".join(f"{budget:>14}" for budget in budgets))
        for name in ARMS:
            middle = "" if name == PLANNED else f"_{name}"
            cells = [f"{metrics[f'mape{middle}_{budget}{tail}']:14.2f}" for budget in budgets]
            print(f"{name:<38}{''.join(cells)}")
        for name in (RANDOM, CENTRE):
            places = [f"gain_over_{name}_{budget}" for budget in budgets]
            gains = [(metrics[p + tail], metrics[f"{p}_se{tail}"]) for p in places]
            cells = [f"{f'{gain:+.2f} ± {noise:.2f}':>14}" for gain, noise in gains]
            print(f"{f'{name} less planned, paired':<38}{''.join(cells)}")


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name, path in DEFAULTS.items():
        parser.add_argument(f"--{name}", type=Path, default=path, help=f"CSV of {name}")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"2 or more, default {DRAWS}")
    parser.add_argument("--kept", type=Path, help="file of draws, to go on with")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    given = {name: getattr(arguments, name) for name in DEFAULTS}
    if given == DEFAULTS and not all(path.is_file() for path in given.values()):
        print(f"skipped: the third-party timings are not in {DATA}; name files of your own")
        return 0
    try:
        loaded = read(**given)
        expect(arguments.draws >= 2, f"--draws: must be 2 or more, got {arguments.draws}")
        metrics = measure(loaded, arguments.draws, kept=arguments.kept)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(metrics)
    files = " ".join(f"--{name} {path.name}" for name, path in given.items())
    about = {"command": f"python benchmarks/planning.py {files} --draws {arguments.draws}"}
    write_text(arguments.out, json.dumps({**about, **metrics}, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
