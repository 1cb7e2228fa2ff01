"""Blocks of ShuffleNet: what a shuffle does, counts by hand, and torchvision's v2."""

import pytest
import torch
import torchvision
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.shuffle import Gate, GroupShuffle, SplitShuffle
from palmette.space.modules import build_part
from palmette.space.modules.layers import ChannelShuffle

NOTATION: list[tuple[str, Block]] = [
    (
        "gs_k3_s2_x60_c240_relu_g3_densefirst",
        GroupShuffle(3, 2, 60, 240, "relu", 3, group_first=False),
    ),
    ("gs_k3_s1_x16_c64_relu", GroupShuffle(3, 1, 16, 64, "relu")),
    ("sh_k3_s2_c116_relu", SplitShuffle(3, 2, 116, "relu")),
    (
        "sh_k3_s2_c128_hswish_se0.25_gatehsigmoid_xception_keep",
        SplitShuffle(3, 2, 128, "hswish", se=16, gate="hsigmoid", xception=True, keep=True),
    ),
    ("se_c64_x16_gatehsigmoid", Gate(64, 16, gate="hsigmoid")),
]


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 64) == text
    assert parse_block(text, 64) == block


def test_a_shuffle_puts_the_first_channels_of_all_groups_side_by_side() -> None:
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert ChannelShuffle(3)(x).flatten().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_a_shuffle_is_torchs(groups: int) -> None:
    x = torch.randn(2, 12, 3, 2)
    assert torch.equal(ChannelShuffle(groups)(x), nn.functional.channel_shuffle(x, groups))


def test_the_group_unit_keeps_the_input_in_front_at_stride_two() -> None:
    module = build_part(GroupShuffle(3, 2, 8, 20, "relu", groups=2), 8)
    # 1x1 from 8 to 8 in two groups, depthwise 3x3, 1x1 from 8 to the 12 that 20 lack, in two groups
    assert params(module) == (32 + 16) + (72 + 16) + (48 + 24)
    x = torch.randn(2, 8, 7, 6)
    y = module(x)
    assert y.shape == (2, 20, 4, 3)
    assert torch.equal(y[:, :8], nn.functional.avg_pool2d(x, 3, 2, 1))
    assert y[:, 8:].min() == 0


def test_the_first_convolution_may_be_dense() -> None:
    dense = build_part(GroupShuffle(3, 1, 8, 16, "relu", groups=2, group_first=False), 16)
    grouped = build_part(GroupShuffle(3, 1, 8, 16, "relu", groups=2), 16)
    assert params(dense) - params(grouped) == 16 * 8 // 2


def test_at_stride_one_every_second_channel_of_the_output_has_passed_by() -> None:
    x = torch.randn(2, 8, 5, 4)
    y = build_part(SplitShuffle(3, 1, 8, "relu"), 8)(x)
    assert torch.equal(y[:, ::2], x[:, :4])
    assert y[:, 1::2].min() == 0


def test_the_split_unit_has_the_counts_of_its_branches() -> None:
    # half of 8 channels: 1x1, depthwise 3x3, 1x1
    assert params(build_part(SplitShuffle(3, 1, 8, "relu"), 8)) == 24 + (36 + 8) + 24
    # three of a depthwise 3x3 and a 1x1
    xception = SplitShuffle(3, 1, 8, "relu", xception=True)
    assert params(build_part(xception, 8)) == 3 * ((36 + 8) + 24)
    # a gate of 4 channels by way of 2, with biases
    gated = SplitShuffle(3, 1, 8, "relu", se=2)
    assert params(build_part(gated, 8)) == 24 + (36 + 8) + 24 + (10 + 12)


@pytest.mark.parametrize(("keep", "beside", "branch"), [(False, 8, 8), (True, 4, 12)])
def test_at_stride_two_the_convolutions_beside_give_half_or_what_comes_in(
    keep: bool, beside: int, branch: int
) -> None:
    module = build_part(SplitShuffle(3, 2, 16, "relu", keep=keep), 4)
    one = (36 + 8) + (4 * beside + 2 * beside)
    other = (4 * 8 + 16) + (72 + 16) + (8 * branch + 2 * branch)
    assert params(module) == one + other
    assert module(torch.zeros(2, 4, 7, 6)).shape == (2, 16, 4, 3)


@pytest.mark.parametrize("width", ["0.5", "1.0", "1.5", "2.0"])
def test_with_the_weights_of_torchvision_v2_computes_what_torchvision_computes(width: str) -> None:
    torch.manual_seed(0)
    name = f"shufflenet_v2_x{width.replace('.', '_')}"
    theirs = torchvision.models.get_model(name, weights=None).eval()
    ours = load(f"shufflenet_v2_{width}").build().eval()
    mine, given = ours.state_dict(), list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(mine, given, strict=True)))
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-5)


def test_a_gate_before_the_pooling_is_the_gate_on_the_pooled_vector() -> None:
    module = build_part(Gate(8, 2, gate="hsigmoid"), 8)
    x = torch.randn(2, 8, 5, 4)
    pooled = x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(module(x).mean((2, 3), keepdim=True), module(pooled))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gs_k3_s1_x8_c48_relu", "gs block, channels: must equal the 24 channels of its input"),
        ("gs_k3_s2_x8_c24_relu", "gs block, channels: at stride 2 must be more than the 24"),
        ("gs_k3_s2_x8_c49_relu_g8", "gs block, groups: must divide .*; 8 does not divide 25"),
        ("gs_k3_s2_x9_c48_relu_g8", "gs block, groups: must divide .*; 8 does not divide 9"),
        ("sh_k3_s1_c48_relu", "sh block, channels: must equal the 24 channels of its input"),
        ("sh_k3_s2_c49_relu", "sh block, channels: must be even, .*; got 49"),
        ("sh_k3_s2_c24_relu_keep", "sh block, channels: at stride 2 must be more than the 24"),
        ("se_c25_x8", "se block, channels: must equal the 24 channels of its input, got 25"),
    ],
)
def test_counts_that_do_not_fit_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^stage 1: {said}"):
        Architecture.from_text(f"64x64 stem_k3_s2_c24_relu | {text} | head")
