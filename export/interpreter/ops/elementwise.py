"""Arithmetic, comparisons, activations, reductions.

Parameters are named as in ML Programs; definitions after the docstrings of coremltools' operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Number = Tensor | float


def cast(x: Tensor, dtype: str) -> Tensor:
    """Half precision stays single here: the caller rounds what the program stores as half."""
    return x.to(_DTYPES[dtype])


_DTYPES = {
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}


def clip(x: Tensor, alpha: Number, beta: Number) -> Tensor:
    """From alpha to beta."""
    return x.clamp(float(alpha), float(beta))


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """Gaussian error linear unit, exact or one of two approximations."""
    return _GELUS[mode](x)


_GELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "EXACT": F.gelu,
    "TANH_APPROXIMATION": lambda x: F.gelu(x, approximate="tanh"),
    "SIGMOID_APPROXIMATION": lambda x: x * torch.sigmoid(1.702 * x),
}


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """A slope for each channel, which is the second axis."""
    return F.prelu(x, alpha)


def sigmoid_hard(x: Tensor, alpha: Number, beta: Number) -> Tensor:
    """A line from 0 to 1."""
    return (x * alpha + beta).clamp(0, 1)


def thresholded_relu(x: Tensor, alpha: Number) -> Tensor:
    """Zero below alpha."""
    return torch.where(x >= alpha, x, 0.0)


def _reduced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduce(x: Tensor, axes: list[int] | None = None, keep_dims: bool = False) -> Tensor:
        found = function(x, axes if axes is not None else list(range(x.dim())), keepdim=keep_dims)
        return found.to(x.dtype)

    return reduce


def reduce_argmax(x: Tensor, axis: int = -1, keep_dims: bool = False) -> Tensor:
    """Index of the largest value along an axis."""
    return x.argmax(axis, keepdim=keep_dims).to(torch.int32)


def inverse(x: Tensor, epsilon: Number = 1e-4) -> Tensor:
    """Reciprocal."""
    return 1 / (x + epsilon)


def log(x: Tensor, epsilon: Number = 1e-45) -> Tensor:
    """Natural logarithm."""
    return torch.log(x + epsilon)


def rsqrt(x: Tensor, epsilon: Number = 1e-12) -> Tensor:
    """Reciprocal square root."""
    return torch.rsqrt(x + epsilon)


TABLE: dict[str, Callable[..., Any]] = {
    "abs": lambda x: abs(x),
    "add": lambda x, y: x + y,
    "cast": cast,
    "clip": clip,
    "elu": lambda x, alpha: torch.where(x >= 0, x, alpha * torch.expm1(x)),
    "equal": lambda x, y: x == y,
    "exp": lambda x: torch.exp(x),
    "floor": lambda x: torch.floor(x),
    "gelu": gelu,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "identity": lambda x: x,
    "inverse": inverse,
    "leaky_relu": lambda x, alpha: torch.where(x >= 0, x, x * alpha),
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "log": log,
    "logical_and": lambda x, y: x & y,
    "logical_not": lambda x: ~x,
    "maximum": lambda x, y: torch.maximum(x, torch.as_tensor(y)),
    "minimum": lambda x, y: torch.minimum(x, torch.as_tensor(y)),
    "mul": lambda x, y: x * y,
    "pow": lambda x, y: x**y,
    "prelu": prelu,
    "real_div": lambda x, y: x / y,
    "reduce_argmax": reduce_argmax,
    "reduce_max": _reduced(torch.amax),
    "reduce_mean": _reduced(torch.mean),
    "reduce_min": _reduced(torch.amin),
    "reduce_sum": _reduced(torch.sum),
    "relu": lambda x: x.relu(),
    "relu6": lambda x: x.clamp(0, 6),
    "rsqrt": rsqrt,
    "select": lambda cond, a, b: torch.where(cond, a, b),
    "sigmoid": lambda x: torch.sigmoid(x),
    "sigmoid_hard": sigmoid_hard,
    "silu": lambda x: x * torch.sigmoid(x),
    "softmax": lambda x, axis=-1: x.softmax(axis),
    "softplus": lambda x: F.softplus(x),
    "sqrt": lambda x: torch.sqrt(x),
    "square": lambda x: x * x,
    "sub": lambda x, y: x - y,
    "tanh": lambda x: torch.tanh(x),
    "thresholded_relu": thresholded_relu,
}
"""Operations by their names in ML Programs."""
