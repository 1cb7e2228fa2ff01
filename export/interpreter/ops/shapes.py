"""Operations that move values: reshaping, slicing, joining, splitting, gathering.

Parameters are named as in ML Programs; definitions after the docstrings of coremltools' operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def concat(values: Sequence[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """Joined along an axis; interleaved, the first of each, then the second of each."""
    if not interleave:
        return torch.cat(list(values), axis)
    return torch.stack(list(values), axis + 1 if axis >= 0 else axis).flatten(
        *sorted((axis % values[0].dim(), axis % values[0].dim() + 1))
    )


def reshape(x: Tensor, shape: list[int]) -> Tensor:
    """A size of 0 is the one that was there, one of -1 what remains."""
    return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(shape)])


def slice_by_index(
    x: Tensor,
    begin: list[int],
    end: list[int],
    stride: list[int] | None = None,
    begin_mask: list[bool] | None = None,
    end_mask: list[bool] | None = None,
    squeeze_mask: list[bool] | None = None,
) -> Tensor:
    """From begin to end along each axis; masks say where these do not count."""
    none = [False] * x.dim()
    places: list[Any] = []
    for at in range(x.dim()):
        if (squeeze_mask or none)[at]:
            places.append(begin[at])
            continue
        first = None if (begin_mask or none)[at] else begin[at]
        last = None if (end_mask or none)[at] else end[at]
        places.append(slice(first, last, None if stride is None else stride[at]))
    return x[tuple(places)]


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: list[int] | None = None
) -> tuple[Tensor, ...]:
    """Parts of the given sizes, or so many even ones."""
    if split_sizes is None:
        assert num_splits is not None
        split_sizes = [x.shape[axis] // num_splits] * num_splits
    return tuple(torch.split(x, split_sizes, axis))


def gather(
    x: Tensor,
    indices: Any,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """Slices along an axis in the order of indices."""
    if batch_dims:
        raise NotImplementedError(f"{batch_dims} dimensions of a batch")
    order = torch.as_tensor(indices, dtype=torch.int64)
    axis %= x.dim()
    found = x.index_select(axis, order.flatten())
    return found.reshape(*x.shape[:axis], *order.shape, *x.shape[axis + 1 :])


def squeeze(x: Tensor, axes: list[int] | None = None) -> Tensor:
    """Without axes of size 1: the given ones, or all."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    """With axes of size 1 at the given places of the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


TABLE: dict[str, Callable[..., Any]] = {
    "concat": concat,
    "expand_dims": expand_dims,
    "gather": gather,
    "matmul": lambda x, y, transpose_x=False, transpose_y=False: (
        (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)
    ),
    "pixel_shuffle": lambda x, upscale_factor: F.pixel_shuffle(x, upscale_factor),
    "reshape": reshape,
    "slice_by_index": slice_by_index,
    "split": split,
    "squeeze": squeeze,
    "stack": lambda values, axis: torch.stack(list(values), axis),
    "tile": lambda x, reps: x.repeat(reps),
    "transpose": lambda x, perm: x.permute(perm),
}
"""Operations by their names in ML Programs."""
