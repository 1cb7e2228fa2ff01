"""Kernels as text and as columns: lossless, made of whole ops, the same however they are put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import (
    TRAITS,
    WORK,
    Kernel,
    KernelTable,
    kernel_from_text,
    kernel_text,
)
from palmette.space import MOBILENET_LIKE, InputError, Op, OpTable

OPS = [op for name in ("mobilenet_v2", "mobilenet_v3_small") for op in network_ops(name)]
KERNELS = st.lists(st.sampled_from(OPS), min_size=1, max_size=4).map(tuple)
TEXT = "conv 32x56x56 -> 64x56x56 ; add 64x56x56 + 64x56x56 -> 64x56x56 relu"


def equal(one: KernelTable, other: KernelTable) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in KernelTable.__slots__)


def test_the_text_of_a_kernel_is_that_of_its_ops_main_op_first() -> None:
    kernel = kernel_from_text(TEXT)
    assert [op.kind for op in kernel] == ["conv", "add"]
    assert kernel_text(kernel) == TEXT
    assert kernel_from_text(TEXT.replace(" ; ", ";")) == kernel
    assert kernel_from_text("linear 8 -> 2") == (Op.from_text("linear 8 -> 2"),)


@given(kernel=KERNELS)
def test_the_text_of_a_kernel_loses_nothing(kernel: Kernel) -> None:
    assert kernel_from_text(kernel_text(kernel)) == kernel


@pytest.mark.parametrize("text", ["", ";", "linear 8 -> 2 ;", "linear 8 -> 2 ; magic 2 -> 2"])
def test_a_text_with_an_op_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="^op '"):
        kernel_from_text(text)


@given(kernels=st.lists(KERNELS, min_size=1, max_size=5))
def test_a_row_does_not_depend_on_the_rows_beside_it(kernels: list[Kernel]) -> None:
    together = KernelTable.of(kernels)
    one_by_one = KernelTable.concatenate([KernelTable.of([kernel]) for kernel in kernels])
    assert len(together) == len(kernels) and equal(together, one_by_one)


@given(kernels=st.lists(KERNELS, min_size=1, max_size=5))
def test_ops_in_a_row_with_the_places_of_main_ops_are_the_same_kernels(
    kernels: list[Kernel],
) -> None:
    starts = np.cumsum([0, *map(len, kernels[:-1])])
    flat = OpTable.of([op for kernel in kernels for op in kernel])
    assert equal(KernelTable.of_ops(flat, starts), KernelTable.of(kernels))


@given(kernels=st.lists(KERNELS, min_size=1, max_size=4), places=st.lists(st.integers(0, 3)))
def test_distinct_kernels_give_back_all(kernels: list[Kernel], places: list[int]) -> None:
    table = KernelTable.of([kernels[at % len(kernels)] for at in (0, *places)])
    distinct, back = table.distinct()
    assert back.shape == (len(table),)
    assert equal(distinct.take(back), table)
    rows = {tuple(row) for row in np.column_stack([table.work, table.traits, table.slow]).tolist()}
    assert len(distinct) == len(rows)


def test_no_kernels_have_no_distinct_ones() -> None:
    none = KernelTable.of([(op,) for op in OPS[:2]]).take(np.zeros(2, dtype=np.bool_))
    distinct, back = none.distinct()
    assert len(none) == len(distinct) == len(back) == 0


def test_the_main_op_says_the_sort_and_the_first_activation_counts() -> None:
    texts = ("conv 6x8x8 -> 6x8x8 k3 g6", "add 6x8x8 + 6x8x8 -> 6x8x8 relu", "act 6x8x8 -> 6x8x8")
    one, two = (
        KernelTable.of([tuple(map(Op.from_text, some))])
        for some in (texts[:2], (texts[0] + " swish", *texts[1:2]))
    )
    assert one.is_sort("depthwise").all() and not one.is_sort("conv", "add").any()
    assert one.column("act") != two.column("act") and two.slow.tolist() == [1.0]
    assert one.slow.tolist() == [0.0]


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("conv 8x4x4 -> 8x4x4 k3 g8", "depthwise"),
        ("conv 8x4x4 -> 16x4x4 k3 g8", "depthwise"),  # with a multiplier
        ("conv 8x4x4 -> 8x4x4 g2", "grouped"),
        ("conv 8x4x4 -> 8x4x4", "conv"),
        ("conv_transpose 8x4x4 -> 8x8x8 k2 s2 g8", "conv_transpose"),
        ("linear 8 -> 2", "linear"),
        ("mean 8x4x4 -> 8", "mean"),
    ],
)
def test_sorts_of_kernels(text: str, sort: str) -> None:
    assert KernelTable.of([(Op.from_text(text),)]).is_sort(sort).tolist() == [True]


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_columns_are_finite_and_not_negative(name: str) -> None:
    table = KernelTable.of([(op,) for op in network_ops(name)])
    assert table.work.shape[1] == len(WORK) and table.traits.shape[1] == len(TRAITS)
    for values in (table.work, table.traits, table.slow):
        assert (np.isfinite(values) & (values >= 0)).all()
    assert (table.column("padded") >= table.column("macs")).all()
