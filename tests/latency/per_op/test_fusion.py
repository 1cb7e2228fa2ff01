"""What a runtime starts at once: ops joined to kernels, gates that are silent, gates spelt out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.fusion import FUSIONS, Fusion, fusion_of
from palmette.latency.per_op.kernels import WORK, KernelTable, kernel_from_text
from palmette.latency.per_op.op_timed import OpTimedModel
from palmette.space import MOBILENET_LIKE, Op, OpTable

START = np.zeros(1, dtype=np.int64)
TFLITE = fusion_of("tflite-2.10")
Table = Callable[..., OpTable]


def equal(one: KernelTable, other: KernelTable) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in KernelTable.__slots__)


def test_a_runtime_is_known_by_the_beginning_of_its_name() -> None:
    assert TFLITE is FUSIONS["tflite"] and fusion_of("tflite") is TFLITE
    for other in ("coreml-ios16", "torch-eager", "onnxruntime", "my-tflite"):
        assert fusion_of(other) == Fusion()


@pytest.mark.parametrize(("name", "kernels"), [("mobilenet_v2", 54), ("mobilenet_v1", 29)])
def test_tflite_starts_an_addition_with_the_convolution_before_it(name: str, kernels: int) -> None:
    ops = OpTable.of(network_ops(name))
    table, main = TFLITE.kernels(ops, START)
    assert len(table) == len(main) == kernels == len(ops) - ops.is_kind("add").sum()
    assert not ops.is_kind("add")[main].any()
    # each brings one more tensor, whose elements are read besides
    assert table.column("inputs").sum() == kernels + ops.is_kind("add").sum()
    assert table.column("fused").sum() == ops.out_elements[ops.is_kind("add")].sum()


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_other_runtimes_start_every_op_by_itself(name: str) -> None:
    ops = network_ops(name)
    table, main = fusion_of("coreml-ios16").kernels(OpTable.of(ops), START)
    assert main.tolist() == list(range(len(ops)))
    assert equal(table, KernelTable.of([(op,) for op in ops]))


@pytest.mark.parametrize("name", MOBILENET_LIKE)
@pytest.mark.parametrize("runtime", ["tflite-2.10", "coreml-ios16"])
def test_kernels_as_ops_and_as_columns_are_the_same(name: str, runtime: str) -> None:
    ops, fusion = network_ops(name), fusion_of(runtime)
    assert equal(KernelTable.of(fusion.groups(ops)), fusion.kernels(OpTable.of(ops), START)[0])


def test_joined_ops_are_the_kernel_that_a_table_of_timings_names(ops_of_texts: Table) -> None:
    texts = (
        "conv 8x4x4 -> 6x4x4 relu",
        "conv 6x4x4 -> 6x4x4 k3 g6",
        "add 6x4x4 + 6x4x4 -> 6x4x4 relu",
        "mul 6x4x4 + 6x4x4 -> 6x4x4",
        "conv 6x4x4 -> 2x4x4",
    )
    table, main = TFLITE.kernels(ops_of_texts(*texts), START)
    assert main.tolist() == [0, 1, 4]
    named = (texts[0], " ; ".join(texts[1:4]), texts[4])
    assert equal(table, KernelTable.of([kernel_from_text(text) for text in named]))


def test_an_op_of_another_shape_is_started_by_itself(ops_of_texts: Table) -> None:
    ops = ops_of_texts(
        "conv 8x4x4 -> 6x4x4",
        "add 6x8x2 + 6x8x2 -> 6x8x2",
        "add 3x8x2 + 3x8x2 -> 3x8x2",
        "pool 3x8x2 -> 3x8x2 k3",  # not elementwise, though of the same shape
    )
    assert TFLITE.kernels(ops, START)[1].tolist() == [0, 1, 2, 3]


def test_boundaries_of_blocks_never_join(ops_of_texts: Table) -> None:
    block = ("add 6x4x4 + 6x4x4 -> 6x4x4", "conv 6x4x4 -> 6x4x4", "add 6x4x4 + 6x4x4 -> 6x4x4")
    ops = ops_of_texts(*block, *block)
    assert TFLITE.kernels(ops, np.array([0, 3]))[1].tolist() == [0, 1, 3, 4]
    assert TFLITE.kernels(ops, START)[1].tolist() == [0, 1, 4]  # as one block they do


GATE = (
    "conv 8x4x4 -> 8x4x4 k3 g8 relu",
    "mean 8x4x4 -> 8x1x1",
    "conv 8x1x1 -> 2x1x1 relu",
    "conv 2x1x1 -> 8x1x1 hsigmoid",
    "mul 8x4x4 + 8x1x1 -> 8x4x4",
    "conv 8x4x4 -> 4x4x4",
)


def test_the_product_of_a_gate_is_not_started_by_tflite(ops_of_texts: Table) -> None:
    ops = ops_of_texts(*GATE)
    assert TFLITE.kernels(ops, START)[1].tolist() == [0, 1, 2, 3, 5]
    assert fusion_of("coreml-ios16").kernels(ops, START)[1].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_network_of_nothing_but_a_gates_product_has_no_kernel(ops_of_texts: Table) -> None:
    table, main = TFLITE.kernels(ops_of_texts(GATE[4]), START)
    assert len(table) == len(main) == 0


def test_an_addition_behind_a_silent_product_starts_with_what_is_before_it(
    ops_of_texts: Table,
) -> None:
    ops = ops_of_texts(*GATE[:5], "add 8x4x4 + 8x4x4 -> 8x4x4", GATE[5])
    assert TFLITE.kernels(ops, START)[1].tolist() == [0, 1, 2, 3, 6]


def test_hsigmoid_is_spelt_out_as_a_clip_and_a_product(ops_of_texts: Table) -> None:
    plain, _ = TFLITE.kernels(ops_of_texts(GATE[3].replace("hsigmoid", "relu")), START)
    spelt, _ = TFLITE.kernels(ops_of_texts(GATE[3]), START)
    differ = {name: (spelt.column(name) - plain.column(name)).item() for name in WORK}
    assert {n: d for n, d in differ.items() if d} == {"moved": 8.0, "inputs": 1.0, "fused": 8.0}
    assert spelt.column("act") == plain.column("act")
    assert (spelt.column("muls"), plain.column("muls")) == (1.0, 0.0)
    assert spelt.slow == plain.slow == 0.0  # a clip and a product are not slow


@pytest.mark.parametrize(
    "text",
    [
        "conv 8x1x1 -> 8x1x1 sigmoid",  # another activation
        "conv 8x4x4 -> 8x4x4 k3 g8 hsigmoid",  # a kernel that has no product behind it
        "act 8x4x4 -> 8x4x4 hsigmoid",
    ],
)
def test_other_activations_and_kernels_stay_as_they_are(ops_of_texts: Table, text: str) -> None:
    table, _ = TFLITE.kernels(ops_of_texts(text), START)
    assert equal(table, KernelTable.of([(Op.from_text(text),)]))


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_every_op_is_a_main_op_joined_or_silent(name: str) -> None:
    ops = OpTable.of(network_ops(name))
    table, main = TFLITE.kernels(ops, START)
    assert (np.diff(main) > 0).all() and main[0] == 0
    rest = np.setdiff1d(np.arange(len(ops)), main)
    assert ops.take(rest).is_kind("add", "mul").all()
    # the work of main ops is all there
    assert table.column("macs").sum() == ops.macs.sum()
    assert table.column("weights").sum() == ops.weights.sum()


@pytest.mark.sweep
def test_silent_gates_and_joined_additions_are_not_free(
    made_models: dict[str, OpTimedModel], ops_of_texts: Table
) -> None:
    ops = ops_of_texts(*GATE, "add 4x4x4 + 4x4x4 -> 4x4x4")
    for model in made_models.values():
        ms = model.channels(ops)[:, 0]
        assert (ms > 0).all()
        alone = ms[[4, 6]] / model.channels(ops_of_texts(GATE[0]))[0, 0]
        assert (alone < 0.1).all()  # yet far from a kernel of its own
