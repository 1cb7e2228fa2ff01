"""One process's share of a training: from the folder's checkpoint, if it has one, to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture
from palmette.space.errors import InputError, expect
from palmette.train.datasets import Data, class_weights, pixel_statistics
from palmette.train.recipe import Recipe
from palmette.train.run_folder import TrainingFolder
from palmette.train.weights import TrainedWeights, read_weights, write_weights

if TYPE_CHECKING:
    from torch import nn

    from palmette.train.checkpoint import Progress
    from palmette.train.device import Normalisation
    from palmette.train.learner import Learner
    from palmette.train.loading import Batches
    from palmette.train.loop import LossWatch, NotFinite

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), 0.2258
"""The usual means of ImageNet; the deviation is the mean of its usual three."""


@dataclass(frozen=True, slots=True)
class State:
    """What a progress bar shows."""

    epoch: int
    epochs: int
    step: int
    """Steps done, of the whole training."""
    steps: int
    loss: float
    top1: float
    """Best so far, from 0 to 1; not a number before the first epoch ends."""
    images_per_s: float


Watcher = Callable[[State], None]


@dataclass(frozen=True, slots=True)
class Config:
    """A training from plain values, as `run.toml` has it.

    Args:
        architecture: text of the network, with the classes of the data.
        data: see `open_data`.
        share: of validation, where the data have no split of their own.
        seed: of weights, split, order, augmentation.
        device: `auto`, `cpu`, `cuda`, `mps`.
        weights: file of weights to begin with, or None.
        timm: timm's name of the network that these are of; None if they are ours.
        teacher: file of weights of a network to learn from, or None.
        halve: on a lack of memory halve the batch and accumulate, instead of stopping.
        threads: of the CPU; sums depend on them.
    """

    architecture: str
    data: str
    share: float = 0.2
    seed: int = 0
    device: str = "auto"
    weights: str | None = None
    timm: str | None = None
    teacher: str | None = None
    halve: bool = False
    threads: int = 0


class Run:
    """A training in its folder."""

    def __init__(
        self,
        folder: TrainingFolder,
        config: Config,
        recipe: Recipe,
        data: Data,
        checkpoint_seconds: float,
        watch: Watcher | None,
    ) -> None:
        from palmette.train.device import find_device

        self.folder, self.config, self.recipe, self.data = folder, config, recipe, data
        self.checkpoint_seconds = checkpoint_seconds
        self.watch = watch or (lambda state: None)
        self.architecture = Architecture.from_text(config.architecture)
        self.device = find_device(config.device)
        self.start = self._start_weights()
        # weights mean something only for images as they were trained on
        self.normalisation = (
            normalisation_of(recipe, data, config.seed)
            if self.start is None
            else self.start.normalisation
        )
        self.taught = self._teacher_weights()
        self.training, self.validation = self._batches(recipe)

    def finish(self) -> list[dict[str, float]]:
        """Train to the last epoch, with less memory if need be; a row for each epoch."""
        import torch

        from palmette.train.device import OutOfMemory, determinism

        devices = [self.device] if self.device.type == "cuda" else []
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=devices), determinism(self.recipe.compute.deterministic):
            if self.recipe.compute.deterministic and self.config.threads:
                torch.set_num_threads(self.config.threads)
            try:
                while True:
                    try:
                        history = self._train()
                        break
                    except OutOfMemory as error:
                        batch = error.fitting
                        if not self.config.halve or not batch:
                            raise
                    self._shrink(batch)
            finally:
                torch.set_num_threads(threads)
        return history

    def _batches(self, recipe: Recipe) -> tuple[Batches, Batches]:
        from palmette.train.loading import Batches
        from palmette.train.transforms import training_transform, validation_transform

        size, keys = self.architecture.resolution, recipe.compute
        training = Batches(
            self.data.train,
            training_transform(recipe.augment, size, self.normalisation.mean),
            recipe.batch,
            accumulate=recipe.optimizer.accumulate,
            seed=self.config.seed,
            workers=keys.workers,
            device=self.device,
        )
        validation = Batches(
            self.data.validation,
            validation_transform(recipe.augment, size),
            recipe.batch,
            workers=keys.workers,
            device=self.device,
        )
        return training, validation

    def _start_weights(self) -> TrainedWeights | None:
        """Weights to begin with, read and checked at once."""
        if self.config.weights is None:
            return None
        path = Path(self.config.weights)
        if self.config.timm is None:
            return read_weights(path, self.architecture)
        from palmette.train.from_timm import read_timm

        return read_timm(path, self.config.timm, self.architecture)

    def _teacher_weights(self) -> TrainedWeights | None:
        """Weights of the teacher, who must know the classes of the data."""
        if self.config.teacher is None:
            return None
        found = read_weights(Path(self.config.teacher))
        expect(
            found.classes == self.data.classes,
            f"teacher {self.config.teacher}: knows other classes than the data have",
        )
        return found

    def _teacher(self) -> nn.Module | None:
        from palmette.train.loss import Teacher

        if self.taught is None:
            return None
        taught = self.taught
        return Teacher(
            taught.module(),
            taught.architecture.resolution,
            taught.normalisation,
            self.normalisation,
        ).to(self.device)

    def _learner(self) -> Learner:
        """The network before its first step."""
        from palmette.train.learner import Learner

        module = self.architecture.build(self.config.seed)
        if self.start is not None:
            own = module.state_dict()
            fitting = {
                name: value
                for name, value in self.start.tensors.items()
                if value.shape == own[name].shape
            }
            module.load_state_dict(fitting, strict=False)
        return Learner(module, self.recipe, self._criterion(), **self._surroundings())

    def _criterion(self) -> nn.Module:
        """What is minimised."""
        from palmette.train.learner import criterion_of

        return criterion_of(self.recipe, class_weights(self.data.train).tolist(), self._teacher())

    def _surroundings(self) -> dict[str, Any]:
        """Arguments of any learner of this run."""
        return {
            "classes": len(self.data.classes),
            "steps": len(self.training) // self.recipe.optimizer.accumulate,
            "normalisation": self.normalisation,
            "device": self.device,
            "seed": self.config.seed,
        }

    def _train(self) -> list[dict[str, float]]:
        """Go from the checkpoint to the end; the rows of all epochs.

        Raises:
            OutOfMemory: a step found no room.
        """
        from palmette.train.checkpoint import Progress, read_checkpoint
        from palmette.train.curves import curves
        from palmette.train.device import OutOfMemory, is_out_of_memory
        from palmette.train.memory import fitting_batch

        learner, progress = self._learner(), Progress()
        if self.folder.checkpoint.is_file():
            progress = read_checkpoint(self.folder.checkpoint, learner, self.architecture.id)
            self.folder.write_log(progress.history)
        lacking = False
        with curves(self.folder.curves, len(progress.history)) as plot:
            try:
                while len(progress.history) < self.recipe.epochs:
                    plot(len(progress.history), self._epoch(learner, progress))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lacking = True
        if lacking:  # looked into here, where no traceback keeps the batch alive
            batch, classes = self.recipe.batch, len(self.data.classes)
            fits = fitting_batch(learner, self.architecture.resolution, classes)
            raise OutOfMemory(batch, fits)
        return progress.history

    def _epoch(self, learner: Learner, progress: Progress) -> dict[str, float]:
        """Finish the epoch under way, evaluate, keep what came of it; its row."""
        from palmette.train.checkpoint import write_checkpoint
        from palmette.train.loop import NotFinite, Tally, train_epoch

        epoch = len(progress.history)
        first = (learner.step - epoch * learner.steps) * self.recipe.optimizer.accumulate
        clock = _Clock(self, learner, progress)
        try:
            batches = self.training.epoch(epoch, first)
            train_epoch(learner, batches, progress.tally, clock.tick)
        except NotFinite as error:
            raise self._stopped(error, epoch) from None
        found = self._evaluated(learner)
        seconds = clock.seconds
        row = {
            "epoch": epoch + 1,
            "step": learner.step,
            "lr": learner.rate,
            "train_loss": progress.tally.mean,
            **found,
            "images_per_s": round(progress.tally.images / max(seconds, 1e-9), 1),
            "seconds": round(seconds, 3),
        }
        progress.history.append(row)
        progress.tally, progress.seconds = Tally(), 0.0
        self._keep(learner, progress.history)
        write_checkpoint(self.folder.checkpoint, learner, progress, self.architecture.id)
        self.folder.write_log(progress.history)
        return row

    def _evaluated(self, learner: Learner) -> dict[str, float]:
        """Columns of the log that come from the validation images."""
        from palmette.train.loop import evaluate

        found = evaluate(
            learner.learned,
            self.validation.epoch(),
            learner.normalise,
            self.device,
            self.recipe.compute,
        )
        return {"val_loss": found.loss, "top1": found.top1, "top5": found.top5}

    def _keep(self, learner: Learner, history: list[dict[str, float]]) -> None:
        """Write the weights of the epoch that has just ended."""
        row = history[-1]
        about = {key: row[key] for key in ("epoch", "val_loss", "top1", "top5")}
        tensors = learner.learned.state_dict()
        weights = TrainedWeights(
            self.architecture, self.data.classes, self.normalisation, tensors, about
        )
        try:
            write_weights(self.folder.last, weights)
            if best_epoch(history) == len(history) - 1:
                write_weights(self.folder.best, weights)
        except OSError as error:
            raise InputError(
                f"{self.folder.path}: can't be written ({error.strerror}); the checkpoint in it is"
                f" intact: make room and go on with --resume {self.folder.path}"
            ) from None

    def _stopped(self, error: NotFinite, epoch: int) -> InputError:
        """What to say when the loss is no number; the batch is kept."""
        from palmette.space.files import write_bytes
        from palmette.train.tensors import tensor_bytes

        images, labels = error.batch
        info = {"format": "palmette/batch@1", "epoch": epoch + 1, "why": str(error)}
        data = tensor_bytes({"images": images, "labels": labels}, info)
        write_bytes(self.folder.bad_batch, data)
        return InputError(
            f"epoch {epoch + 1}, {error}; the batch is in {self.folder.bad_batch}; lower the"
            " learning rate or clip the gradient, and begin again"
        )

    def _shrink(self, fitting: int) -> None:
        """Halve the batch until it fits, and accumulate for the same step."""
        recipe = self.recipe
        while recipe.batch > fitting:
            expect(
                recipe.batch % 2 == 0,
                f"batch: {recipe.batch} can't be halved; give a batch of at most {fitting}",
            )
            recipe = recipe.halved()
        self.recipe = recipe
        self.folder.write_recipe(recipe)
        self.training, self.validation = self._batches(recipe)


def best_epoch(history: list[dict[str, float]]) -> int:
    """Place of the best row: highest top-1, of equal ones the lowest loss, the earliest."""
    return max(
        range(len(history)),
        key=lambda at: (history[at]["top1"], -history[at]["val_loss"], -at),
    )


def normalisation_of(recipe: Recipe, data: Data, seed: int) -> Normalisation:
    """Mean and deviation that the recipe names, measured on the training images if it says so."""
    from palmette.train.device import Normalisation

    ways: dict[str, Callable[[], tuple[tuple[float, float, float], float]]] = {
        "half": lambda: ((0.5, 0.5, 0.5), 0.5),
        "imagenet": lambda: (IMAGENET_MEAN, IMAGENET_DEVIATION),
        "data": lambda: pixel_statistics(data.train, seed),
    }
    return Normalisation(*ways[recipe.augment.normalise]())


class _Clock:
    """After every step: progress is told, and from time to time a checkpoint is written."""

    def __init__(self, run: Run, learner: Learner, progress: Progress) -> None:
        self.run, self.learner, self.progress = run, learner, progress
        self.before = progress.seconds
        self.begin = self.saved = time.monotonic()
        tops = [row["top1"] for row in progress.history]
        self.top1 = max(tops, default=float("nan"))
        self.images = progress.tally.images

    @property
    def seconds(self) -> float:
        """Of the epoch, also in processes before this one."""
        return self.before + time.monotonic() - self.begin

    def tick(self, losses: LossWatch) -> None:
        """A step was done."""
        from palmette.train.checkpoint import write_checkpoint

        run, learner, progress = self.run, self.learner, self.progress
        now = time.monotonic()
        done = progress.tally.images - self.images
        epochs = run.recipe.epochs
        run.watch(
            State(
                len(progress.history) + 1,
                epochs,
                learner.step,
                learner.steps * epochs,
                losses.last,
                self.top1,
                done / max(now - self.begin, 1e-9),
            )
        )
        inside = learner.step % learner.steps != 0
        if inside and now - self.saved >= run.checkpoint_seconds:
            losses.drain()  # one that is still under way is not in the sums yet
            progress.seconds = self.seconds
            write_checkpoint(run.folder.checkpoint, learner, progress, run.architecture.id)
            self.saved = now
