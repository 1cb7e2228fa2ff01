"""BlazeFace's block: counts and sums by hand, maps of the sizes that its extractor promises."""

import pytest
import torch
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.blaze import BlazeBlock
from palmette.space.modules import build_part

NOTATION: list[tuple[str, Block]] = [
    ("blaze_k5_s1_c24_relu", BlazeBlock(5, 1, 24, "relu")),
    ("blaze_k5_s2_c96_relu_x24", BlazeBlock(5, 2, 96, "relu", middle=24)),
]


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 24) == text
    assert parse_block(text, 24) == block


def test_a_single_block_is_depthwise_and_1x1_a_double_one_goes_through_its_middle() -> None:
    assert params(build_part(BlazeBlock(5, 1, 8, "relu"), 6)) == 25 * 6 + 12 + 6 * 8 + 16
    double = 25 * 6 + 12 + 6 * 4 + 8 + 25 * 4 + 8 + 4 * 8 + 16
    assert params(build_part(BlazeBlock(5, 2, 8, "relu", middle=4), 6)) == double


@pytest.mark.parametrize(("stride", "middle"), [(1, 0), (2, 0), (2, 2)])
def test_the_greatest_values_of_the_input_pass_and_new_channels_start_at_zero(
    stride: int, middle: int
) -> None:
    module = build_part(BlazeBlock(3, stride, 5, "relu", middle), 3).eval()
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.zeros_(part.weight)
    x = torch.rand(2, 3, 7, 6)
    y = module(x)
    passed = nn.functional.max_pool2d(x, stride, ceil_mode=True) if stride > 1 else x
    assert torch.equal(y[:, :3], passed)
    assert not y[:, 3:].any()


def test_the_paper_has_five_single_and_six_double_blocks() -> None:
    blocks = [part.block for part in load("blazeface_features").parts()]
    middles = [block.middle for block in blocks if isinstance(block, BlazeBlock)]
    assert middles == [0] * 5 + [24] * 6
    released = [part for part in load("blazeface_mediapipe_features").parts()][1:-1]
    assert [(p.block.out_channels, p.height) for p in released][::5] == [
        (24, 64),
        (48, 32),
        (88, 16),
        (96, 8),
    ]


def test_fewer_channels_than_come_in_are_refused() -> None:
    with pytest.raises(InputError, match="^stage 1: blaze block, channels: must be at least the 8"):
        Architecture.from_text("32x32 stem_k3_s2_c8_relu | blaze_k3_s1_c7_relu | head")
