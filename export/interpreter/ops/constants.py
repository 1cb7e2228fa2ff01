"""Compressed constants expanded, each step in the arithmetic of the type that it gives.

Numpy, not torch: coremltools expands them by the same steps, so equality to the last bit can be
demanded (`palmette.export.gates`). An operation of iOS 16 holds its parameters as attributes and
packs indices itself; those of iOS 18 take them as inputs, of types narrower than a byte.
Definitions after the docstrings of coremltools' `constexpr_*` operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.blobs import unpacked

Array = NDArray[Any]
Expanded = Array | tuple[Array, ...]


def cast(source_val: Array, output_dtype: Array) -> Array:
    """Half precision as single."""
    return source_val.astype({"fp32": "f4"}[str(output_dtype)])


def affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Array) -> Array:
    """Scale times the distance from the zero point, either for all or along an axis."""
    sizes = [1] * quantized_data.ndim
    sizes[int(axis)] = -1
    factor, zero = (x.reshape(sizes) if x.ndim else x for x in (scale, zero_point))
    distance = quantized_data.astype(np.float32) - zero.astype(np.float32)
    return (distance * factor).astype(scale.dtype)


def blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    """Scale times the distance from the offset, both for blocks that divide each axis evenly."""
    values = data.astype(scale.dtype)
    if offset is not None:
        # in the type that numpy gives the difference: an offset may be wider than the scale
        values = values - _spread(offset, data.shape)
    expanded: Array = _spread(scale, data.shape) * values
    return expanded


def lut_to_dense(
    indices: Array,
    lut: Array,
    vector_axis: Array | None = None,
    shape: Array | None = None,
) -> Array:
    """Entries of look-up tables, one table for all or one a block; entries may be vectors.

    Args:
        indices: packed in bytes if a shape is given.
        lut: (entries,), or (tables along each axis of the indices..., entries, vector).
        vector_axis: along which the values of a vector lie.
        shape: of the result, in the operation of iOS 16.
    """
    if shape is not None:
        count, bits = math.prod(shape.tolist()), int(math.log2(lut.size))
        dense: Array = lut[unpacked(indices.tobytes(), bits, count)].reshape(shape)
        return dense
    blocks = lut.shape[:-2]
    table = _spread(np.arange(math.prod(blocks)).reshape(blocks), indices.shape)
    entries = lut.reshape(-1, *lut.shape[-2:])[table, indices]
    if vector_axis is None or lut.shape[-1] == 1:
        return entries[..., 0]
    axis = int(vector_axis) % indices.ndim
    sizes = list(indices.shape)
    sizes[axis] *= lut.shape[-1]
    return np.moveaxis(entries, -1, axis + 1).reshape(sizes)


def sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array | None = None) -> Array:
    """Values where the mask is set, zeros elsewhere; the mask is packed if a shape is given."""
    if shape is not None:
        mask = unpacked(mask.tobytes(), 1, math.prod(shape.tolist())).reshape(shape)
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[mask != 0] = nonzero_data
    return dense


def lut_to_sparse(
    indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Array | None = None
) -> tuple[Array, Array]:
    """Mask and values of sparse indices looked up."""
    indices = sparse_to_dense(indices_nonzero_data, indices_mask)
    dense = lut_to_dense(indices, lut, vector_axis)
    mask = indices_mask
    if vector_axis is not None:
        mask = np.repeat(mask, lut.shape[-1], int(vector_axis))
    return mask, dense[mask != 0]


def sparse_blockwise_shift_scale(
    data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """Mask and values of sparse data scaled."""
    dense = blockwise_shift_scale(sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def _spread(values: Array, shape: tuple[int, ...]) -> Array:
    """Each value repeated over its block of a larger shape."""
    for axis, size in enumerate(shape):
        if values.shape[axis] != size:
            values = np.repeat(values, size // values.shape[axis], axis)
    return values


TABLE: dict[str, Callable[..., Expanded]] = {
    "constexpr_cast": cast,
    "constexpr_affine_dequantize": affine_dequantize,
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_lut_to_dense": lut_to_dense,
    "constexpr_sparse_to_dense": sparse_to_dense,
    "constexpr_lut_to_sparse": lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": sparse_blockwise_shift_scale,
}
"""Operations on constants by their names in ML Programs."""
