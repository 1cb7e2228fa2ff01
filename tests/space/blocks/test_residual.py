"""Residual blocks of ResNet: counts by hand, and torchvision's networks with the same weights."""

import pytest
import torch
import torchvision
from torch import nn

from palmette.space import InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.residual import BasicResidual, BottleneckResidual
from palmette.space.modules import build_part

NOTATION: list[tuple[str, Block]] = [
    ("rb_k3_s2_c128_relu", BasicResidual(3, 2, 128, "relu")),
    ("rn_k3_s1_x64_c256_relu", BottleneckResidual(3, 1, 64, 256, "relu")),
    ("rn_k5_s2_x64_c256_hswish_g32", BottleneckResidual(5, 2, 64, 256, "hswish", groups=32)),
]


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 64) == text
    assert parse_block(text, 64) == block


def test_a_block_that_keeps_the_shape_has_no_projection() -> None:
    # two 3x3 convolutions of 8 x 8 channels, each with a BatchNorm of two values a channel
    assert params(build_part(BasicResidual(3, 1, 8, "relu"), 8)) == 2 * (9 * 64 + 16)
    # 1x1 from 16 to 4, 3x3 at 4, 1x1 from 4 to 16
    body = (64 + 8) + (9 * 16 + 8) + (64 + 32)
    assert params(build_part(BottleneckResidual(3, 1, 4, 16, "relu"), 16)) == body
    # the 3x3 in two groups has half of the weights
    grouped = build_part(BottleneckResidual(3, 1, 4, 16, "relu", groups=2), 16)
    assert params(grouped) == body - 9 * 8


@pytest.mark.parametrize(("stride", "channels"), [(2, 8), (1, 16), (2, 16)])
def test_where_stride_or_channels_change_a_linear_1x1_projects_the_input(
    stride: int, channels: int
) -> None:
    module = build_part(BasicResidual(3, stride, channels, "relu"), 8)
    body = 9 * 8 * channels + 9 * channels * channels + 4 * channels
    assert params(module) == body + 8 * channels + 2 * channels
    assert module(torch.zeros(2, 8, 13, 10)).shape == (2, channels, -(-13 // stride), 10 // stride)


def test_the_sum_is_rectified() -> None:
    module = build_part(BasicResidual(3, 1, 4, "relu"), 4).eval()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    image = torch.tensor([-1.0, 0.0, 2.0, 3.0]).reshape(1, 4, 1, 1)
    assert module(image).flatten().tolist() == [0.0, 0.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_with_the_weights_of_torchvision_it_computes_what_torchvision_computes(name: str) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, weights=None).eval()
    ours = load(name).build().eval()
    mine, given = ours.state_dict(), list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(mine, given, strict=True)))
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-4)


def test_groups_that_do_not_divide_the_middle_are_refused() -> None:
    with pytest.raises(InputError, match=r"^rn block, groups: .*; 3 does not divide 64$"):
        BottleneckResidual(3, 1, 64, 256, "relu", groups=3).check_input(64)
