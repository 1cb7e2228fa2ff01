"""Convolutions, linear layers, pools, normalisation, padding, resizing, and 8-bit activations.

Parameters are named as in ML Programs; definitions after the docstrings of coremltools' operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Sides = list[int]
"""Before and after the rows, before and after the columns."""


def conv(
    x: Tensor,
    weight: Tensor,
    pad_type: str,
    bias: Tensor | None = None,
    strides: Sequence[int] = (1, 1),
    pad: Sides | None = None,
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Convolution of maps (n, in, height, width) by weights (out, in / groups, rows, columns)."""
    kernel = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    sides = _sides(x, kernel, strides, pad_type, pad)
    even = sides[0] == sides[1] and sides[2] == sides[3]
    if not even:
        x, sides = _padded(x, sides, 0.0), [0, 0, 0, 0]
    return F.conv2d(x, weight, bias, list(strides), sides[::2], list(dilations), groups)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    pad_type: str,
    bias: Tensor | None = None,
    strides: Sequence[int] = (1, 1),
    pad: Sides | None = None,
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
    output_shape: Sequence[int] | None = None,
) -> Tensor:
    """Transposed convolution; padding crops the whole result."""
    if pad_type not in ("valid", "custom"):
        raise NotImplementedError(f"padding '{pad_type}'")
    top, bottom, left, right = pad if pad_type == "custom" and pad is not None else [0, 0, 0, 0]
    whole = F.conv_transpose2d(x, weight, bias, list(strides), 0, 0, groups, list(dilations))
    height, width = whole.shape[2:] if output_shape is None else output_shape[2:]
    if output_shape is None:
        height, width = height - top - bottom, width - left - right
    return whole[:, :, top : top + height, left : left + width]


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Weights are (out, in)."""
    return F.linear(x, weight, bias)


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | float = 1.0,
    beta: Tensor | float = 0.0,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """Normalised by fixed statistics of each channel."""
    shape = (1, -1, *[1] * (x.dim() - 2))
    scale = gamma / torch.sqrt(variance + epsilon)
    shift = beta - mean * scale
    return x * scale.reshape(shape) + shift.reshape(shape)


def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] = (1, 1),
    pad: Sides | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest value of each window."""
    sides = _sides(x, kernel_sizes, strides, pad_type, pad)
    x, padding = _pooled(x, sides, ceil_mode, -math.inf)
    return F.max_pool2d(x, list(kernel_sizes), list(strides), padding, 1, ceil_mode)


def avg_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] = (1, 1),
    pad: Sides | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Mean of each window; padding counts as zeros, or not at all."""
    sides = _sides(x, kernel_sizes, strides, pad_type, pad)
    counted = torch.ones_like(x[:1, :1])
    means = []
    for values in (x, counted):
        values, padding = _pooled(values, sides, ceil_mode, 0.0)
        means.append(F.avg_pool2d(values, list(kernel_sizes), list(strides), padding, ceil_mode))
    return means[0] / means[1] if exclude_padding_from_average else means[0]


def pad_op(
    x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: Tensor | float = 0.0
) -> Tensor:
    """Before and after each of the last axes."""
    sides = [side for pair in reversed(_pairs(pad)) for side in pair]
    if mode == "constant":
        return F.pad(x, sides, value=float(constant_val))
    return F.pad(x, sides[: 2 * (x.dim() - 2)], mode=mode)


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor | float = 1.0,
    scale_factor_width: Tensor | float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Maps enlarged; corners map to corners, or pixels are areas."""
    size = _scaled(x, scale_factor_height, scale_factor_width)
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def upsample_nearest_neighbor(
    x: Tensor,
    scale_factor_height: Tensor | float = 1.0,
    scale_factor_width: Tensor | float = 1.0,
) -> Tensor:
    """Maps enlarged by repeating pixels."""
    return F.interpolate(x, _scaled(x, scale_factor_height, scale_factor_width), mode="nearest")


def resize_bilinear(
    x: Tensor, target_size_height: int, target_size_width: int, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """Maps resized, in the ways of sampling that torch has too."""
    corners = {"STRICT_ALIGN_CORNERS": True, "UNALIGN_CORNERS": False}
    if sampling_mode not in corners:
        raise NotImplementedError(f"sampling mode '{sampling_mode}'")
    size = [target_size_height, target_size_width]
    return F.interpolate(x, size, mode="bilinear", align_corners=corners[sampling_mode])


def quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: int | list[int] = 0,
    axis: int | None = None,
) -> Tensor:
    """Nearest steps of 8 bits, ties to even."""
    dtype = {"int8": torch.int8, "uint8": torch.uint8}[output_dtype]
    steps = torch.round(input / _along(scale, input, axis)) + _along(zero_point, input, axis)
    limits = torch.iinfo(dtype)
    return steps.clamp(limits.min, limits.max).to(dtype)


def dequantize(
    input: Tensor, scale: Tensor, zero_point: int | list[int] = 0, axis: int | None = None
) -> Tensor:
    """Values of steps of 8 bits."""
    steps = torch.as_tensor(input, dtype=torch.float32)
    return (steps - _along(zero_point, steps, axis)) * _along(scale, steps, axis)


def _along(values: Any, x: Tensor, axis: int | None) -> Tensor:
    """One value for all, or one for each place along an axis."""
    found = torch.as_tensor(values, dtype=torch.float32)
    if found.dim() == 0 or axis is None:
        return found
    sizes = [1] * x.dim()
    sizes[axis] = -1
    return found.reshape(sizes)


def _scaled(x: Tensor, *factors: Tensor | float) -> list[int]:
    sizes = zip(x.shape[2:], factors, strict=True)
    return [math.floor(size * float(factor)) for size, factor in sizes]


def _sides(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], pad_type: str, pad: Sides | None
) -> Sides:
    """Padding before and after rows and columns; of `same` the odd one comes last."""
    if pad_type == "custom":
        return list(pad or [0, 0, 0, 0])
    if pad_type == "valid":
        return [0, 0, 0, 0]
    sides = []
    for size, window, step in zip(x.shape[2:], kernel, strides, strict=True):
        total = max((math.ceil(size / step) - 1) * step + window - size, 0)
        halves = [total // 2, total - total // 2]
        sides += halves if pad_type == "same" else halves[::-1]
    return sides


def _pooled(x: Tensor, sides: Sides, ceil_mode: bool, value: float) -> tuple[Tensor, list[int]]:
    """Map and padding for torch's pools, which pad evenly, and by their own rule if they ceil."""
    if sides[0] == sides[1] and sides[2] == sides[3] and ceil_mode:
        return x, sides[::2]
    return _padded(x, sides, value), [0, 0]


def _padded(x: Tensor, sides: Sides, value: float) -> Tensor:
    top, bottom, left, right = sides
    return F.pad(x, [left, right, top, bottom], value=value) if any(sides) else x


def _pairs(pad: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(pad[::2], pad[1::2], strict=True))


TABLE: dict[str, Callable[..., Any]] = {
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "dequantize": dequantize,
    "linear": linear,
    "max_pool": max_pool,
    "pad": pad_op,
    "quantize": quantize,
    "resize_bilinear": resize_bilinear,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
"""Operations by their names in ML Programs."""
