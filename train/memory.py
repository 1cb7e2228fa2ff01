"""The batch that fits a device's memory, found by trying."""

from __future__ import annotations

import copy
import gc

import torch

from palmette.train.device import is_out_of_memory
from palmette.train.learner import Learner


def fitting_batch(learner: Learner, batch: int, size: tuple[int, int], classes: int) -> int:
    """Largest of batch / 2, / 4, ... of which a forward and a backward pass fit; 0 if none does.

    Args:
        learner: its network is copied, not changed.
        batch: that did not fit.
        size: (height, width) of the images in px.
        classes: of the labels.
    """
    learner.optimizer.zero_grad(set_to_none=True)
    batch //= 2
    while batch and not _fits(learner, batch, size, classes):
        batch //= 2
    return batch


def _fits(learner: Learner, batch: int, size: tuple[int, int], classes: int) -> bool:
    gc.collect()  # what the failed pass left in cycles
    if learner.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        module = copy.deepcopy(learner.module).train()
        raw = torch.zeros((batch, 3, *size), dtype=torch.uint8, device=learner.device)
        images = learner.normalise(raw)
        target = torch.arange(batch, device=learner.device) % classes
        learner.criterion(module(images), target, images).backward()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            return False
        raise
    return True
