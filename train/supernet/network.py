"""`Supernet`: a module that is any network of a space, as it is told.

It runs the network's own modules on slices of the shared tensors, so an extracted network computes
the same by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.space import Architecture, SearchSpace
from palmette.space.search_space import Codes
from palmette.train import weights
from palmette.train.supernet.choices import position_of
from palmette.train.supernet.roles import expect_shares
from palmette.train.supernet.sampling import largest
from palmette.train.supernet.shared import STATISTICS, SharedTensors, spans
from palmette.train.supernet.skeleton import COUNTER, Mode, Skeleton, skeleton

Statistics = Mapping[str, Tensor]
"""Means and variances of one network's BatchNorms, by their names in the network's own module."""


def with_classes(space: SearchSpace, classes: int) -> SearchSpace:
    """The same space with a classifier of so many classes."""
    head = {**space.sections["head"], "classes": (classes,)}
    return replace(space, sections={**space.sections, "head": head})


class Supernet(nn.Module):
    """All networks of a space in one; `choose` says which it is.

    Args:
        space: whose blocks can share, with the classes of the data.
        seed: of the weights; the global random state is left as it was.

    Raises:
        InputError: a stage has blocks that can't share; the message says which and why.
    """

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__()
        expect_shares(space)
        self.space = space
        self.shared = SharedTensors(spans(space), seed)
        self.dropout = 0.0
        """Before the classifier, in training."""
        self.statistics: Statistics | None = None
        self.calibrating = False
        self.choice = space.decode(largest(space))

    def choose(
        self,
        choice: Codes | Architecture,
        statistics: Statistics | None = None,
        dropout: float = 0.0,
    ) -> Architecture:
        """Become a network of the space, given as a code or as an architecture.

        Args:
            choice: code (genes,), or an architecture; of the latter the number of classes is free.
            statistics: of its BatchNorms, see `recalibration`; without, they are the shared ones.
            dropout: before the classifier, in training.

        Raises:
            InputError: it is not in the space.
        """
        self.choice = self.find(choice)
        self.statistics, self.dropout = statistics, dropout
        return self.choice

    def find(self, choice: Codes | Architecture) -> Architecture:
        """Network of the space, with its number of classes; raises as `choose`."""
        if not isinstance(choice, Architecture):
            return self.space.decode(choice)
        (classes,) = self.space.sections["head"]["classes"]
        choice = weights.with_classes(choice, int(classes))
        self.space.encode(choice)
        return choice

    def forward(self, images: Tensor) -> Tensor:
        """Scores (n, classes) of images (n, 3, height, width), scaled to its resolution."""
        if tuple(images.shape[2:]) != self.choice.resolution:
            images = functional.interpolate(
                images, self.choice.resolution, mode="bilinear", antialias=True
            )
        mode: Mode = "train" if self.training else "evaluate"
        x = images
        for _, part, values in self._parts("calibrate" if self.calibrating else mode):
            x = part(values, x)
        return x

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the chosen network by their names in its own module."""
        found = {}
        for prefix, part, values in self._parts("evaluate"):
            for name, (_, shape) in part.tensors.items():
                counted = name.endswith(COUNTER)
                value = torch.zeros(shape, dtype=torch.int64) if counted else values[name]
                found[prefix + name] = value
        return found

    def _parts(self, mode: Mode) -> Iterator[tuple[str, Skeleton, dict[str, Tensor]]]:
        """Prefix of the names, skeleton and tensors of each part in order."""
        stages, last, number = len(self.choice.stages), -1, 0
        for part in self.choice.parts():
            number = number + 1 if part.stage == last else 1
            last = part.stage
            at = position_of(part, stages, number)
            inside = 0 <= part.stage < stages
            prefix = f"stages.{part.stage}.{number - 1}." if inside else f"{at.section}."
            dropout = self.dropout if at.section == "head" else 0.0
            bare = skeleton(part.block, part.in_channels, mode, dropout)
            yield prefix, bare, self._values(bare, prefix, at.name)

    def _values(self, bare: Skeleton, prefix: str, place: str) -> dict[str, Tensor]:
        values = {}
        for name, (role, shape) in bare.tensors.items():
            own = self.statistics is not None and name.endswith((*STATISTICS, COUNTER))
            if own:
                assert self.statistics is not None
                values[name] = self.statistics[prefix + name]
            elif not name.endswith(COUNTER):
                values[name] = self.shared.cut(f"{place}.{role}", shape)
        return values
