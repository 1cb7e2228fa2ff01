"""From a run's checkpoint to its last epoch: steps, evaluations, and what is kept of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from palmette.space.errors import InputError
from palmette.space.files import write_bytes
from palmette.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from palmette.train.curves import curves
from palmette.train.device import OutOfMemory, is_out_of_memory
from palmette.train.loop import LossWatch, NotFinite, Tally, train_epoch
from palmette.train.memory import fitting_batch
from palmette.train.tensors import tensor_bytes

if TYPE_CHECKING:
    from palmette.train.run import Run


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


class Epochs:
    """A run's epochs in this process; of several workers only the first writes files."""

    def __init__(self, run: Run) -> None:
        self.run, self.workers = run, run.workers
        self.learner, self.progress = run.learner(), Progress()
        if run.folder.checkpoint.is_file():
            path = run.folder.checkpoint
            self.progress = read_checkpoint(path, self.learner, run.architecture.id)
        self.workers.expect_equal(
            self.learner.step,
            f"{run.folder.path}: not all workers see the same checkpoint in it; the folder must be"
            " on a file system that all machines share",
        )
        if self.workers.leads:
            run.folder.write_log(self.progress.history)

    def finish(self) -> list[dict[str, float]]:
        """Go on to the last epoch, or the one to stop after; the rows of all epochs.

        Raises:
            OutOfMemory: a step found no room.
        """
        run, history = self.run, self.progress.history
        lacking = False
        folder = run.folder.curves if self.workers.leads else None
        with curves(folder, len(history)) as plot:
            try:
                while len(history) < run.until:
                    plot(len(history), self._epoch())
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                lacking = True
        if lacking:  # looked into here, where no traceback keeps the batch alive
            count = self.workers.count
            fits = fitting_batch(
                self.learner,
                run.recipe.batch // count,
                run.architecture.resolution,
                len(run.data.classes),
            )
            raise OutOfMemory(run.recipe.batch, fits * count)
        return history

    def _epoch(self) -> dict[str, float]:
        """Finish the epoch under way, evaluate, keep what came of it; its row."""
        run, learner, progress = self.run, self.learner, self.progress
        epoch = len(progress.history)
        first = (learner.step - epoch * learner.steps) * run.recipe.optimizer.accumulate
        clock = _Clock(self)
        try:
            train_epoch(learner, run.training.epoch(epoch, first), progress.tally, clock.tick)
        except NotFinite as error:
            raise self._stopped(error, epoch) from None
        found = run.evaluated(learner)
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
        if self.workers.leads:
            run.keep(learner, progress.history)
            self.write_checkpoint()
            run.folder.write_log(progress.history)
        return row

    def write_checkpoint(self) -> None:
        """Keep where training stands."""
        run = self.run
        write_checkpoint(run.folder.checkpoint, self.learner, self.progress, run.architecture.id)

    def _stopped(self, error: NotFinite, epoch: int) -> InputError:
        """What to say when the loss is no number; the batch is kept, of all workers."""
        run = self.run
        number = (error.step - 1 - epoch * self.learner.steps) * run.recipe.optimizer.accumulate
        images, labels = run.whole_batch(epoch, number + error.place)
        info = {"format": "palmette/batch@1", "epoch": epoch + 1, "why": str(error)}
        data = tensor_bytes({"images": images, "labels": labels}, info)
        write_bytes(run.folder.bad_batch, data)
        return InputError(
            f"epoch {epoch + 1}, {error}; the batch is in {run.folder.bad_batch}; lower the"
            " learning rate or clip the gradient, and begin again"
        )


class _Clock:
    """After every step: progress is told, and from time to time a checkpoint is written."""

    def __init__(self, epochs: Epochs) -> None:
        self.epochs, self.progress = epochs, epochs.progress
        self.before = self.progress.seconds
        self.begin = self.saved = time.monotonic()
        tops = [row["top1"] for row in self.progress.history]
        self.top1 = max(tops, default=float("nan"))
        self.images = self.progress.tally.images

    @property
    def seconds(self) -> float:
        """Of the epoch, also in processes before this one."""
        return self.before + time.monotonic() - self.begin

    def tick(self, losses: LossWatch) -> None:
        """A step was done."""
        if not self.epochs.workers.leads:
            return
        run, learner, progress = self.epochs.run, self.epochs.learner, self.progress
        now = time.monotonic()
        done = progress.tally.images - self.images
        run.watch(
            State(
                len(progress.history) + 1,
                run.recipe.epochs,
                learner.step,
                learner.steps * run.recipe.epochs,
                losses.last,
                self.top1,
                done / max(now - self.begin, 1e-9),
            )
        )
        inside = learner.step % learner.steps != 0
        if inside and now - self.saved >= run.checkpoint_seconds:
            losses.drain()  # one that is still under way is not in the sums yet
            progress.seconds = self.seconds
            self.epochs.write_checkpoint()
            self.saved = now
