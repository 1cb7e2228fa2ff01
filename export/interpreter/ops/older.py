"""Layers of the older format that are no operation of ML Programs as they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch.nn.functional as F
from torch import Tensor


def add_all(values: Sequence[Tensor]) -> Tensor:
    """Sum of all inputs."""
    return reduce(lambda one, other: one + other, values)


def multiply_all(values: Sequence[Tensor]) -> Tensor:
    """Product of all inputs."""
    return reduce(lambda one, other: one * other, values)


def global_pool(x: Tensor, average: bool) -> Tensor:
    """Mean or largest value of each map, (n, channels, 1, 1)."""
    return x.mean((-2, -1), keepdim=True) if average else x.amax((-2, -1), keepdim=True)


def slice_axis(x: Tensor, axis: int, begin: int, end: int, stride: int) -> Tensor:
    """Part of one axis, counted from the last."""
    places: list[Any] = [slice(None)] * x.dim()
    places[axis] = slice(begin, end or None, stride)  # an end of 0 is left out
    return x[tuple(places)]


def pad_axes(x: Tensor, amounts: list[int], value: Tensor) -> Tensor:
    """Before and after each axis, the first axis first."""
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    return F.pad(x, [side for pair in reversed(pairs) for side in pair], value=float(value))


def split_evenly(x: Tensor, axis: int, parts: int) -> tuple[Tensor, ...]:
    """So many parts of one size."""
    return tuple(x.chunk(parts, axis))


TABLE: dict[str, Callable[..., Any]] = {
    "add_all": add_all,
    "global_pool": global_pool,
    "multiply_all": multiply_all,
    "pad_axes": pad_axes,
    "slice_axis": slice_axis,
    "split_evenly": split_evenly,
}
"""By names of our own."""
