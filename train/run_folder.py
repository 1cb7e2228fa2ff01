"""The folder of a training: `run.toml`, `recipe.toml`, `log.csv`, weights and the checkpoint."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space.files import write_text
from palmette.space.lock import held
from palmette.space.run_file import expect_begun, expect_free, read_run_file, write_run_file
from palmette.space.toml import to_toml
from palmette.train import recipe as recipes
from palmette.train.recipe import Recipe, load_recipe

if TYPE_CHECKING:
    from palmette.train.datasets import Data

FORMAT = "palmette/training@1"
_LIBRARIES = ("palmette", "torch", "torchvision", "timm", "numpy", "pillow")
LOCK, WRITER_LOCK = "driver.lock", "writer.lock"


@dataclass(frozen=True, slots=True)
class TrainingFolder:
    """Paths of a training."""

    path: Path

    @property
    def config(self) -> Path:
        """Everything but the recipe that is needed to repeat it."""
        return self.path / "run.toml"

    @property
    def recipe(self) -> Path:
        """The recipe as it was followed; it can be given to another training."""
        return self.path / "recipe.toml"

    @property
    def checkpoint(self) -> Path:
        """What an interrupted training goes on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the epoch with the best top-1."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """Weights of the last finished epoch."""
        return self.path / "last.safetensors"

    @property
    def log(self) -> Path:
        """A row for each finished epoch."""
        return self.path / "log.csv"

    @property
    def left_out(self) -> Path:
        """Images that were skipped as damaged, with reasons."""
        return self.path / "skipped_images.csv"

    @property
    def bad_batch(self) -> Path:
        """The batch whose loss was no number."""
        return self.path / "bad_batch.safetensors"

    @property
    def curves(self) -> Path:
        """TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def ray(self) -> Path:
        """Ray's own notes, while its workers train."""
        return self.path / "ray"

    @property
    def strangers(self) -> list[str]:
        """Names of what lies there and no training writes."""
        ours = [self.config, self.recipe, self.checkpoint, self.best, self.last, self.log]
        ours += [self.left_out, self.bad_batch, self.curves, self.ray]
        names = {LOCK, WRITER_LOCK, *(path.name for path in ours)}
        unfinished = tuple(f".{name}." for name in names)  # a file that was being written
        found = sorted(path.name for path in self.path.iterdir())
        return [name for name in found if name not in names and not name.startswith(unfinished)]

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Hold the right to write of the first of several workers, waiting for the one before.

        Raises:
            InputError: another worker keeps it for a minute.
        """
        with held(self.path, WRITER_LOCK, "worker of a training", self.config.is_file, 60.0):
            yield

    @contextmanager
    def driver(self) -> Iterator[None]:
        """Hold the folder for this process; made here and left without a run, it is removed.

        Raises:
            InputError: another process holds it, or it can't be made or written.
        """
        with held(self.path, LOCK, "training", self.config.is_file):
            yield

    def begin(self, config: Mapping[str, Any], recipe: Recipe, data: Data) -> None:
        """Write what a new run is made of, and which images it leaves out.

        Raises:
            InputError: the folder holds something already.
        """
        expect_free(self.path, LOCK)
        self.write_recipe(recipe)
        table = {**config, "fingerprint": data.fingerprint}
        write_run_file(self.config, FORMAT, "train", table, _LIBRARIES)
        if data.corrupt:
            rows = [{"image": item.name, "reason": item.reason} for item in data.corrupt]
            write_text(self.left_out, _csv(list(rows[0]), rows))

    def write_recipe(self, recipe: Recipe) -> None:
        """Write `recipe.toml`."""
        keys = recipe.to_dict()
        top = {name: value for name, value in keys.items() if not isinstance(value, dict)}
        tables = {name: value for name, value in keys.items() if isinstance(value, dict)}
        write_text(self.recipe, to_toml({"": {"format": recipes.FORMAT, **top}, **tables}))

    def read(self) -> tuple[dict[str, Any], Recipe]:
        """Table `train` of `run.toml`, and the recipe.

        Raises:
            InputError: no training in this folder, or a file of it is corrupt.
        """
        expect_begun(self.config, "training")
        config, _ = read_run_file(self.config, FORMAT, "train")
        return config, load_recipe(str(self.recipe))

    def write_log(self, history: list[dict[str, float]]) -> None:
        """Write `log.csv` anew from the finished epochs."""
        if history:
            write_text(self.log, _csv(list(history[0]), history))


def _csv(columns: list[str], rows: list[Any]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
