"""Ops: counts by hand, a lossless text, and columns that repeat what the ops say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.space import ACTIVATIONS, InputError, Op, OpTable, load
from palmette.space.ops import KINDS

# text, weights with biases, multiply-accumulates
COUNTS = [
    ("conv 3x224x224 -> 32x112x112 k3 s2 relu6", 32 * (3 * 9 + 1), 32 * 112 * 112 * 27),
    ("conv 32x112x112 -> 32x112x112 k3 g32", 32 * (9 + 1), 32 * 112 * 112 * 9),
    ("conv 32x56x56 -> 64x56x56 g4 relu", 64 * (8 + 1), 64 * 56 * 56 * 8),
    ("conv 8x10x20 -> 4x10x20 k1x7 d2", 4 * (8 * 7 + 1), 4 * 200 * 56),
    ("conv 8x10x20 -> 4x10x10 k7x1 s1x2", 4 * (8 * 7 + 1), 4 * 100 * 56),
    # every input value meets 16 outputs x 4 taps
    ("conv_transpose 8x10x10 -> 16x20x20 k2 s2", 16 * (8 * 4 + 1), 800 * 16 * 4),
    ("conv_transpose 8x10x10 -> 16x20x20 k2 s2 g4", 16 * (2 * 4 + 1), 800 * 4 * 4),
    ("linear 1280 -> 1000", 1000 * 1281, 1_280_000),
    ("linear 197x192 -> 197x576 gelu", 576 * 193, 197 * 192 * 576),
    ("matmul 3x197x64 + 3x64x197 -> 3x197x197", 0, 3 * 197 * 197 * 64),
    ("pool 64x56x56 -> 64x28x28 k3 s2", 0, 0),
    ("mean 1280x7x7 -> 1280x1x1", 0, 0),
    ("add 24x56x56 + 24x56x56 -> 24x56x56 relu", 0, 0),
    ("mul 96x56x56 + 96x1x1 -> 96x56x56", 0, 0),
    ("act 3x4x4 -> 3x4x4 hswish", 0, 0),
]


@pytest.mark.parametrize(("text", "weights", "macs"), COUNTS, ids=[text for text, *_ in COUNTS])
def test_counts_follow_from_shapes(text: str, weights: int, macs: int) -> None:
    op = Op.from_text(text)
    assert (op.weights, op.macs) == (weights, macs)
    assert op.to_text() == text


def test_elements_are_counted_over_all_inputs() -> None:
    op = Op.from_text("mul 96x56x56 + 96x1x1 -> 96x56x56")
    assert op.in_elements == 96 * 56 * 56 + 96
    assert op.out_elements == 96 * 56 * 56


@pytest.mark.parametrize(
    ("text", "depthwise"),
    [
        ("conv 32x8x8 -> 32x8x8 k3 g32", True),
        ("conv 32x8x8 -> 64x8x8 k3 g32", True),
        ("conv 32x8x8 -> 32x8x8 k3 g16", False),
        ("conv 1x8x8 -> 32x8x8 k3", False),
        ("conv_transpose 32x8x8 -> 32x8x8 k3 g32", False),
    ],
)
def test_depthwise_means_one_input_channel_a_group(text: str, depthwise: bool) -> None:
    op = Op.from_text(text)
    assert op.depthwise == depthwise
    assert OpTable.of([op]).depthwise.tolist() == [depthwise]


SIZES = st.integers(1, 5000)
SHAPES = st.lists(SIZES, min_size=1, max_size=4).map(tuple)
PAIRS = st.tuples(st.integers(1, 31), st.integers(1, 31))


@st.composite
def _ops(draw: st.DrawFn) -> Op:
    kind = draw(st.sampled_from(KINDS))
    inputs = draw(st.lists(SHAPES, min_size=1, max_size=3).map(tuple))
    output, groups = draw(SHAPES), draw(st.integers(1, 8))
    if kind in ("conv", "conv_transpose"):
        maps = st.tuples(SIZES.map(lambda size: size * groups), SIZES, SIZES)
        inputs, output = (draw(maps),), draw(maps)
    dilation, act = draw(st.integers(1, 4)), draw(st.sampled_from(ACTIVATIONS))
    return Op(kind, inputs, output, draw(PAIRS), draw(PAIRS), dilation, groups, act)


@given(op=_ops())
def test_op_text_loses_nothing(op: Op) -> None:
    assert Op.from_text(op.to_text()) == op
    assert Op.from_text(op.to_text()).to_text() == op.to_text()


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("", "expected 'kind inputs -> output ...'"),
        ("conv 3x8x8", "expected 'kind inputs -> output ...'"),
        ("conv 3x8x8 -> ", "expected 'kind inputs -> output ...'"),
        ("convolution 3x8x8 -> 3x8x8", "unknown kind 'convolution'; known are conv,"),
        ("add -> 3x8x8", "a shape is positive integers joined by 'x', got ''"),
        ("add 3x8x8 + -> 3x8x8", "got ''"),
        ("add 3x0x8 -> 3x8x8", "got '3x0x8'"),
        ("add 3x-1x8 -> 3x8x8", "got '3x-1x8'"),
        ("add 3x1_0x8 -> 3x8x8", "got '3x1_0x8'"),
        ("add 3x1.5 -> 3", "got '3x1.5'"),
        ("add 3 x 4 -> 3", "got '3 x 4'"),
        ("add 3 -> " + "9" * 5000, "a shape is positive integers"),
        ("conv 3x8x8 -> 8x8x8 k" + "9" * 5000, "is unknown or given twice"),
        ("conv 3x8x8 -> 8x8x8 k0", "the word 'k0' is unknown or given twice"),
        ("conv 3x8x8 -> 8x8x8 tanh", "the word 'tanh' is unknown or given twice"),
        ("conv 3x8x8 -> 8x8x8 k3 k5", "the word 'k5' is unknown or given twice"),
        ("conv 3x8x8 -> 8x8x8 relu relu6", "the word 'relu6' is unknown or given twice"),
        ("conv 6x8x8 -> 6x8x8 g2x3", "the word 'g2x3' is unknown or given twice"),
        ("conv 6x8x8 -> 6x8x8 d2x3", "the word 'd2x3' is unknown or given twice"),
        ("conv 6 -> 6", "a conv maps CxHxW to CxHxW"),
        ("conv 6x8x8 -> 8x8x8 g4", "its groups divide both channels"),
        ("conv 8x8x8 -> 6x8x8 g4", "its groups divide both channels"),
        ("conv_transpose 8x8x8 -> 6x8x8 g4", "its groups divide both channels"),
    ],
)
def test_op_text_that_breaks_a_rule_is_told_which(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        Op.from_text(text)
    assert teaches in str(error.value)


@given(op=_ops(), data=st.data())
def test_mutated_op_text_is_an_op_or_an_input_error(op: Op, data: st.DataObject) -> None:
    text = op.to_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    text = text[:start] + data.draw(st.text("0123456789xksdg+-> _.", max_size=6)) + text[end:]
    try:
        op = Op.from_text(text)
    except InputError:
        return
    assert Op.from_text(op.to_text()) == op


def test_columns_repeat_what_the_ops_say() -> None:
    ops = [*load("mobilenet_v3_small").ops(), *(Op.from_text(text) for text, *_ in COUNTS)]
    table = OpTable.of(ops)
    assert len(table) == len(ops)
    for name in ("macs", "weights", "in_elements", "out_elements", "depthwise", "groups"):
        assert getattr(table, name).tolist() == [getattr(op, name) for op in ops], name
    assert [KINDS[code] for code in table.kind] == [op.kind for op in ops]
    assert [ACTIVATIONS[code] for code in table.act] == [op.act for op in ops]
    assert table.inputs.tolist() == [len(op.inputs) for op in ops]
    assert table.kernel.tolist() == [max(op.kernel) for op in ops]
    assert table.area.tolist() == [op.kernel[0] * op.kernel[1] for op in ops]
    assert table.stride.tolist() == [max(op.stride) for op in ops]
    sizes = table.out_channels * table.out_height * table.out_width
    assert sizes.tolist() == [op.out_elements for op in ops]
    is_conv = np.array([op.kind in ("conv", "mul") for op in ops])
    assert table.is_kind("conv", "mul").tolist() == is_conv.tolist()
    assert table.has_act("relu").tolist() == [op.act == "relu" for op in ops]


@pytest.mark.parametrize(
    ("text", "in_area"),
    [
        ("conv 3x10x20 -> 8x5x10 k3 s2", 200),
        ("mean 1280x7x7 -> 1280x1x1", 49),
        ("mul 96x56x56 + 96x1x1 -> 96x56x56", 56 * 56),  # of the first input
        ("linear 1280 -> 1000", 1),
    ],
)
def test_columns_know_the_area_of_the_first_input(text: str, in_area: int) -> None:
    assert OpTable.of([Op.from_text(text)]).in_area.tolist() == [in_area]


@given(places=st.lists(st.integers(0, len(COUNTS) - 1), max_size=8))
def test_taken_ops_are_the_columns_of_those_ops(places: list[int]) -> None:
    ops = [Op.from_text(text) for text, *_ in COUNTS]
    table = OpTable.of(ops)
    taken = table.take(np.array(places, dtype=np.int64))
    chosen = OpTable.of([ops[at] for at in places])
    kept = table.take(np.isin(np.arange(len(ops)), places))
    for name in OpTable.__slots__:
        assert getattr(taken, name).tolist() == getattr(chosen, name).tolist(), name
        assert getattr(taken, name).dtype == getattr(table, name).dtype, name
        rows = sorted(set(places))
        assert getattr(kept, name).tolist() == getattr(table, name)[rows].tolist(), name


@pytest.mark.parametrize(
    ("text", "in_channels", "output"),
    [
        ("conv 3x10x20 -> 8x5x10 k3 s2", 3, (8, 5, 10)),
        ("linear 1280 -> 1000", 1280, (1000, 1, 1)),
        ("linear 197x192 -> 197x576", 192, (576, 197, 1)),  # tokens have their channels last
        ("matmul 3x197x64 + 3x64x99 -> 3x197x99", 64, (99, 197, 3)),
    ],
)
def test_columns_know_which_axis_holds_the_channels(
    text: str, in_channels: int, output: tuple[int, int, int]
) -> None:
    table = OpTable.of([Op.from_text(text)])
    assert table.in_channels.item() == in_channels
    assert (
        table.out_channels.item(),
        table.out_height.item(),
        table.out_width.item(),
    ) == output


@pytest.mark.parametrize(
    ("text", "broadcast"),
    [
        ("mul 96x56x56 + 96x1x1 -> 96x56x56", True),
        ("mul 96x1x1 + 96x56x56 -> 96x56x56", True),
        ("add 96x56x56 + 96x56x56 -> 96x56x56", False),
        ("concat 96x56x56 + 32x56x56 -> 128x56x56", False),
        ("mul 96x56x56 -> 96x56x56", False),
    ],
)
def test_broadcast_marks_a_vector_spread_over_a_map(text: str, broadcast: bool) -> None:
    assert OpTable.of([Op.from_text(text)]).broadcast.tolist() == [broadcast]


def test_no_ops_make_empty_columns() -> None:
    table = OpTable.of([])
    assert len(table) == 0
    assert table.macs.shape == table.kind.shape == (0,)
    assert table.is_kind("conv").tolist() == []
