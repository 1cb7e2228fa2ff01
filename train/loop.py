"""An epoch of training and an evaluation: what runs through images, and nothing else.

Losses come to the host one step late on a GPU, so that looking at them never waits for it.
"""

from __future__ import annotations

import itertools
import math
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
from palmette.train.workers import ALONE, Workers

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
    """A loss is no number: that of the batch at a place, from 0, of a step."""

    def __init__(self, step: int, place: int, loss: float) -> None:
        super().__init__(f"step {step}: the loss is {loss}")
        self.step, self.place = step, place


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
    watch = LossWatch(learner.device, tally, learner.workers)
    for group in _grouped(batches, learner.recipe.optimizer.accumulate):
        losses = learner.update(group)
        for place, (loss, batch) in enumerate(zip(losses, group, strict=True)):
            watch.put(learner.step, place, loss, len(batch[1]))
        if after is not None:
            after(watch)
    watch.drain()


def evaluate(
    module: nn.Module,
    batches: Iterable[Batch],
    normalise: Normalise,
    device: torch.device,
    keys: Compute,
    workers: Workers = ALONE,
) -> Evaluation:
    """Evaluate a network; units of branches in a merged copy, the module itself stays as it is.

    Args:
        module: the network.
        batches: this process's.
        normalise: of the bytes.
        device: where it is computed.
        keys: how it is computed.
        workers: that evaluate other batches; the result is that of all, on each of them.
    """
    merged = reparameterised(module).eval()
    # on the device: the host waits for it only at the end
    counts = [torch.zeros((0, 4), device=device)]
    with torch.inference_mode():
        for raw, labels in batches:
            with autocast(device, keys):
                scores = merged(normalise(raw))
            counts.append(_counts(scores.float(), labels)[None])
    *sums, images = workers.interleaved(torch.cat(counts)).cpu().double().sum(0).tolist()
    loss, top1, top5 = (value / images for value in sums)
    return Evaluation(loss, top1, top5, int(images))


def _counts(scores: Tensor, labels: Tensor) -> Tensor:
    """Sum of losses, numbers of images right at first and within five guesses, and of all, (4,)."""
    loss = functional.cross_entropy(scores, labels, reduction="sum")
    best = scores.topk(min(TOP, scores.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss, best[:, 0].sum(), best.sum(), loss.new_tensor(len(labels))])


def _grouped(batches: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(itertools.islice(iterator, count)):
        yield group


class LossWatch:
    """Brings losses to the host without waiting for the GPU, and stops at one that is no number.

    Of several workers only the first stops: the others wait for it, and are ended.
    """

    def __init__(self, device: torch.device, tally: Tally, workers: Workers = ALONE) -> None:
        self.tally, self.last, self.workers = tally, float("nan"), workers
        self.late = device.type == "cuda"
        self.pending: tuple[int, int, Tensor, int, torch.cuda.Event] | None = None

    def put(self, step: int, place: int, loss: Tensor, images: int) -> None:
        """Take a batch's loss; on a GPU the one before it is looked at."""
        if not self.late:
            self._look(step, place, loss, images)
            return
        host = torch.empty(loss.shape, dtype=loss.dtype, pin_memory=True)
        host.copy_(loss, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self.drain()
        self.pending = step, place, host, images, event

    def drain(self) -> None:
        """Look at the loss that is under way, if one is."""
        if self.pending is not None:
            step, place, host, images, event = self.pending
            event.synchronize()
            self.pending = None
            self._look(step, place, host, images)

    def _look(self, step: int, place: int, loss: Tensor, images: int) -> None:
        self.last = float(loss)
        if self.workers.leads and not math.isfinite(self.last):
            raise NotFinite(step, place, self.last)
        self.tally.add(self.last, images * self.workers.count)
