"""The shared tensors of a space, each as large as any network needs it, and how they are cut.

Channels are cut as prefixes. A small kernel is the centre of the next larger one, times a learned
matrix (Cai et al., Once-for-All, 2020). The matrix is kept as its difference from the identity: so
weight decay pulls it to the plain centre crop, not to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from palmette.space import SearchSpace
from palmette.train.supernet.choices import blocks_at, positions
from palmette.train.supernet.skeleton import COUNTER, skeleton

STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class Span:
    """How large a shared tensor is, and which kernels are cut from it."""

    shape: tuple[int, ...]
    kernels: tuple[int, ...] = ()
    """Sides of its windows, the largest first; none but for convolutions."""
    depthwise: bool = False


def spans(space: SearchSpace) -> dict[str, Span]:
    """Every shared tensor of a space by its name, such as `stage3.2.expand.conv.weight`."""
    found: dict[str, Span] = {}
    for position in positions(space):
        for block, in_channels in blocks_at(space, position):
            for role, shape in skeleton(block, in_channels).tensors.values():
                if not role.endswith(COUNTER):
                    name = f"{position.name}.{role}"
                    found[name] = _united(found.get(name), shape)
    return found


def _united(span: Span | None, shape: tuple[int, ...]) -> Span:
    kernels = {shape[3]} if len(shape) == 4 else set[int]()
    # the layers that roles name are dense or depthwise, never grouped otherwise
    depthwise = len(shape) == 4 and shape[1] == 1 and shape[0] > 1 and shape[3] > 1
    if span is not None:
        kernels |= set(span.kernels)
        depthwise = depthwise and span.depthwise
        shape = tuple(max(pair) for pair in zip(span.shape, shape, strict=True))
    return Span(shape, tuple(sorted(kernels, reverse=True)), depthwise)


class SharedTensors(nn.Module):
    """The tensors of all networks of a space.

    Args:
        found: what there is, see `spans`.
        seed: of the weights; the global random state is left as it was.
    """

    def __init__(self, found: Mapping[str, Span], seed: int = 0) -> None:
        super().__init__()
        self.spans = dict(found)
        generator = torch.Generator().manual_seed(seed)
        for name, span in self.spans.items():
            value = _initial(name, span, generator)
            if name.endswith(STATISTICS):
                self.register_buffer(_key(name), value)
                continue
            self.register_parameter(_key(name), nn.Parameter(value))
            for side in span.kernels[1:]:
                difference = torch.zeros(side**2, side**2)
                self.register_parameter(_key(name, side), nn.Parameter(difference))

    def cut(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The part of a tensor that a network of a smaller shape uses; a view where it can be."""
        value: Tensor = getattr(self, _key(name))
        channels = shape[:2]
        value = value[tuple(slice(count) for count in channels)]
        return self._windows(name, value, shape[3]) if len(shape) == 4 else value

    def _windows(self, name: str, weight: Tensor, wanted: int) -> Tensor:
        """Windows of a side: from the largest on, each the transformed centre of the one before."""
        for side in self.spans[name].kernels[1:]:
            if side < wanted:
                break
            edge = (weight.shape[-1] - side) // 2
            centre = weight[..., edge : edge + side, edge : edge + side].flatten(2)
            difference: Tensor = getattr(self, _key(name, side))
            weight = (centre + centre @ difference).unflatten(2, (side, side))
        return weight


def _key(name: str, side: int = 0) -> str:
    """Name as torch allows it: without dots."""
    return name.replace(".", "/") + (f"/to{side}" if side else "")


def _initial(name: str, span: Span, generator: torch.Generator) -> Tensor:
    """As networks of their own begin: He over the fan out, classifier uniform."""
    value = torch.zeros(span.shape)
    if len(span.shape) == 4:
        fan_out = span.shape[2] * span.shape[3] * (1 if span.depthwise else span.shape[0])
        return value.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
    if len(span.shape) == 2:
        bound = 1.0 / math.sqrt(span.shape[0])
        return value.uniform_(-bound, bound, generator=generator)
    return value.fill_(1.0 if name.endswith(("bn.weight", "running_var")) else 0.0)
