"""A supernet that learns: several of its networks in every step.

The sandwich rule takes the largest, the smallest and some random networks (Yu and Huang, 2019); the
largest learns from the labels, the others from what it says of the same images (in-place
distillation). Gradients add up over them, one network's memory at a time. Dropout and an outer
teacher belong to the largest alone (Yu et al., BigNAS, 2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from palmette.space.errors import expect
from palmette.space.search_space import Codes
from palmette.train.device import autocast
from palmette.train.learner import Learner
from palmette.train.recipe import Recipe
from palmette.train.supernet.network import Supernet
from palmette.train.supernet.sampling import largest, sandwich
from palmette.train.supernet.schedule import Schedule


class SupernetLearner(Learner):
    """A `Learner` whose batches go through several networks of a supernet.

    Between steps the supernet is its largest network.

    Raises:
        InputError: the recipe compiles; every network would be compiled anew.
    """

    def __init__(
        self, module: Supernet, recipe: Recipe, criterion: Any, schedule: Schedule, **more: Any
    ) -> None:
        expect(
            not recipe.compute.compile,
            "recipe: a supernet is another network in every step and can't be compiled; set"
            " compile = false",
        )
        super().__init__(module, recipe, criterion, **more)
        self.supernet, self.schedule = module, schedule
        self.supernet.choose(largest(module.space))

    def backward(self, images: Tensor, target: Tensor) -> Tensor:
        """Add the gradients of a step's networks; the largest network's loss."""
        net = self.supernet
        first, *others = self.networks()
        try:
            loss, told = self._learn(first, images, target)
            for code in others:
                self._follow(code, images, told)
        finally:
            net.choose(largest(net.space))
        return loss

    def networks(self) -> list[Codes]:
        """Networks of this step, the largest first."""
        phase = self.schedule.at(self.step / (self.steps * self.recipe.epochs))
        # from the state that `update` has seeded for this step
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        return sandwich(self.supernet.space, phase.free, self.schedule.random, rng)

    def _learn(self, code: Codes, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The largest network learns; its loss and its probabilities (n, classes)."""
        self.supernet.choose(code, dropout=self.recipe.loss.dropout)
        with autocast(self.device, self.recipe.compute):
            scores = self.forward(images)
            loss: Tensor = self.criterion(scores, target, images)
        self._add(loss)
        return loss.detach(), scores.detach().float().softmax(1)

    def _follow(self, code: Codes, images: Tensor, told: Tensor) -> None:
        """Another network learns what the largest said."""
        self.supernet.choose(code)
        with autocast(self.device, self.recipe.compute):
            scores = self.forward(images)
            loss = functional.cross_entropy(scores.float(), told)
        self._add(loss)

    def _add(self, loss: Tensor) -> None:
        self.scaler.scale(loss / self.recipe.optimizer.accumulate).backward()
