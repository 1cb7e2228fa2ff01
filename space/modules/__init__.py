"""Torch modules built from an `Architecture`.

A family of blocks has a file here, of the same name as in `space.blocks`, with a table `BUILDERS`
from block class to the function that makes its module; this file joins the tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from palmette.space.architecture import Architecture
from palmette.space.blocks import Block
from palmette.space.modules import (
    blaze,
    condense,
    detection,
    dice,
    ends,
    espnet,
    fire,
    ghost,
    mix,
    mobile,
    mobileone,
    pool,
    repvit,
    residual,
    segmentation,
    shuffle,
    taps,
    universal,
)
from palmette.space.modules.ends import Classifier as Classifier
from palmette.space.modules.layers import ACTIVATION_MODULES as ACTIVATION_MODULES
from palmette.space.modules.layers import ConvBnAct as ConvBnAct
from palmette.space.modules.layers import ReadsImage as ReadsImage
from palmette.space.modules.layers import Residual as Residual
from palmette.space.modules.layers import SqueezeExcite as SqueezeExcite
from palmette.space.modules.layers import plane
from palmette.space.modules.reparameterise import reparameterise

FAMILIES = (
    ends,
    mobile,
    ghost,
    mix,
    shuffle,
    fire,
    residual,
    pool,
    universal,
    mobileone,
    repvit,
    blaze,
    condense,
    espnet,
    dice,
)
TASKS = (taps, detection, segmentation)
BUILDERS: dict[type[Block], Callable[..., nn.Module]] = {
    block: build for family in (*FAMILIES, *TASKS) for block, build in family.BUILDERS.items()
}
"""What makes the module of a block after some channels, or of a head after those of each tap."""


class Network(nn.Module):
    """Stem, stages and head of an architecture: images (N, 3, H, W) to what its head gives."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        parts = list(architecture.parts())[:-1]
        modules = [build_part(part.block, part.in_channels) for part in parts]
        depths = [len(stage) for stage in architecture.stages]
        ends = [1 + sum(depths[: index + 1]) for index in range(len(depths))]
        starts = [1, *ends[:-1]]
        self.stem = modules[0]
        self.stages = nn.ModuleList(
            stage_of(modules[start:end]) for start, end in zip(starts, ends, strict=True)
        )
        head, self.tapped = architecture.head, architecture.tapped()
        widths = [architecture.stages[stage][-1].out_channels for stage in self.tapped]
        self.head = build_part(head, *widths)
        self.sized = head.sized

    def features(self, x: Tensor) -> list[Tensor]:
        """Output of every stage, finest first."""
        maps: list[Tensor] = []
        image = x
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x, image) if isinstance(stage, ReadsImage) else stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The head's output for a batch of images; a tuple in the order of its `outputs`."""
        maps = self.features(x)
        told = {"size": plane(x)} if self.sized else {}
        y: Tensor | tuple[Tensor, ...] = self.head(*(maps[stage] for stage in self.tapped), **told)
        return y


class ImageStage(ReadsImage):
    """Blocks in a row, some of which read the network's input as well."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        """Output of the last block for a map and the network's input."""
        for block in self.blocks:
            x = block(x, image) if isinstance(block, ReadsImage) else block(x)
        return x


def stage_of(blocks: Sequence[nn.Module]) -> nn.Module:
    """Blocks in a row as one module."""
    if any(isinstance(block, ReadsImage) for block in blocks):
        return ImageStage(blocks)
    return nn.Sequential(*blocks)


def build_part(block: Block, *channels: int) -> nn.Module:
    """Module of a stem or block that follows some channels, or of a head that taps such maps."""
    return BUILDERS[type(block)](block, *channels)


def build_network(architecture: Architecture, seed: int = 0) -> Network:
    """Network with weights drawn from `seed`; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed the GPUs as well
        network = Network(architecture)
        network.apply(_initialise)
    return network


def meta_network(architecture: Architecture) -> Network:
    """Network in evaluation mode on the meta device: shapes without memory.

    Re-parameterised units are the one convolution that their branches merge into.
    """
    with torch.device("meta"):
        network = Network(architecture).eval()
    reparameterise(network)
    return network


def _initialise(module: nn.Module) -> None:
    """He over the fan out, classifier uniform, as in MobileNetV2 and EfficientNet; SSD's own."""
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
    elif isinstance(module, detection.SingleShot):
        module.draw_predictors()
