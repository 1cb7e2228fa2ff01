"""Layers that blocks of several families are built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    """Convolution without bias, BatchNorm, activation.

    The padding is k // 2 times the dilation, or none where `padded` is false; with `same` and a
    stride, that of TensorFlow.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: str = "none",
        dilation: int = 1,
        padded: bool = True,
        same: bool = False,
    ) -> None:
        super().__init__()
        asymmetric = same and stride > 1 and kernel > 1
        if asymmetric:
            self.pad = SamePad(kernel, stride, dilation)
        padding = kernel // 2 * dilation if padded and not asymmetric else 0
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)
        if act != "none":
            self.act = ACTIVATION_MODULES[act]()


class SamePad(nn.Module):
    """Zeros around a map as TensorFlow's padding `same` has them for a convolution with a stride.

    Just enough for an output of the size over the stride, rounded up; half of it, rounded down, at
    the top and the left: none and one for a window of 3 on an even size.
    """

    def __init__(self, kernel: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation + 1
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """`x` with the zeros around it."""
        return _same_padded(x, self.reach, self.stride)


def _same_padded(x: Tensor, reach: int, stride: int) -> Tensor:
    height, width = plane(x)
    return F.pad(x, (*_around(width, reach, stride), *_around(height, reach, stride)))


def _around(size: int, reach: int, stride: int) -> tuple[int, int]:
    """Zeros before and behind an axis."""
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


torch.fx.wrap("_same_padded")  # one call in a symbolic trace, where sizes are not known


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


class ReadsImage(nn.Module):
    """A module whose `forward` takes the network's input, an image, as its second argument."""


class Residual(nn.Module):
    """Adds a body's input to its output."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """`x` plus the body's output, of equal shape."""
        y: Tensor = self.body(x)
        return x + y


def plane(x: Tensor) -> tuple[int, int]:
    """Height and width of a map as integers: in a trace Core ML's converter takes no others."""
    return int(x.shape[2]), int(x.shape[3])


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """A map at another height and width, bilinearly; its corners are not those of the values."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class ChannelShuffle(nn.Module):
    """Interleaves groups of channels: (N, C, H, W) to the same shape, `groups` divides C."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """`x` with the first channels of all groups side by side, then the second ones."""
        # Core ML has no op for `torch.channel_shuffle`
        y: Tensor = x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        return y


class Selection(nn.Module):
    """Gathers channels by an index that training leaves behind: (N, C, ...) to (N, kept, ...).

    Which channels these are is a matter of training; here they are spread evenly.
    """

    index: Tensor

    def __init__(self, channels: int, kept: int) -> None:
        super().__init__()
        self.register_buffer("index", torch.arange(kept) * channels // kept)

    def forward(self, x: Tensor) -> Tensor:
        """The kept channels of `x`."""
        return x.index_select(1, self.index)


def with_residual(body: nn.Module, block: Any, in_channels: int) -> nn.Module:
    """The body with its input added where the shapes allow it and `block.skip` is true."""
    same_shape = block.stride == 1 and in_channels == block.channels
    return Residual(body) if block.skip and same_shape else body


def gates(block: Any, channels: int) -> list[nn.Module]:
    """The squeeze-and-excitation of a block, or nothing."""
    if not block.se:
        return []
    return [SqueezeExcite(channels, block.se, block.se_act, block.gate)]
