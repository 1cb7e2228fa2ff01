"""An epoch of training and an evaluation: what runs through images, and nothing else.

Losses come to the host one step late on a GPU, so that looking at them never waits for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.space.errors import InputError
from palmette.space.modules.reparameterise import reparameterised
from palmette.train.device import Normalise, autocast
from palmette.train.recipe import Compute

if TYPE_CHECKING:
    from palmette.train.learner import Learner
    from palmette.train.loading import Batch

TOP = 5


@dataclass(slots=True)
class Tally:
    """Sum of the losses of an epoch, and of how many images."""

    loss: float = 0.0
    images: int = 0

    def add(self, loss: float, images: int) -> None:
        """Count a batch in."""
        self.loss += loss * images
        self.images += images

    @property
    def mean(self) -> float:
        """Loss of an image."""
        return self.loss / max(self.images, 1)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Loss and the share of images, from 0 to 1, whose class is the best or among the five best."""

    loss: float
    top1: float
    top5: float
    images: int


class NotFinite(InputError):
    """A loss is no number; `batch` is the one that it came from."""

    def __init__(self, step: int, loss: float, batch: Batch) -> None:
        super().__init__(f"step {step}: the loss is {loss}")
        self.batch = batch


def train_epoch(
    learner: Learner,
    batches: Iterable[Batch],
    tally: Tally,
    after: Callable[[LossWatch], None] | None = None,
) -> None:
    """Train on batches, in steps of as many as the recipe accumulates.

    Args:
        learner: takes the steps.
        batches: of one epoch, or what is left of it.
        tally: is counted on.
        after: called after each step; the losses may be one step late.

    Raises:
        NotFinite: a loss is no number or infinite.
    """
    learner.module.train()
    watch = LossWatch(learner.device, tally)
    for group in _grouped(batches, learner.recipe.optimizer.accumulate):
        losses = learner.update(group)
        for loss, batch in zip(losses, group, strict=True):
            watch.put(learner.step, loss, batch)
        if after is not None:
            after(watch)
    watch.drain()


def evaluate(
    module: nn.Module,
    batches: Iterable[Batch],
    normalise: Normalise,
    device: torch.device,
    keys: Compute,
) -> Evaluation:
    """Evaluate a network; units of branches in a merged copy, the module itself stays as it is."""
    merged = reparameterised(module).eval()
    counts: list[Tensor] = []  # on the device: the host waits for it only at the end
    images = 0
    with torch.inference_mode():
        for raw, labels in batches:
            with autocast(device, keys):
                scores = merged(normalise(raw))
            counts.append(_counts(scores.float(), labels))
            images += len(labels)
    loss, top1, top5 = (torch.stack(counts).cpu().double().sum(0) / images).tolist()
    return Evaluation(loss, top1, top5, images)


def _counts(scores: Tensor, labels: Tensor) -> Tensor:
    """Sum of losses, and numbers of images right at first and within five guesses, (3,)."""
    loss = functional.cross_entropy(scores, labels, reduction="sum")
    best = scores.topk(min(TOP, scores.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss, best[:, 0].sum().float(), best.sum().float()])


def _grouped(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, count)):
        yield group


class LossWatch:
    """Brings losses to the host without waiting for the GPU, and stops at one that is no number."""

    def __init__(self, device: torch.device, tally: Tally) -> None:
        self.tally, self.last = tally, float("nan")
        self.late = device.type == "cuda"
        self.pending: tuple[int, Tensor, Batch, torch.cuda.Event] | None = None

    def put(self, step: int, loss: Tensor, batch: Batch) -> None:
        """Take a batch's loss; on a GPU the one before it is looked at."""
        if not self.late:
            self._look(step, loss, batch)
            return
        host = torch.empty(loss.shape, dtype=loss.dtype, pin_memory=True)
        host.copy_(loss, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self.drain()
        self.pending = step, host, batch, event

    def drain(self) -> None:
        """Look at the loss that is under way, if one is."""
        if self.pending is not None:
            step, host, batch, event = self.pending
            event.synchronize()
            self.pending = None
            self._look(step, host, batch)

    def _look(self, step: int, loss: Tensor, batch: Batch) -> None:
        self.last = float(loss)
        if not torch.isfinite(loss).item():
            raise NotFinite(step, self.last, batch)
        self.tally.add(self.last, len(batch[1]))
