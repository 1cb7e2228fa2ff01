"""A MobileNetV2-style network on scikit-learn's digits: five folds, top-1 and time of each.

Each fold trains on four fifths of the 1,797 images and is scored on the rest, by the weights of the
last epoch: no epoch is chosen on the images that it is scored on.

    python benchmarks/digits_folds.py [--folds N --seed N --threads N --out FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from palmette.space import Architecture, InputError
from palmette.space.files import write_text
from palmette.train.datasets import Data, Subset, digits, folds
from palmette.train.datasets.check import checked
from palmette.train.recipe import (
    Augment,
    Compute,
    Loss,
    Optimizer,
    Recipe,
    Schedule,
)
from palmette.train.trainer import train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "digits_folds.json"
NETWORK = (
    "16x16 stem_k3_s1_c24_relu6 | ds_k3_s1_c16_relu6 | ir_r2_k3_s2_e4_c32_relu6"
    " | ir_r2_k3_s2_e4_c48_relu6 | head_c256_relu6_n10"
)
RECIPE = Recipe(
    epochs=40,
    batch=64,
    optimizer=Optimizer(name="adamw", lr=4e-3, smoothing=0.999, weight_decay=0.05, clip_norm=5.0),
    schedule=Schedule(warmup_epochs=2),
    augment=Augment(crop_scale=1.0, flip=0.0, shift=0.08, rotate=12.0, val_crop=1.0),
    loss=Loss(label_smoothing=0.1, ema_decay=0.99),
    compute=Compute(workers=0),
)


def run(count: int, seed: int, threads: int) -> dict[str, Any]:
    """Train and score each fold; prints as it goes."""
    import torch

    torch.set_num_threads(threads)
    architecture, whole = Architecture.from_text(NETWORK), digits()
    hashes = checked(whole, "digits").hashes
    rows = []
    for fold, (own, held) in enumerate(folds(whole.labels, count, seed, hashes)):
        data = Data(f"digits fold {fold}", Subset(whole, own), Subset(whole, held))
        begin, busy = time.monotonic(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            done = train(
                architecture, data, RECIPE, Path(folder) / "run", seed=seed + fold, device="cpu"
            )
        row = {
            "top1": 100 * done.history[-1]["top1"],
            "seconds": time.monotonic() - begin,
            "cpu_seconds": time.process_time() - busy,
        }
        rows.append(row)
        print(
            f"fold {fold + 1}: {row['top1']:.2f} % top-1, {row['seconds']:.0f} s"
            f" ({row['cpu_seconds']:.0f} s of CPU)",
            flush=True,
        )
    tops = np.array([row["top1"] for row in rows])
    return {
        "top1_mean": float(tops.mean()),
        "top1_worst": float(tops.min()),
        "seconds_worst": max(row["seconds"] for row in rows),
        "cpu_seconds_worst": max(row["cpu_seconds"] for row in rows),
        "folds": count,
        "seed": seed,
        "threads": threads,
        "params": architecture.params(),
        "macs_m": architecture.macs() / 1e6,
        "network": NETWORK,
        "rows": rows,
    }


def main() -> int:
    """Command line; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file for the metrics")
    parser.add_argument("--json", action="store_true", help="metrics as JSON on the last line")
    arguments = parser.parse_args()
    try:
        metrics = run(arguments.folds, arguments.seed, arguments.threads)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    command = (
        f"python benchmarks/digits_folds.py --folds {arguments.folds} --seed {arguments.seed}"
        f" --threads {arguments.threads}"
    )
    write_text(arguments.out, json.dumps({"command": command, **metrics}, indent=1) + "\n")
    print(
        f"mean of {arguments.folds} folds: {metrics['top1_mean']:.2f} % top-1 (worst"
        f" {metrics['top1_worst']:.2f} %), at most {metrics['seconds_worst']:.0f} s a fold"
    )
    if arguments.json:
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
