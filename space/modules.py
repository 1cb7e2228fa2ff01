"""Torch modules built from an `Architecture`.

`BUILDERS` maps each block class to the function that makes its module: a new block is a dataclass
in `space.blocks` and one entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from palmette.space.architecture import IMAGE_CHANNELS, Architecture
from palmette.space.blocks import (
    Block,
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InvertedResidual,
    Stem,
)

ACTIVATION_MODULES: dict[str, Callable[[], nn.Module]] = {
    "none": nn.Identity,
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "lrelu": lambda: nn.LeakyReLU(0.1, inplace=True),  # Darknet's slope
    "hswish": lambda: nn.Hardswish(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "hsigmoid": nn.Hardsigmoid,
}


class ConvBnAct(nn.Sequential):
    """Convolution without bias, BatchNorm, activation; padding of k // 2."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: str = "none",
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        if act != "none":
            self.act = ACTIVATION_MODULES[act]()


class SqueezeExcite(nn.Module):
    """Channel gate from the mean of the map (Hu et al., 2018): (N, C, H, W) to the same shape."""

    def __init__(self, channels: int, squeeze: int, act: str, gate: str) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.act = ACTIVATION_MODULES[act]()
        self.expand = nn.Conv2d(squeeze, channels, 1)
        self.gate = ACTIVATION_MODULES[gate]()

    def forward(self, x: Tensor) -> Tensor:
        """Scale every channel of `x` by its gate."""
        gate: Tensor = self.reduce(x.mean((2, 3), keepdim=True))
        gate = self.gate(self.expand(self.act(gate)))
        return x * gate


class Residual(nn.Module):
    """Adds a body's input to its output."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """`x` plus the body's output, of equal shape."""
        y: Tensor = self.body(x)
        return x + y


class Classifier(nn.Module):
    """Head of a network: (N, C, H, W) to (N, classes), or pooled features without a classifier."""

    def __init__(self, head: Head, in_channels: int) -> None:
        super().__init__()
        self.pool_first = head.pool_first
        self.conv: nn.Module = nn.Identity()
        features = head.channels or in_channels
        if head.channels and head.pool_first:
            # after the pooling there is one value a channel: a bias serves better than BatchNorm
            self.conv = nn.Sequential(
                nn.Conv2d(in_channels, features, 1), ACTIVATION_MODULES[head.act]()
            )
        elif head.channels:
            self.conv = ConvBnAct(in_channels, features, act=head.act)
        self.fc = nn.Linear(features, head.classes) if head.classes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (logits) of a feature map."""
        if self.pool_first:
            x = self.conv(x.mean((2, 3), keepdim=True))
        else:
            x = self.conv(x).mean((2, 3), keepdim=True)
        y: Tensor = self.fc(x.flatten(1))
        return y


class Network(nn.Module):
    """Stem, stages and head of an architecture: images (N, 3, H, W) to class scores."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        modules = [build_part(part.block, part.in_channels) for part in architecture.parts()]
        depths = [len(stage) for stage in architecture.stages]
        ends = [1 + sum(depths[: index + 1]) for index in range(len(depths))]
        starts = [1, *ends[:-1]]
        self.stem = modules[0]
        self.stages = nn.ModuleList(
            nn.Sequential(*modules[start:end]) for start, end in zip(starts, ends, strict=True)
        )
        self.head = modules[-1]

    def features(self, x: Tensor) -> list[Tensor]:
        """Output of every stage, finest first."""
        maps: list[Tensor] = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Class scores of a batch of images."""
        y: Tensor = self.head(self.features(x)[-1])
        return y


def build_part(block: Block, in_channels: int) -> nn.Module:
    """Module of a stem, block or head that follows `in_channels` channels."""
    return BUILDERS[type(block)](block, in_channels)


def build_network(architecture: Architecture, seed: int = 0) -> Network:
    """Network with weights drawn from `seed`; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed the GPUs as well
        network = Network(architecture)
        network.apply(_initialise)
    return network


def meta_network(architecture: Architecture) -> Network:
    """Network in evaluation mode on the meta device: shapes without memory."""
    with torch.device("meta"):
        return Network(architecture).eval()


def _initialise(module: nn.Module) -> None:
    """Weights as in MobileNetV2 and EfficientNet: He over the fan out, classifier uniform."""
    if isinstance(module, nn.Conv2d):
        fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
        nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        bound = 1.0 / math.sqrt(module.out_features)
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


def _with_residual(body: nn.Module, block: Any, in_channels: int) -> nn.Module:
    same_shape = block.stride == 1 and in_channels == block.channels
    return Residual(body) if block.skip and same_shape else body


def _gates(block: Any, channels: int) -> list[nn.Module]:
    if not block.se:
        return []
    return [SqueezeExcite(channels, block.se, block.se_act, block.gate)]


def _stem(block: Stem, _: int) -> nn.Module:
    return ConvBnAct(IMAGE_CHANNELS, block.channels, block.kernel, block.stride, act=block.act)


def _conv(block: ConvBlock, in_channels: int) -> nn.Module:
    return ConvBnAct(
        in_channels, block.channels, block.kernel, block.stride, block.groups, block.act
    )


def _depthwise_separable(block: DepthwiseSeparable, in_channels: int) -> nn.Module:
    act = block.act if block.point_act else "none"
    body = nn.Sequential(
        ConvBnAct(in_channels, in_channels, block.kernel, block.stride, in_channels, block.act),
        *_gates(block, in_channels),
        ConvBnAct(in_channels, block.channels, groups=block.groups, act=act),
    )
    return _with_residual(body, block, in_channels)


def _inverted_residual(block: InvertedResidual, in_channels: int) -> nn.Module:
    wide = block.expanded
    body = nn.Sequential(
        ConvBnAct(in_channels, wide, groups=block.groups, act=block.act),
        ConvBnAct(wide, wide, block.kernel, block.stride, wide, block.act),
        *_gates(block, wide),
        ConvBnAct(wide, block.channels, groups=block.groups),
    )
    return _with_residual(body, block, in_channels)


def _fused_inverted_residual(block: FusedInvertedResidual, in_channels: int) -> nn.Module:
    wide = block.expanded
    body = nn.Sequential(
        ConvBnAct(in_channels, wide, block.kernel, block.stride, block.groups, block.act),
        *_gates(block, wide),
        ConvBnAct(wide, block.channels, groups=block.groups),
    )
    return _with_residual(body, block, in_channels)


def _head(block: Head, in_channels: int) -> nn.Module:
    return Classifier(block, in_channels)


BUILDERS: dict[type[Block], Callable[[Any, int], nn.Module]] = {
    Stem: _stem,
    ConvBlock: _conv,
    DepthwiseSeparable: _depthwise_separable,
    InvertedResidual: _inverted_residual,
    FusedInvertedResidual: _fused_inverted_residual,
    Head: _head,
}
