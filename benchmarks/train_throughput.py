"""Images a second of our training loop beside timm's pieces and beside a loop without data.

All three train one network by the same optimizer in the same precision. Ours goes through
`palmette.train`: batches, learner, loop. timm's side is its own data set, transforms, loader,
optimizer and schedule with the few lines between them. The bare side repeats forward, backward and
step on one batch that is ready. Sides take turns within a round, in an order drawn for each round,
so that a slow phase of a shared machine hits all alike; the ratio is a geometric mean over rounds
with a one-sided 95 % bound.

Two kinds of data: `synthetic`, images in memory of the network's size, and `disk`, JPEG files that
are decoded, cropped at random and mirrored.

    python benchmarks/train_throughput.py [--network N --side PX --batch N --device D] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.files import write_text
from palmette.train.datasets import ArrayImages, ImageSet, procedural
from palmette.train.datasets.folder import read_classes
from palmette.train.device import Normalisation, autocast, determinism, find_device
from palmette.train.learner import Learner, criterion_of
from palmette.train.loading import Batches
from palmette.train.loop import Tally, train_epoch
from palmette.train.recipe import Recipe, load_recipe
from palmette.train.transforms import training_transform
from palmette.train.weights import with_classes

Floats = NDArray[np.float64]
Run = Callable[[int, Callable[[], None]], None]
"""Takes so many training steps, from data that begin anew, and calls a function after each."""

RESULTS = Path(__file__).resolve().parents[1] / "results" / "train_throughput.json"
CLASSES = 20
FILES, FILE_SIDE = 320, 256
WARM = 2
"""Steps of a section before its time begins: workers are at work, and their queues are full."""
LEVEL = 0.95
NUMBERS = Normalisation()


def our_side(module: nn.Module, recipe: Recipe, images: ImageSet, side: int, device: Any) -> Run:
    """Training as `palmette train` does it."""
    transform = training_transform(recipe.augment, (side, side), NUMBERS.mean)
    batches = Batches(
        images, transform, recipe.batch, seed=0, workers=recipe.compute.workers, device=device
    )
    learner = Learner(
        module,
        recipe,
        criterion_of(recipe),
        classes=CLASSES,
        steps=len(batches),
        normalisation=NUMBERS,
        device=device,
    )

    def run(steps: int, tick: Callable[[], None]) -> None:
        epochs = itertools.count()
        endless = itertools.chain.from_iterable(batches.epoch(number) for number in epochs)
        train_epoch(learner, itertools.islice(endless, steps), Tally(), lambda _: tick())

    return run


class _Arrays(torch.utils.data.Dataset[Any]):
    """Images in memory as timm's collating takes them."""

    def __init__(self, images: ArrayImages) -> None:
        self.pixels = np.ascontiguousarray(images.pixels.transpose(0, 3, 1, 2))
        self.labels = images.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.pixels[index], self.labels[index]


def timm_loader(images: ImageSet, folder: Path, recipe: Recipe, side: int, device: Any) -> Any:
    """timm's loader of the same images, with the same augmentation."""
    from timm.data import ImageDataset, create_loader
    from timm.data.loader import PrefetchLoader, fast_collate

    workers, half = recipe.compute.workers, (0.5, 0.5, 0.5)
    if isinstance(images, ArrayImages):
        loader = torch.utils.data.DataLoader(
            _Arrays(images),
            recipe.batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            collate_fn=fast_collate,
        )
        return PrefetchLoader(loader, mean=half, std=half, device=device)
    augment = recipe.augment
    return create_loader(
        ImageDataset(str(folder)),
        (3, side, side),
        recipe.batch,
        is_training=True,
        scale=(augment.crop_scale, 1.0),
        ratio=(augment.crop_ratio, 1 / augment.crop_ratio),
        hflip=augment.flip,
        color_jitter=None,
        interpolation="bilinear",
        mean=half,
        std=half,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        device=device,
    )


def timm_side(module: nn.Module, recipe: Recipe, loader: Any, device: Any) -> Run:
    """timm's optimizer, schedule and loader in the shortest loop."""
    import timm.optim
    import timm.scheduler

    layout = torch.channels_last if recipe.compute.channels_last else torch.contiguous_format
    module = module.to(device=device, memory_format=layout).train()
    optimizer = timm.optim.create_optimizer_v2(
        module, "sgd", lr=recipe.optimizer.lr, weight_decay=recipe.optimizer.weight_decay
    )
    schedule = timm.scheduler.CosineLRScheduler(optimizer, 10_000, t_in_epochs=False)
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.loss.label_smoothing).to(device)
    forward = torch.compile(module) if recipe.compute.compile else module
    updates = itertools.count()

    def run(steps: int, tick: Callable[[], None]) -> None:
        endless = itertools.chain.from_iterable(loader for _ in itertools.count())
        for images, labels in itertools.islice(endless, steps):
            images = images.contiguous(memory_format=layout)
            with autocast(device, recipe.compute):
                loss = loss_of(forward(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step_update(next(updates))
            tick()

    return run


def bare_side(module: nn.Module, recipe: Recipe, side: int, device: Any) -> Run:
    """Forward, backward and step on a batch that is ready."""
    layout = torch.channels_last if recipe.compute.channels_last else torch.contiguous_format
    module = module.to(device=device, memory_format=layout).train()
    optimizer = torch.optim.SGD(module.parameters(), 1e-3, momentum=0.9, nesterov=True)
    images = torch.rand((recipe.batch, 3, side, side), device=device).to(memory_format=layout)
    labels = torch.arange(recipe.batch, device=device) % CLASSES
    forward = torch.compile(module) if recipe.compute.compile else module

    def run(steps: int, tick: Callable[[], None]) -> None:
        for _ in range(steps):
            with autocast(device, recipe.compute):
                loss = nn.functional.cross_entropy(forward(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tick()

    return run


def measure(sides: dict[str, Run], recipe: Recipe, steps: int, rounds: int, device: Any) -> Any:
    """Images a second of each side in each round, (rounds,)."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    # on one thread of the CPU its own time is measured: neighbours on a shared machine take none
    alone = device.type == "cpu" and recipe.compute.workers == 0 and torch.get_num_threads() == 1
    for number in range(rounds + 1):
        for name in np.random.default_rng(number).permutation(list(sides)).tolist():
            took = _section(sides[name], steps, device, alone)
            if number:  # the first round warms up
                rates[name].append(recipe.batch * steps / took)
        print(f"round {number} of {rounds}", flush=True)
    return {name: np.array(found) for name, found in rates.items()}


def _section(run: Run, steps: int, device: Any, alone: bool) -> float:
    """Seconds of `steps` steps; of this process on its core if nothing else works for it."""
    clock = time.process_time if alone else time.perf_counter
    done, begin = 0, 0.0

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock()

    def tick() -> None:
        nonlocal done, begin
        done += 1
        if done == WARM:
            begin = now()

    run(WARM + steps, tick)
    return now() - begin


def ratio(ours: Floats, theirs: Floats) -> dict[str, float]:
    """Geometric mean of the rounds' ratios, with its one-sided lower bound."""
    logs = np.log(ours / theirs)
    error = logs.std(ddof=1) / len(logs) ** 0.5
    lower = logs.mean() - stats.t.ppf(LEVEL, len(logs) - 1) * error
    return {"ratio": float(np.exp(logs.mean())), "lower": float(np.exp(lower))}


def write_files(folder: Path) -> ImageSet:
    """JPEG files of procedural images in class folders."""
    from PIL import Image

    made = procedural(FILES, FILE_SIDE)
    for at, (pixels, label) in enumerate(zip(made.pixels, made.labels.tolist(), strict=True)):
        path = folder / made.classes[label] / f"{at}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
    return read_classes(folder)


def compare(
    architecture: Architecture, recipe: Recipe, steps: int, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Metrics of both kinds of data; prints as it goes."""
    side = architecture.resolution[0]
    found: dict[str, Any] = {}
    plain = recipe.changed(augment__crop_scale=1.0, augment__flip=0.0)
    with tempfile.TemporaryDirectory() as name, determinism(False):
        folder = Path(name)
        kinds = {
            "synthetic": (plain, procedural(max(64, 2 * recipe.batch), side)),
            "disk": (recipe, write_files(folder)),
        }
        for kind, (own, images) in kinds.items():
            sides = {
                "ours": our_side(architecture.build(), own, images, side, device),
                "timm": timm_side(
                    architecture.build(),
                    own,
                    timm_loader(images, folder, own, side, device),
                    device,
                ),
                "bare": bare_side(architecture.build(), own, side, device),
            }
            rates = measure(sides, own, steps, rounds, device)
            found[kind] = {
                **{f"{name}_images_per_s": float(np.median(rate)) for name, rate in rates.items()},
                "to_timm": ratio(rates["ours"], rates["timm"]),
                "to_bare": ratio(rates["ours"], rates["bare"]),
            }
            print(kind, json.dumps(found[kind]), flush=True)
    return {
        "ratio_to_timm_lower": min(found[kind]["to_timm"]["lower"] for kind in found),
        "ratio_to_timm": min(found[kind]["to_timm"]["ratio"] for kind in found),
        "ratio_to_bare": found["synthetic"]["to_bare"]["ratio"],
        **found,
    }


def arguments_of(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Command line."""
    parser.add_argument("--network", default="mobilenet_v2", help="of the zoo, or a text")
    parser.add_argument("--side", type=int, default=96, help="of the images in px")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--steps", type=int, default=5, help="of a section")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    return parser.parse_args()


def main() -> int:
    """Command line; 2 for bad input."""
    arguments = arguments_of(argparse.ArgumentParser(description=__doc__.split("\n", 1)[0]))
    torch.set_num_threads(arguments.threads)
    try:
        text = arguments.network
        network = Architecture.from_text(text) if "|" in text else load(text)
        network = with_classes(network.with_resolution(arguments.side), CLASSES)
        recipe = load_recipe("mobilenet").changed(
            batch=arguments.batch,
            augment__colour_jitter=0.0,
            loss__dropout=0.0,
            optimizer__lr=0.005,
            compute__precision=arguments.precision,
            compute__compile=arguments.compile,
            compute__workers=arguments.workers,
        )
        device = find_device(arguments.device)
        metrics = compare(network, recipe, arguments.steps, arguments.rounds, device)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    about = {
        "command": "python benchmarks/train_throughput.py " + " ".join(_given()),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else str(device),
        **metrics,
    }
    write_text(arguments.out, json.dumps(about, indent=1) + "\n")
    print(
        f"ours to timm at least {metrics['ratio_to_timm_lower']:.3f} (95 %), to a loop without data"
        f" {metrics['ratio_to_bare']:.3f}"
    )
    if arguments.json:
        print(json.dumps(metrics))
    return 0


def _given() -> Iterator[str]:
    """The command line without what only says where results go."""
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--json":
            yield word


if __name__ == "__main__":
    sys.exit(main())
