"""Convolutions that train as a sum of branches and run as the one convolution it equals.

A unit computes its branches in training mode, where every BatchNorm has the statistics of its own
batch, and the merged convolution in evaluation mode: what is traced, counted and timed is what a
device runs. `reparameterise` makes the merged convolutions layers of their own, for an export or to
be rid of the branches. Ding et al., RepVGG, 2021.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

Kernel = tuple[Tensor, Tensor]
"""Weight (out, in / groups, k, k) and bias (out,) of a convolution."""


class Branched(nn.Module):
    """A unit of branches whose sum is one convolution of a fixed layout, padded by k // 2.

    Args:
        channels: of the input and of the output.
        kernel: height and width of the merged convolution's window.
        stride: of the merged convolution.
        groups: of the merged convolution.
    """

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.channels, self.kernel, self.stride, self.groups = channels, kernel, stride, groups

    def branches(self, x: Tensor) -> Tensor:
        """The sum, branch by branch: (N, in, H, W) to (N, out, H / stride, W / stride)."""
        raise NotImplementedError

    def merged(self) -> Kernel:
        """The one convolution that the branches add up to, by their running statistics."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """The sum: from the branches in training mode, from the merged convolution otherwise."""
        if self.training:
            return self.branches(x)
        weight, bias = self.merged()
        return functional.conv2d(x, weight, bias, self.stride, self.kernel // 2, groups=self.groups)

    def convolution(self) -> nn.Conv2d:
        """The merged convolution as a layer, on the same device and of the same type."""
        sizes = (*self.channels, self.kernel, self.stride, self.kernel // 2)
        layer = nn.Conv2d(*sizes, groups=self.groups, device="meta")
        if not all(value.is_meta for value in self.parameters()):  # shapes alone need no arithmetic
            with torch.no_grad():
                weight, bias = self.merged()
            layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer.train(self.training)


def reparameterise(network: nn.Module) -> nn.Module:
    """Replace every unit of branches by its convolution, in place; return the network.

    A network that is itself such a unit stays as it was, and its convolution is returned.
    """
    if isinstance(network, Branched):
        return network.convolution()
    for name, child in network.named_children():
        network.set_submodule(name, reparameterise(child))
    return network


def reparameterised(network: nn.Module) -> nn.Module:
    """Copy of a network with every unit of branches replaced by its convolution.

    In evaluation mode it computes the same, up to rounding; in training mode it does not, for its
    BatchNorms are gone.
    """
    return reparameterise(copy.deepcopy(network))


def fold(weight: Tensor, norm: nn.BatchNorm2d, bias: Tensor | None = None) -> Kernel:
    """A convolution and the BatchNorm after it, by its running statistics, as one convolution."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight * (variance + norm.eps).rsqrt()
    shift = -mean if bias is None else bias - mean
    return weight * scale[:, None, None, None], norm.bias + shift * scale


def unit_weight(like: Tensor) -> Tensor:
    """Weight (C, C / groups, 1, 1) of the 1x1 convolution that gives its input.

    Args:
        like: weight (C, C / groups, k, k) of a convolution of the same channels and groups.
    """
    outputs, inputs = like.shape[:2]
    one = torch.eye(inputs, dtype=like.dtype, device=like.device)
    return one.repeat(outputs // inputs, 1)[:, :, None, None]


def widen(weight: Tensor, kernel: int) -> Tensor:
    """Weight with zeros around its window, up to a window of `kernel`."""
    around = (kernel - weight.shape[-1]) // 2
    return functional.pad(weight, [around] * 4)
