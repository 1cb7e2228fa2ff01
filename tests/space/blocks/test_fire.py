"""Blocks of SqueezeNet and SqueezeNext: counts by hand, and torchvision's fire modules."""

import pytest
import torch
import torchvision
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.fire import BiasConv, Fire, TwoStageSqueeze
from palmette.space.modules import build_part

NOTATION: list[tuple[str, Block]] = [
    ("cb_k1_s1_c1000_relu", BiasConv(1, 1, 1000, "relu")),
    ("cb_k3_s2_c64_none_g4", BiasConv(3, 2, 64, "none", groups=4)),
    ("fire_k3_sq16_c128_relu", Fire(3, 16, 128, "relu")),
    ("fire_k5_sq16_c128_relu_nobn", Fire(5, 16, 128, "relu", norm=False)),
    ("sx_k3_s2_c128_relu", TwoStageSqueeze(3, 2, 128, "relu")),
    ("sx_k5_s1_c64_relu_wide", TwoStageSqueeze(5, 1, 64, "relu", wide_first=True)),
]


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def kernels(module: nn.Module) -> list[tuple[int, ...]]:
    return [m.kernel_size for m in module.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 64) == text
    assert parse_block(text, 64) == block


def test_a_convolution_with_bias_has_no_batchnorm() -> None:
    module = build_part(BiasConv(3, 2, 8, "relu", groups=2), 4)
    assert params(module) == 9 * 2 * 8 + 8
    assert module(torch.zeros(1, 4, 7, 5)).shape == (1, 8, 4, 3)


def test_fire_squeezes_and_expands_by_halves() -> None:
    weights = 8 * 2 + 2 * 6 + 9 * 2 * 6
    assert params(build_part(Fire(3, 2, 12, "relu"), 8)) == weights + 2 * (2 + 12)
    assert params(build_part(Fire(3, 2, 12, "relu", norm=False), 8)) == weights + 2 + 12


def test_fire_is_torchvisions_module() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_1(weights=None).features[3]
    ours = build_part(Fire(3, 16, 128, "relu", norm=False), 64)
    mine, given = ours.state_dict(), list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(mine, given, strict=True)))
    image = torch.randn(2, 64, 9, 6)
    torch.testing.assert_close(ours(image), theirs(image))


@pytest.mark.parametrize("size", [(224, 224), (227, 227), (96, 131)])
def test_squeezenet_is_torchvisions(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_1(weights=None).eval()
    ours = load("squeezenet_v1.1").build().eval()
    mine, given = ours.state_dict(), list(theirs.state_dict().values())
    ours.load_state_dict(dict(zip(mine, given, strict=True)))
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image))
    assert load("squeezenet_v1.1").params() == params(theirs)


def test_squeezenexts_maps_are_those_of_its_authors_code() -> None:
    sizes = {
        name: [part.height for part in load(name).parts()][1:3]
        for name in ("squeezenext_23_1.0", "squeezenext_23v5_2.0")
    }
    # (227 - 7) / 2 + 1 and (227 - 5) / 2 + 1, then a pool of 3 whose last window may reach beyond
    assert sizes == {"squeezenext_23_1.0": [111, 55], "squeezenext_23v5_2.0": [112, 56]}


def test_the_two_stage_squeeze_splits_its_kernel_along_the_axes() -> None:
    module = build_part(TwoStageSqueeze(3, 1, 16, "relu"), 16)
    assert kernels(module) == [(1, 1), (1, 1), (3, 1), (1, 3), (1, 1)]
    # 16 to 8 to 4, 3x1 to 8, 1x3 at 8, back to 16; BatchNorm after each
    weights = 16 * 8 + 8 * 4 + 3 * 4 * 8 + 3 * 8 * 8 + 8 * 16
    assert params(module) == weights + 2 * (8 + 4 + 8 + 8 + 16)
    swapped = build_part(TwoStageSqueeze(5, 1, 16, "relu", wide_first=True), 16)
    assert kernels(swapped) == [(1, 1), (1, 1), (1, 5), (5, 1), (1, 1)]


@pytest.mark.parametrize(("stride", "channels"), [(2, 16), (1, 32)])
def test_another_shape_is_projected_and_the_first_squeeze_has_the_stride(
    stride: int, channels: int
) -> None:
    module = build_part(TwoStageSqueeze(3, stride, channels, "relu"), 16)
    convs = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    # the body's first convolution and the projection, which stands last
    assert [m.stride[0] for m in convs] == [stride, 1, 1, 1, 1, stride]
    assert convs[-1].out_channels == channels
    assert module(torch.zeros(2, 16, 7, 6)).shape == (2, channels, -(-7 // stride), 6 // stride)


@pytest.mark.parametrize(
    ("name", "depths"),
    [
        ("squeezenext_23_1.0", (6, 6, 8, 1)),
        ("squeezenext_44_1.0", (12, 12, 16, 2)),
        ("squeezenext_23v5_2.0", (2, 4, 14, 1)),
    ],
)
def test_squeezenext_has_the_depths_of_its_name(name: str, depths: tuple[int, ...]) -> None:
    stages = load(name).stages
    assert tuple(sum(b.kind == "sx" for b in stage) for stage in stages) == depths
    for stage in stages:
        split = [block for block in stage if isinstance(block, TwoStageSqueeze)]
        assert [block.wide_first for block in split] == [i % 2 == 1 for i in range(len(split))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fire_k3_sq16_c127_relu", "stage 1: fire block, channels: must be even"),
        ("sx_k3_s1_c66_relu", "stage 1: sx block, channels: must divide by 4"),
        ("cb_k1_s1_c10_relu_g3", "stage 1: cb block, groups: must divide .*; 3 does not divide 64"),
    ],
)
def test_counts_that_do_not_divide_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^{said}"):
        Architecture.from_text(f"64x64 stem_k3_s2_c64_relu | {text} | head")
