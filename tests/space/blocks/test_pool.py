"""Max pooling as a block: sizes by hand, Darknet's edge, and what it refuses."""

import pytest
import torch

from palmette.space import InputError
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.pool import MaxPool
from palmette.space.modules import build_part


def pool(kernel: int, stride: int, rows: list[list[float]]) -> list[list[float]]:
    module = build_part(MaxPool(kernel, stride, 1), 1)
    result: list[list[float]] = module(torch.tensor([[rows]], dtype=torch.float32))[0, 0].tolist()
    return result


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (6, 6), (7, 6), (13, 9)])
def test_sizes_are_divided_by_the_stride_and_rounded_up(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    result = build_part(MaxPool(kernel, stride, 4), 4)(torch.zeros(2, 4, *size))
    assert result.shape == (2, 4, -(-size[0] // stride), -(-size[1] // stride))


def test_a_window_of_three_reaches_one_beyond_on_every_side() -> None:
    assert pool(3, 2, [[1, 2, 3], [4, 9, 5], [6, 7, 8]]) == [[9, 9], [9, 9]]
    assert pool(3, 1, [[1, 2, 3], [0, 0, 0], [6, 0, 0]]) == [[2, 3, 3], [6, 6, 3], [6, 6, 0]]


def test_a_window_of_two_reaches_beyond_the_right_and_lower_edges_alone() -> None:
    rows: list[list[float]] = [[-1, -2, -3], [-4, -9, -5], [-6, -7, -8]]
    # the edge counts for nothing: were it zeros, these maxima would be zeros
    assert pool(2, 1, rows) == [[-1, -2, -3], [-4, -5, -5], [-6, -7, -8]]
    assert pool(2, 2, rows) == [[-1, -3], [-6, -8]]


def test_text_and_block_are_each_others_inverse() -> None:
    block: Block = MaxPool(3, 2, 64)
    assert format_block(block, 64) == "mp_k3_s2_c64"
    assert parse_block("mp_k3_s2_c64", 64) == block
    assert (block.out_channels, block.downsampling) == (64, 2)


def test_an_even_window_above_two_is_refused() -> None:
    with pytest.raises(InputError, match=r"^mp block, kernel: must be 2 or odd, got 4$"):
        MaxPool(4, 2, 64)


def test_another_count_of_channels_is_refused() -> None:
    said = "^mp block, channels: must equal the 32 channels of its input, got 64$"
    with pytest.raises(InputError, match=said):
        MaxPool(3, 2, 64).check_input(32)
