"""From a question to a package: search, supernet, search again, training, export.

*Which small network is the most accurate on my images inside a budget on the iPhone 11's CPU?* The
images are the procedural ones of twenty classes, the networks those of `small.toml`. First the
published prior answers, which has never seen the images; then a supernet, trained on them. Some
networks of the second front and the pick of the first are trained, which shows what the estimates
were worth, and the best of the trained ones is exported.

Every step has its folder and skips what is finished: whatever stops it, the same command goes on.

    python examples/end_to_end.py FOLDER [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from palmette.export import export_for_runtime, verify_weights
from palmette.latency import parse_target
from palmette.search import Run, TrainedFront, resume, run, train_front
from palmette.space import InputError, SearchSpace
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.supernet import load_schedule, resume_supernet, train_supernet
from palmette.train.supernet.run import TrainedRun
from palmette.train.weights import read_weights

SPACE = Path(__file__).resolve().parent / "small.toml"
TARGET, BUDGET_MS = "iphone-11/cpu", 1.6


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    images: int
    """To train on; a fifth as many to validate with."""
    supernet_epochs: int
    epochs: int
    """Of each network that is trained alone."""
    trials: int
    """Networks that the supernet is asked about."""
    shortlist: int
    evaluations: int
    picks: int
    """Networks of the second front that are trained."""


FULL = Scale(8_000, 8, 8, 34, 10, 20_000, 2)
QUICK = Scale(100, 1, 1, 11, 3, 1000, 2)
"""A minute, to see that everything works: these accuracies are those of guessing."""


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="of the results; go on with the same")
    parser.add_argument("--quick", action="store_true", help="a minute: accuracies mean nothing")
    arguments = parser.parse_args()
    try:
        loop(arguments.folder, QUICK if arguments.quick else FULL)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def loop(folder: Path, scale: Scale) -> Path:
    """All five steps in a folder; the package that comes of them."""
    # on images this small crops would hide patterns
    recipe = load_recipe("quick").changed(augment__crop_scale=1.0, schedule__warmup_epochs=0.5)
    data = f"procedural:{scale.images}"
    with step(1, "search by the published prior"):
        first = search_by_prior(folder / "1_prior", scale)
    with step(2, "a supernet of the space, on the images"):
        supernet = train_a_supernet(folder / "2_supernet", data, recipe, scale)
    with step(3, "search by the supernet"):
        second = search_by_supernet(folder / "3_search", supernet, scale)
    with step(4, "networks of both fronts, trained"):
        trained = train_picks(first, second, data, recipe.changed(epochs=scale.epochs), scale)
    with step(5, "export"):
        return ship(folder / "5_package", trained)


@contextmanager
def step(number: int, title: str) -> Iterator[None]:
    """A heading, and how long it took."""
    print(f"\n{number}. {title}", flush=True)
    begin = time.monotonic()
    yield
    print(f"   ({time.monotonic() - begin:.0f} s)", flush=True)


def search_by_prior(folder: Path, scale: Scale) -> Run:
    """What ImageNet's published results say of these networks."""
    found = searched(folder, scale, "prior")
    outside = int(found.front["outside_timed"].sum())
    print(
        f"   {describe(found)}\n   the prior speaks of ImageNet, and was fitted to networks of"
        f" 96 px and more: of its estimates take\n   the order at most; {outside} of"
        f" {len(found.front)} networks do less work than any that was timed, so their\n"
        "   milliseconds are extrapolated"
    )
    return found


def train_a_supernet(folder: Path, data: str, recipe: Recipe, scale: Scale) -> TrainedRun:
    """One network that holds all of the space."""
    if (folder / "run.toml").is_file():
        done = resume_supernet(folder)
    else:
        keys = recipe.changed(epochs=scale.supernet_epochs)
        space, schedule = SearchSpace.read(SPACE), load_schedule("sandwich")
        done = train_supernet(space, data, keys, schedule, folder)
    last = done.history[-1]
    print(
        f"   {done.space.size} networks share its weights; top-1 {last['top1']:.1%} of the largest,"
        f" {last['top1_smallest']:.1%} of the smallest"
    )
    return done


def search_by_supernet(folder: Path, supernet: TrainedRun, scale: Scale) -> Run:
    """The question once more, with accuracies measured on the images."""
    found = searched(folder, scale, f"supernet:{supernet.file}")
    print(
        f"   {describe(found)}\n   {found.problem.accuracy.words()}\n   these are accuracies with"
        " shared weights: they are for ranking, and the best of many is too high"
    )
    return found


def train_picks(
    first: Run, second: Run, data: str, recipe: Recipe, scale: Scale
) -> list[TrainedFront]:
    """Estimated and real accuracies of networks of both fronts."""
    found = [
        train_front(second.folder.path, recipe, data=data, picks=scale.picks),
        train_front(first.folder.path, recipe, data=data, picks=1),
    ]
    for front, rung in zip(found, ("supernet", "prior"), strict=True):
        for row in front.table.to_dict("records"):
            print(
                f"   {rung:8} {row['id'][:8]}{' (pick)' * row['pick']:7} {row['ms']:.2f} ms,"
                f" estimated {row['estimated_top1']:.1f}, real {row['real_top1']:.1f}"
                f" ({row['real_low']:.1f} to {row['real_high']:.1f})"
            )
    for line in found[0].lines():
        print(f"   {line}")
    return found


def ship(folder: Path, trained: list[TrainedFront]) -> Path:
    """The trained network with the best top-1 as a Core ML package, its weights proven."""
    best, front = max(
        ((row, front) for front in trained for row in front.table.to_dict("records")),
        key=lambda pair: pair[0]["real_top1"],
    )
    weights = read_weights(front.run.folder.path / best["weights"])
    target = parse_target(TARGET)
    folder.mkdir(exist_ok=True)
    made = sorted(folder.glob("*.ml*"))
    path = (
        made[0]
        if made
        else export_for_runtime(
            weights.architecture,
            folder / str(best["id"]),
            runtime=target.runtime,
            predicted_ms=float(best["ms"]),
            metadata={"target": str(target), "top1": f"{best['real_top1']:.1f} on {front.data}"},
            **weights.for_export(),
        )
    )
    report = verify_weights(path, weights.module())
    print(
        f"   {path}: top-1 {best['real_top1']:.1f} %, {best['ms']:.2f} ms predicted;"
        f" {report.layers} layers hold the trained weights\n   it is the best of those that were"
        " trained, by the very images that say so: expect a little less; no phone has run it"
    )
    return path


def searched(folder: Path, scale: Scale, accuracy: str) -> Run:
    """A search of the space, or what is left of it."""
    if (folder / "run.toml").is_file():
        return resume(folder)
    return run(
        TARGET,
        BUDGET_MS,
        folder,
        space=str(SPACE),
        accuracy=accuracy,
        evaluations=scale.evaluations,
        shortlist=scale.shortlist,
        trials=scale.trials,
        extrapolate=True,  # nobody timed networks of 64 px
    )


def describe(found: Run) -> str:
    """The front in a line, and the pick."""
    front = found.front
    row = front.loc[front["pick"]].iloc[0]
    return (
        f"{len(front)} on the front, {front['ms'].min():.2f} to {front['ms'].max():.2f} ms; the"
        f" pick takes {row['ms']:.2f} ms\n   (below {row['ms_at_confidence']:.2f} with 80 %), top-1"
        f" {row['top1']:.1f} estimated: {row['architecture']}"
    )


if __name__ == "__main__":
    sys.exit(main())
