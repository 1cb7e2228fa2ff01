"""DiCENet's unit: what each dimension's convolution reads, counts by hand, other sizes."""

import pytest
import torch
from torch import nn

from palmette.space import Architecture, InputError
from palmette.space.blocks import format_block, parse_block
from palmette.space.blocks.dice import DimensionWise
from palmette.space.modules import build_part
from palmette.space.modules.dice import DimensionConvs


def test_text_and_block_are_each_others_inverse() -> None:
    block = DimensionWise(2, 48, 28, 14)
    assert format_block(block, 24) == "dice_s2_c48_h28_w14"
    assert parse_block("dice_s2_c48_h28_w14", 24) == block


def parts_of(convs: DimensionConvs, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What the convolutions over channels, rows and columns give before they are fused."""
    taken: list[torch.Tensor] = []
    convs.norm.register_forward_hook(lambda _, inputs, __: taken.append(inputs[0]))
    with torch.no_grad():
        convs(x)
    return taken[0].chunk(3, dim=1)


def test_every_dimension_takes_the_place_of_the_channels_once() -> None:
    convs = DimensionConvs(4, 5, 6).eval()
    for conv in (convs.over_channels, convs.over_rows, convs.over_columns):
        nn.init.zeros_(conv.weight)
        # reads the neighbour along the first axis of the plane, and each map has its own factor
        conv.weight.data[:, 0, 0, 1] = torch.arange(1.0, len(conv.weight) + 1)
    x = torch.randn(2, 4, 5, 6)
    channels, rows, columns = parts_of(convs, x)
    below, beside = torch.zeros_like(x), torch.zeros_like(x)
    below[:, :, 1:] = x[:, :, :-1]  # the planes of channels are rows by columns
    torch.testing.assert_close(channels, below * torch.arange(1.0, 5)[:, None, None])
    beside[:, 1:] = x[:, :-1]  # those of rows are channels by columns
    torch.testing.assert_close(rows, beside * torch.arange(1.0, 6)[:, None])
    above = torch.zeros_like(x)
    above[:, :, 1:] = x[:, :, :-1]  # and those of columns rows by channels
    torch.testing.assert_close(columns, above * torch.arange(1.0, 7))


def test_parameters_of_both_forms() -> None:
    def convs(channels: int) -> int:
        depthwise = 9 * (channels + 7 + 5)
        fused = 3 * 3 * channels + 3 * channels + 3 * channels + 9 * channels + 3 * channels
        return depthwise + fused + 2 * channels * (channels // 4)

    def params(block: DimensionWise) -> int:
        return sum(p.numel() for p in build_part(block, 16).parameters())

    point = 16 * 16 + 3 * 16
    assert params(DimensionWise(2, 32, 7, 5)) == 9 * 16 + 3 * 16 + 2 * point + convs(16)
    assert params(DimensionWise(1, 20, 7, 5)) == 8 * 12 + 3 * 12 + convs(12)


def test_at_stride_1_half_of_the_input_passes_and_all_shuffle() -> None:
    module = build_part(DimensionWise(1, 16, 4, 4), 16).eval()
    x = torch.randn(1, 16, 4, 4)
    assert torch.equal(module(x)[:, ::2], x[:, :8])


@pytest.mark.parametrize("size", [(4, 6), (3, 9), (11, 2)])
def test_maps_of_another_size_are_resized_and_back(size: tuple[int, int]) -> None:
    module = build_part(DimensionWise(2, 16, 7, 5), 8).eval()
    height, width = size
    y = module(torch.randn(1, 8, 2 * height, 2 * width))
    assert y.shape == (1, 16, height, width) and y.isfinite().all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dice_s2_c24_h4_w4", "at stride 2 must be twice the 16 channels"),
        ("dice_s1_c17_h4_w4", "must be even"),
        ("dice_s1_c10_h4_w4", "the convolutions need 4 or more"),
    ],
)
def test_counts_that_do_not_fit_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^stage 1: dice block, channels: .*{said}"):
        Architecture.from_text(f"32x32 stem_k3_s2_c16_none | {text} | head")


def test_groups_of_the_head_are_of_a_1x1_behind_the_pooling() -> None:
    text = "32x32 stem_k3_s2_c16_relu | cn_k1_s1_c16_relu | head_c8"
    grouped = Architecture.from_text(f"{text}_poolfirst_g4_n2")
    dense = Architecture.from_text(f"{text}_poolfirst_n2")
    assert dense.params() - grouped.params() == 16 * 8 - 16 * 8 // 4
    with pytest.raises(InputError, match="head, groups: are those of a 1x1 behind the pooling"):
        Architecture.from_text(f"{text}_g4")
    with pytest.raises(InputError, match="groups: must divide .*; 3 does not divide 16"):
        Architecture.from_text(f"{text}_poolfirst_g3")
