"""The peak of live values, by hand: what is read later stays, an op's ends live at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from palmette.space import load
from palmette.space.liveness import INPUT, Step, peak_elements
from palmette.space.trace import trace_ops, trace_with_peak


def test_without_ops_the_input_is_all_there_is() -> None:
    assert peak_elements([], 12, [INPUT]) == 12


def test_a_chain_holds_two_values_at_a_time() -> None:
    chain = [Step((INPUT,), 5), Step((0,), 7), Step((1,), 2)]
    assert peak_elements(chain, 3, [2]) == 5 + 7


def test_what_a_later_op_reads_is_kept_until_then() -> None:
    # the input of 10 waits for the addition, so it is there beside 4 and 6
    residual = [Step((INPUT,), 4), Step((0,), 6), Step((INPUT, 1), 1)]
    assert peak_elements(residual, 10, [2]) == 10 + 4 + 6
    assert peak_elements(residual[:2], 10, [1]) == 10 + 4


def test_an_output_is_kept_to_the_end_and_an_unread_value_is_not() -> None:
    steps = [Step((INPUT,), 4), Step((INPUT,), 50), Step((INPUT,), 3), Step((2,), 2)]
    assert peak_elements(steps, 1, [3]) == 4 + 50 + 1 - 4
    assert peak_elements(steps, 1, [0, 3]) == 4 + 50 + 1


def test_a_value_that_an_op_reads_twice_is_counted_once() -> None:
    assert peak_elements([Step((INPUT, INPUT), 5)], 5, [0]) == 10


class Residual(nn.Module):
    """Two convolutions, folded with what follows them, and the addition of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(nn.Conv2d(4, 24, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.narrow = nn.Sequential(nn.Conv2d(24, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.narrow(self.wide(x)))


def test_the_trace_of_a_residual_block_keeps_its_input_alive() -> None:
    ops, peak = trace_with_peak(Residual(), (4, 5, 3))
    assert [op.kind for op in ops] == ["conv", "conv", "add"]
    # input, 24 channels and 4 channels, each 5x3; BatchNorm and activations take nothing
    assert peak == (4 + 24 + 4) * 5 * 3
    assert ops == trace_ops(Residual(), (4, 5, 3))


def test_mobilenet_v2_peaks_where_its_first_wide_layer_strides() -> None:
    # stage 2: 16x112x112 becomes 96x112x112, and that 96x56x56; all of them are no residual's
    assert load("mobilenet_v2").peak_elements() == 96 * 112 * 112 + 96 * 56 * 56
