"""Compressed constants expand to what coremltools' own decompression gives, to the last bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.export._coremltools import coremltools
from palmette.export.blobs import ELEMENTS, decoded, unpacked
from palmette.export.interpreter.ops import constants
from palmette.space import InputError


def test_an_index_may_lie_in_two_bytes() -> None:
    # six bits each, the lowest first: 1, 63, 2 are 1 + 63 * 64 + 2 * 4096
    data = (1 + 63 * 64 + 2 * 4096).to_bytes(3, "little")
    assert unpacked(data, 6, 3).tolist() == [1, 63, 2]


def test_the_highest_bit_of_a_signed_value_is_its_sign() -> None:
    assert unpacked(bytes([0x8F, 0x07]), 4, 3, signed=True).tolist() == [-1, -8, 7]


@given(st.data())
def test_packed_values_are_read_back(data: st.DataObject) -> None:
    element = data.draw(st.sampled_from([e for e in ELEMENTS if ELEMENTS[e].bits < 8]))
    kind = ELEMENTS[element]
    low = -(1 << kind.bits - 1) if kind.signed else 0
    values = data.draw(st.lists(st.integers(low, low + (1 << kind.bits) - 1), max_size=20))
    number = sum((v % (1 << kind.bits)) << kind.bits * at for at, v in enumerate(values))
    stored = number.to_bytes(-(-len(values) * kind.bits // 8), "little")
    assert decoded(stored, element, len(values), "x").tolist() == values


def test_a_number_of_bytes_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="w: 3 values of type UINT4 are stored in 3 bytes"):
        decoded(b"abc", "UINT4", 3, "w")


def half(*values: float) -> np.ndarray[Any, Any]:
    return np.array(values, np.float16)


def test_tables_of_groups_are_looked_up_by_group() -> None:
    indices = np.array([[2, 3], [3, 0], [1, 0], [3, 0], [2, 1], [0, 3]], np.uint8)
    lut = half(1, 5, 9, 13, 2, 10, 18, 26).reshape(2, 1, 4, 1)
    found = constants.lut_to_dense(indices, lut)
    assert found.tolist() == [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]]


def test_vectors_fill_their_axis() -> None:
    indices = np.array([[0, 1]], np.uint8)
    lut = half(1, 2, 3, 4).reshape(1, 1, 2, 2)
    assert constants.lut_to_dense(indices, lut, np.array(0)).tolist() == [[1, 3], [2, 4]]
    assert constants.lut_to_dense(indices, lut, np.array(-1)).tolist() == [[1, 2, 3, 4]]


def test_blocks_have_a_scale_and_an_offset_each() -> None:
    data = np.array([[1, 2, 3, 4]], np.int8)
    found = constants.blockwise_shift_scale(data, half(2, 4)[None], np.array([[1, 0]], np.int8))
    assert found.tolist() == [[0, 2, 12, 16]] and found.dtype == np.float16


def test_sparse_values_go_where_the_mask_is_set() -> None:
    assert constants.sparse_to_dense(half(5, 6), np.array([[1, 0], [0, 1]])).tolist() == [
        [5, 0],
        [0, 6],
    ]
    packed = np.array([0b1100], np.uint8)
    shape = np.array([2, 2], np.uint32)
    assert constants.sparse_to_dense(half(5, 6), packed, shape).tolist() == [[0, 0], [5, 6]]


def test_sparse_vectors_widen_the_mask() -> None:
    mask, values = constants.lut_to_sparse(
        np.array([[1, 0]]), np.array([1]), half(1, 2, 3, 4).reshape(1, 1, 2, 2), np.array(0)
    )
    assert mask.tolist() == [[1, 0], [1, 0]] and values.tolist() == [3, 4]


def theirs(system: str, kind: str, **inputs: Any) -> Any:
    """What coremltools' own code makes of the same constants."""
    coremltools()
    from coremltools.converters.mil.mil.ops.defs import iOS16, iOS18

    operation = getattr({"iOS16": iOS16, "iOS18": iOS18}[system], f"constexpr_{kind}")
    return operation.decompress(**inputs)


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=30)
@given(SEEDS, st.sampled_from([1, 2, 3, 4, 6, 8]), st.sampled_from([1, 2]))
def test_look_up_tables_expand_as_theirs(seed: int, bits: int, vector: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.choice([1, 2, 4])
    indices = rng.integers(0, 1 << bits, (4, 3, 1, 2)).astype(np.uint8)
    lut = rng.normal(size=(groups, 1, 1, 1, 1 << bits, vector)).astype(np.float16)
    axis = np.int32(rng.integers(2)) if vector > 1 else None
    if axis == 0:  # a vector does not cross groups
        lut = lut[:1]
    wanted = theirs("iOS18", "lut_to_dense", indices=indices, lut=lut, vector_axis=axis)
    assert identical(constants.lut_to_dense(indices, lut, axis), wanted)


@given(SEEDS, st.sampled_from(["<f2", "<f4"]), st.booleans(), st.booleans())
def test_scaled_blocks_expand_as_theirs(seed: int, dtype: str, offset: bool, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, (4, 6, 1, 2)).astype(np.int8)
    blocks = (rng.choice([1, 4]), rng.choice([1, 2, 6]), 1, 1)
    scale = rng.uniform(1e-4, 1, blocks).astype(dtype)
    shift = rng.integers(-128, 128, blocks).astype(np.int8) if offset else None
    if sparse:
        mask = rng.integers(0, 2, data.shape).astype(np.uint8)
        given_ = {"data_mask": mask, "nonzero_data": data[mask != 0], "scale": scale}
        wanted = theirs("iOS18", "sparse_blockwise_shift_scale", **given_, offset=shift)
        found = constants.sparse_blockwise_shift_scale(**given_, offset=shift)
        assert all(identical(*pair) for pair in zip(found, wanted, strict=True))
        return
    wanted = theirs("iOS18", "blockwise_shift_scale", data=data, scale=scale, offset=shift)
    assert identical(constants.blockwise_shift_scale(data, scale, shift), wanted)


@given(SEEDS, st.sampled_from([0, 1, -1]), st.booleans())
def test_scaled_channels_expand_as_theirs(seed: int, axis: int, channels: bool) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(-128, 128, (4, 3, 2)).astype(np.int8)
    shape = (data.shape[axis],) if channels else ()
    given_ = {
        "quantized_data": data,
        "zero_point": np.asarray(rng.integers(-128, 128, shape), np.int8),
        "scale": np.asarray(rng.uniform(1e-4, 1, shape), np.float16),
        "axis": np.int32(axis),
    }
    wanted = theirs("iOS16", "affine_dequantize", **given_)
    assert identical(constants.affine_dequantize(**given_), wanted)


@given(SEEDS, st.sampled_from([1, 2, 4, 6, 8]))
def test_packed_tables_and_masks_expand_as_theirs(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    shape = np.array([3, 5], np.uint32)
    table = {
        "indices": rng.integers(0, 256, -(-15 * bits // 8)).astype(np.uint8),
        "lut": rng.normal(size=1 << bits).astype(np.float16),
        "shape": shape,
    }
    assert identical(constants.lut_to_dense(**table), theirs("iOS16", "lut_to_dense", **table))
    bitmask = rng.integers(0, 2, 15).astype(np.uint8)
    sparse = {
        "nonzero_data": rng.normal(size=bitmask.sum()).astype(np.float16),
        "mask": np.packbits(bitmask, bitorder="little"),
        "shape": shape,
    }
    wanted = theirs("iOS16", "sparse_to_dense", **sparse)
    assert identical(constants.sparse_to_dense(**sparse), wanted)


def identical(found: Any, wanted: Any) -> bool:
    """Equal in type, shape and every bit."""
    return (found.dtype, found.shape, found.tobytes()) == (
        wanted.dtype,
        wanted.shape,
        wanted.tobytes(),
    )
