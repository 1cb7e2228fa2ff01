"""Curves as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palmette.space import Architecture
from palmette.train.curves import curves
from palmette.train.recipe import load_recipe
from palmette.train.trainer import train

Read = Callable[[Path, str], dict[int, float]]


@pytest.fixture(scope="module")
def read() -> Read:
    """Values of a curve by epoch, by TensorBoard's own reader."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def values(folder: Path, name: str) -> dict[int, float]:
        found = accumulator.EventAccumulator(str(folder))
        found.Reload()
        return {event.step: event.value for event in found.Scalars(name)}

    return values


def test_a_training_draws_what_its_log_says(tmp_path: Path, read: Read) -> None:
    network = Architecture.from_text("16x16 stem_k3_s2_c4_relu | ds_k3_s1_c4_relu | head")
    recipe = load_recipe("quick").changed(epochs=3, batch=20)
    done = train(network, "procedural:40", recipe, tmp_path / "run", device="cpu")
    for name in ("train_loss", "val_loss", "top1", "top5", "lr", "images_per_s"):
        logged = np.array([row[name] for row in done.history], np.float32)
        assert read(done.folder.curves, name) == dict(enumerate(logged.tolist()))


def test_what_an_interrupted_run_drew_beyond_its_checkpoint_is_dropped(
    tmp_path: Path, read: Read
) -> None:
    with curves(tmp_path, 0) as plot:
        for epoch in range(4):
            plot(epoch, {"loss": 4.0 - epoch})
    with curves(tmp_path, 2) as plot:
        plot(2, {"loss": 0.5})
    assert read(tmp_path, "loss") == {0: 4.0, 1: 3.0, 2: 0.5}
