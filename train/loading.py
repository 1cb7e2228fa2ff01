"""Batches of images: which, in what order, and augmented how, as functions of seed and epoch.

Workers only compute: an item says epoch and index itself, and the random state of its augmentation
derives from them. So any number of workers gives the same batches, and an epoch can be entered at
any step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from palmette.space.errors import expect
from palmette.train.datasets.images import ArrayImages, ImageSet, Subset
from palmette.train.seeds import seeded
from palmette.train.workers import ALONE, Workers

if TYPE_CHECKING:
    from palmette.train.transforms import Transform

Batch = tuple[Tensor, Tensor]
"""Images (n, 3, height, width) of bytes, and labels (n,)."""

MOST_WORKERS = 16
_DECODER = "DataLoader worker "
"""How torch's words begin of a process that died; what it raised itself is passed on otherwise."""


class Samples(Dataset[tuple[Tensor, int]]):
    """Images of a set by (epoch, index), augmented by the state that derives from these."""

    def __init__(self, images: ImageSet, transform: Transform, seed: int) -> None:
        self.images, self.transform, self.seed = images, transform, seed
        self.labels = images.labels.tolist()

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, int]:
        epoch, index = item
        pixels = torch.from_numpy(self.images.read(index)).permute(2, 0, 1)
        with seeded(self.seed, epoch, index):
            image = self.transform(pixels)
        return image.contiguous(), self.labels[index]


class Order:
    """Batches of (epoch, index): shuffled by seed and epoch, from the one that is set as the next.

    In training an incomplete step at the end of an epoch is left out; its images differ from epoch
    to epoch. Of several workers each has a part of every training batch, and whole batches of
    validation, dealt out one after the other: there the sums are those of one process.
    """

    def __init__(
        self, count: int, batch: int, accumulate: int, seed: int | None, among: Workers = ALONE
    ) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self.batches = -(-count // batch)
        self.part, self.offset, self.every = slice(None), among.rank, among.count
        if seed is not None:
            self.batches = count // (batch * accumulate) * accumulate
            self.part, self.offset, self.every = among.part(batch), 0, 1
        self.epoch, self.first = 0, 0

    @property
    def own(self) -> range:
        """Numbers of this process's batches."""
        return range(self.first + self.offset, self.batches, self.every)

    def __len__(self) -> int:
        return len(self.own)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        indices = np.arange(self.count)
        if self.seed is not None:
            indices = np.random.default_rng([self.seed, self.epoch]).permutation(self.count)
        for at in self.own:
            chosen = indices[at * self.batch : (at + 1) * self.batch][self.part]
            yield [(self.epoch, index) for index in chosen.tolist()]


class Batches:
    """Batches of an image set on a device, epoch by epoch.

    Args:
        images: the set.
        transform: of each image.
        batch: images of a batch.
        accumulate: batches of a step; an epoch has whole steps.
        seed: of order and augmentation; None in validation: every image once, in order.
        workers: processes that decode; 0 in this one, -1 by the data and the machine.
        device: where the batches go, ahead of their use.
        among: this process's place among those that share the batches.

    Raises:
        InputError: fewer images than one step needs.
    """

    def __init__(
        self,
        images: ImageSet,
        transform: Transform,
        batch: int,
        *,
        accumulate: int = 1,
        seed: int | None = None,
        workers: int = -1,
        device: torch.device | None = None,
        among: Workers = ALONE,
    ) -> None:
        need = batch * accumulate if seed is not None else 1
        expect(
            len(images) >= need,
            f"batch: a step takes {batch} x {accumulate} images, but only {len(images)} are there"
            " to train on; set a smaller batch",
        )
        self.device = device or torch.device("cpu")
        self.order = Order(len(images), batch, accumulate, seed, among)
        workers = _workers(images, among.beside) if workers < 0 else workers
        self.loader: DataLoader[Any] = DataLoader(
            Samples(images, transform, seed or 0),
            batch_sampler=self.order,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # the global state is nobody's business here
        )

    def __len__(self) -> int:
        """Batches of a whole epoch, also the other workers'."""
        return self.order.batches

    def epoch(self, number: int = 0, first: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from number `first` on, on the device."""
        self.order.epoch, self.order.first = number, first
        if self.device.type == "cuda":
            return _ahead(iter(self.loader), self.device)
        return self._plain()

    def _plain(self) -> Iterator[Batch]:
        for images, labels in self.loader:
            yield images.to(self.device), labels.to(self.device)


def end_of_decoder(error: RuntimeError) -> str:
    """What became of a process that decodes images, in torch's words; blank of any other error.

    Torch raises it wherever the training stands as the process dies; its cause may know the signal.
    """
    said = (" ".join(str(one).split()) for one in (error.__cause__, error))
    ends = (
        words.removeprefix(_DECODER).rstrip(". ") for words in said if words.startswith(_DECODER)
    )
    return next(ends, "")


def _ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Copy each batch to the GPU while the one before it is computed on."""
    side = torch.cuda.Stream(device)
    ready: Batch | None = None
    for images, labels in batches:
        with torch.cuda.stream(side):
            coming = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        if ready is not None:
            yield ready
        main = torch.cuda.current_stream(device)
        main.wait_stream(side)
        for tensor in coming:
            tensor.record_stream(main)
        ready = coming
    if ready is not None:
        yield ready


def _workers(images: ImageSet, sharing: int) -> int:
    """None for images in memory, which are ready at once; otherwise a share of the cores."""
    while isinstance(images, Subset):
        images = images.whole
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    most = min((cores or 1) // sharing, MOST_WORKERS)
    return 0 if isinstance(images, ArrayImages) else max(most, 1)
