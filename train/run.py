"""What a training is made of: data as batches, network, weights to begin with, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from palmette.space import Architecture
from palmette.space.errors import InputError, expect
from palmette.train.config import Config
from palmette.train.datasets import Data, class_weights, pixel_statistics
from palmette.train.options import expect_checkpoints
from palmette.train.recipe import Recipe
from palmette.train.run_folder import TrainingFolder
from palmette.train.weights import FORMAT, TrainedWeights, read_weights, write_weights
from palmette.train.workers import ALONE, Workers

if TYPE_CHECKING:
    import torch
    from torch import nn

    from palmette.train.device import Normalisation
    from palmette.train.epochs import Watcher
    from palmette.train.learner import Learner
    from palmette.train.loading import Batch, Batches
    from palmette.train.ray_session import Session

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), 0.2258
"""The usual means of ImageNet; the deviation is the mean of its usual three."""


TRAINING_IMAGES, VALIDATION_IMAGES = "training_images", "validation_images"
"""How many there were; beside the weights."""


class Run:
    """A training in its folder, seen from one process: the only one, or one of several workers.

    Another kind of network, as a supernet, overrides `learner`, `evaluated` and `keep`; one whose
    weights are of another kind has a `weights_format` of its own.

    Args:
        folder: of the run.
        config: what is trained, on what, where.
        recipe: how.
        data: the images.
        checkpoint_seconds: between checkpoints inside an epoch.
        watch: told of every step.
        workers: this process's place among those of the training.
        device: this worker's; None: as `config` says.
        until: epoch after which it stops; the rate falls as if it went on. None: the last one.
    """

    weights_format = FORMAT

    def __init__(
        self,
        folder: TrainingFolder,
        config: Config,
        recipe: Recipe,
        data: Data,
        checkpoint_seconds: float,
        watch: Watcher | None,
        workers: Workers = ALONE,
        device: torch.device | None = None,
        until: int | None = None,
    ) -> None:
        from palmette.train.device import find_device

        expect_checkpoints(checkpoint_seconds)
        self.until = recipe.epochs if until is None else min(until, recipe.epochs)
        self.folder, self.config, self.recipe, self.data = folder, config, recipe, data
        self.checkpoint_seconds, self.workers = checkpoint_seconds, workers
        self.watch = watch or (lambda state: None)
        self.architecture = Architecture.from_text(config.architecture)
        # where workers compute is theirs to find
        self.device = device or find_device("cpu" if config.cluster else config.device)
        self.start = self._start_weights()
        # weights mean something only for images as they were trained on
        self.normalisation = (
            normalisation_of(recipe, data, config.seed)
            if self.start is None
            else self.start.normalisation
        )
        self.taught = self._teacher_weights()
        self.training, self.validation = self._batches()

    def finish(self, session: Session | None = None) -> list[dict[str, float]]:
        """Train to the last epoch, with less memory if need be; a row for each epoch.

        Args:
            session: with Ray, whose workers do it, and begin again by themselves where one lost a
                process that decodes; None: this process does.

        Raises:
            InputError: a process that decodes images was ended.
        """
        from palmette.train.device import OutOfMemory
        from palmette.train.loading import end_of_decoder

        while True:
            try:
                if session is None:
                    return self.compute()
                from palmette.train.ray_driver import computed_by_workers

                return computed_by_workers(self, session)
            except OutOfMemory as error:
                batch = error.fitting
                if not self.config.halve or not batch:
                    raise
            except RuntimeError as error:
                end = "" if session is not None else end_of_decoder(error)
                if not end:
                    raise
                raise InputError(
                    f"a process that decodes images {end}, as it does where memory is short;"
                    f" go on with --resume {self.folder.path}, or begin with fewer of them"
                    " (--workers)"
                ) from None
            self._shrink(batch)

    def compute(self) -> list[dict[str, float]]:
        """Train to the last epoch in this process; raises OutOfMemory if a step finds no room."""
        import torch

        from palmette.train.device import determinism
        from palmette.train.epochs import Epochs

        devices = [self.device] if self.device.type == "cuda" else []
        threads = torch.get_num_threads()
        with torch.random.fork_rng(devices=devices), determinism(self.recipe.compute.deterministic):
            if self.recipe.compute.deterministic and self.config.threads:
                torch.set_num_threads(self.config.threads)
            try:
                return Epochs(self).finish()
            finally:
                torch.set_num_threads(threads)

    def learner(self) -> Learner:
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

    def evaluated(self, learner: Learner) -> dict[str, float]:
        """Columns of the log that come from the validation images."""
        self.workers.share_buffers(learner.learned)
        return self.scored(learner.learned, learner)

    def scored(self, module: nn.Module, learner: Learner) -> dict[str, float]:
        """Loss and top-1 and top-5 of a module on the validation images."""
        from palmette.train.loop import evaluate

        found = evaluate(
            module,
            self.validation.epoch(),
            learner.normalise,
            self.device,
            self.recipe.compute,
            self.workers,
        )
        return {"val_loss": found.loss, "top1": found.top1, "top5": found.top5}

    def keep(self, learner: Learner, history: list[dict[str, float]]) -> None:
        """Write the weights of the epoch that has just ended."""
        row = history[-1]
        about = {key: row[key] for key in ("epoch", "val_loss", "top1", "top5")}
        about |= {
            TRAINING_IMAGES: len(self.data.train),
            VALIDATION_IMAGES: len(self.data.validation),
        }
        tensors = learner.learned.state_dict()
        weights = TrainedWeights(
            self.architecture, self.data.classes, self.normalisation, tensors, about
        )
        try:
            write_weights(self.folder.last, weights, self.weights_format)
            if best_epoch(history) == len(history) - 1:
                write_weights(self.folder.best, weights, self.weights_format)
        except OSError as error:
            raise InputError(
                f"{self.folder.path}: can't be written ({error.strerror}); the checkpoint in it is"
                f" intact: make room and go on with --resume {self.folder.path}"
            ) from None

    def whole_batch(self, epoch: int, number: int) -> Batch:
        """A training batch, also the other workers' parts of it."""
        return next(self._training_batches(ALONE, 0).epoch(epoch, number))

    def _batches(self) -> tuple[Batches, Batches]:
        """Of training and validation, this process's part of them."""
        from palmette.train.loading import Batches
        from palmette.train.transforms import validation_transform

        if self.config.cluster is not None:
            self.config.cluster.expect_fits(self.recipe.batch)
        validation = Batches(
            self.data.validation,
            validation_transform(self.recipe.augment, self.architecture.resolution),
            self.recipe.batch,
            workers=self.recipe.compute.workers,
            device=self.device,
            among=self.workers,
        )
        return self._training_batches(self.workers, self.recipe.compute.workers), validation

    def _training_batches(self, among: Workers, decoders: int) -> Batches:
        from palmette.train.loading import Batches
        from palmette.train.transforms import training_transform

        recipe, size = self.recipe, self.architecture.resolution
        return Batches(
            self.data.train,
            training_transform(recipe.augment, size, self.normalisation.mean),
            recipe.batch,
            accumulate=recipe.optimizer.accumulate,
            seed=self.config.seed,
            workers=decoders,
            device=self.device,
            among=among,
        )

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
            "workers": self.workers,
        }

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
        self.training, self.validation = self._batches()
        self.folder.write_recipe(recipe)


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
