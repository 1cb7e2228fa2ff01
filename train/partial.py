"""Trainings that stop at an epoch, and go on later from where their folder stands.

The learning rate falls as in the whole training, of which each stop is a prefix: what was trained
is never trained again, and the accuracy at an epoch is the one that the whole training logs there.
A schedule of the short length would end annealed, but nothing could go on from it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from palmette.space import Architecture, InputError
from palmette.space.errors import expect
from palmette.space.lock import Held
from palmette.train.checkpoint import epochs_done
from palmette.train.datasets import Data
from palmette.train.recipe import Recipe
from palmette.train.run_folder import LOCK, TrainingFolder
from palmette.train.trainer import resume, train


def train_until(
    architecture: Architecture,
    data: Data,
    recipe: Recipe,
    out: Path | None,
    epochs: int,
    *,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, float]:
    """Row of an epoch in the log of a training, which goes on only as far as it has to.

    A folder that another process works in is left to it, and one whose checkpoint is damaged is
    begun anew: either way the row is that of a training in one go. It is equal to the last bit only
    in deterministic mode and with as many threads.

    Args:
        architecture: the network.
        data: its images, the same at each call.
        recipe: of the whole training, the same at each call.
        out: folder of the training; None keeps nothing.
        epochs: the row to return, 1 to those of the recipe.
        seed: of the training.
        device: where it is computed.

    Raises:
        InputError: no such epoch, a folder with files of others, or as `train.trainer.train`.
    """
    expect(
        1 <= epochs <= recipe.epochs,
        f"epochs: must be 1 to the recipe's {recipe.epochs}, got {epochs}",
    )
    more: dict[str, Any] = {"seed": seed, "device": device, "until": epochs}
    if out is not None:
        try:
            return _continued(architecture, data, recipe, out, epochs, more)
        except Held:
            pass
    with tempfile.TemporaryDirectory() as scratch:
        done = train(architecture, data, recipe, Path(scratch) / "training", **more)
    return done.history[epochs - 1]


def _continued(
    architecture: Architecture,
    data: Data,
    recipe: Recipe,
    out: Path,
    epochs: int,
    more: dict[str, Any],
) -> dict[str, float]:
    folder = TrainingFolder(out)
    with folder.driver():  # nobody begins or cleans up beside us
        begun = folder.config.is_file() and _intact(folder)
        if not begun and out.is_dir():
            _emptied(folder)
    if begun:
        return resume(out, until=epochs, data=data).history[epochs - 1]
    return train(architecture, data, recipe, out, **more).history[epochs - 1]


def _intact(folder: TrainingFolder) -> bool:
    try:
        epochs_done(folder.checkpoint)
    except InputError:
        return False
    return True


def _emptied(folder: TrainingFolder) -> None:
    """Take away what a training left that can't go on; its lock stays, as it is held."""
    strangers = folder.strangers
    if strangers:
        raise InputError(
            f"{folder.path}: holds {strangers[0]!r}, which no training wrote; name another folder"
        )
    for path in folder.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
