"""Modules of single blocks without weights: what a sub-network's slices are put into.

A skeleton stands on the meta device, so it costs no memory, and one serves every place where its
block occurs. What it computes is what the network's own module computes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from palmette.space.blocks import Block
from palmette.space.modules import build_part
from palmette.train.supernet.roles import roles

Mode = Literal["train", "calibrate", "evaluate"]
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A block's module, and where its tensors come from.

    `tensors` maps the name of each to its shared name and its shape.
    """

    module: nn.Module
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]

    def __call__(self, values: dict[str, Tensor], x: Tensor) -> Tensor:
        """What the block makes of `x` with these tensors."""
        y: Tensor = torch.func.functional_call(self.module, values, (x,))
        return y


@functools.lru_cache(maxsize=4096)
def skeleton(
    block: Block, in_channels: int, mode: Mode = "evaluate", dropout: float = 0.0
) -> Skeleton:
    """Skeleton of a block after some channels.

    Args:
        block: of a class that shares.
        in_channels: that enter it.
        mode: `calibrate` averages the statistics of all batches alike, `train` the latest most.
        dropout: before a linear layer, in training.
    """
    with torch.device("meta"):
        module = build_part(block, in_channels)
    module.train(mode != "evaluate").requires_grad_(False)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d) and mode == "calibrate":
            layer.momentum = None
        elif isinstance(layer, nn.Linear) and dropout and mode == "train":
            layer.register_forward_pre_hook(functools.partial(_drop, dropout))
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    named = roles(block, shapes)
    return Skeleton(module, {name: (named[name], shapes[name]) for name in shapes})


def _drop(share: float, _: nn.Module, inputs: Any) -> tuple[Tensor]:
    return (functional.dropout(inputs[0], share, training=True),)
