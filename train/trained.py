"""A training that is over: as it ended, or read from its folder, for which no torch is opened."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from palmette.space import Architecture
from palmette.space.errors import InputError
from palmette.train.run import TRAINING_IMAGES, VALIDATION_IMAGES, best_epoch
from palmette.train.run_folder import TrainingFolder
from palmette.train.tensors import read_info


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training; `history` has a row for each epoch."""

    folder: TrainingFolder
    architecture: Architecture
    history: tuple[dict[str, float], ...]
    skipped: int
    """Images that were left out as damaged."""
    images: int
    """Of validation."""
    training_images: int
    classes: tuple[str, ...]
    """Their names, in the order of the network's outputs."""

    @property
    def best(self) -> dict[str, float]:
        """Row of the epoch whose weights are in `best.safetensors`."""
        return self.history[best_epoch(list(self.history))]


def read_finished(out: Path) -> Trained | None:
    """The training in a folder, if its log has every epoch of the recipe and says all there is.

    Neither its data nor its checkpoint are opened. None: go on with it, or let that say what is
    wrong.
    """
    folder = TrainingFolder(out)
    try:
        config, recipe = folder.read()
        history = _history(folder.log)
        told = read_info(folder.best)
        if len(history) < recipe.epochs:
            return None
        return Trained(
            folder,
            Architecture.from_text(config["architecture"]),
            tuple(history),
            len(_rows(folder.left_out)) if folder.left_out.is_file() else 0,
            int(told["about"][VALIDATION_IMAGES]),
            int(told["about"][TRAINING_IMAGES]),
            tuple(map(str, told["classes"])),
        )
    except (InputError, OSError, KeyError, TypeError, ValueError, OverflowError):
        return None


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _history(log: Path) -> list[dict[str, float]]:
    """Rows as training kept them: whole numbers stay such."""
    return [{name: json.loads(text) for name, text in row.items()} for row in _rows(log)]
