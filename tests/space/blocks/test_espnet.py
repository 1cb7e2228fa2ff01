"""ESPNet v2's unit: dilations and counts by hand, sums of branches, the image that is added."""

import pytest
import torch
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.espnet import DilatedPyramid, ParametricRelu
from palmette.space.modules import build_part
from palmette.space.modules.espnet import Pyramid

NOTATION: list[tuple[str, Block]] = [
    ("eesp_s1_c32_f9", DilatedPyramid(1, 32, 9)),
    ("eesp_s2_c64_f13_b2_image", DilatedPyramid(2, 64, 13, 2, image=True)),
    ("prelu_c32", ParametricRelu(32)),
]


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 32) == text
    assert parse_block(text, 32) == block


@pytest.mark.parametrize(
    ("field", "dilations"),
    [(13, (1, 2, 3, 4)), (9, (1, 2, 3, 4)), (7, (1, 1, 2, 3)), (5, (1, 1, 1, 2)), (3, (1,) * 4)],
)
def test_a_branch_beyond_the_field_is_not_dilated(field: int, dilations: tuple[int, ...]) -> None:
    assert DilatedPyramid(1, 32, field).dilations == dilations


def test_parameters_of_a_unit() -> None:
    # to 4 channels in groups, four depthwise 3x3, 1x1 in groups; BatchNorm and slopes
    reduce, branches, expand = 16 * 4 // 4 + 3 * 4, 4 * 9 * 4, 3 * 16 + 16 * 16 // 4 + 2 * 16
    module = build_part(DilatedPyramid(1, 16, 9), 16)
    assert sum(p.numel() for p in module.parameters()) == reduce + branches + expand + 16


def test_each_branch_adds_the_ones_before_it() -> None:
    pyramid = Pyramid(16, 16, 1, (1, 2, 3, 4)).eval()
    taken: list[torch.Tensor] = []
    pyramid.expand.register_forward_hook(lambda _, inputs, __: taken.append(inputs[0]))
    for branch in pyramid.branches:
        nn.init.zeros_(branch.weight)
        branch.weight.data[:, :, 1, 1] = 1.0  # the identity, whatever the dilation
    x = torch.randn(1, 16, 6, 5)
    pyramid(x)
    reduced = pyramid.reduce(x)
    torch.testing.assert_close(taken[0], torch.cat([reduced * n for n in (1, 2, 3, 4)], dim=1))


def test_the_image_is_averaged_to_the_maps_size_and_added() -> None:
    network = Architecture.from_text(
        "48x40 stem_k3_s2_c16_none | eesp_r1_s2_c32_f9_image | eesp_r1_s2_c64_f9_image | head_n0"
    )
    module = network.build().eval()
    block = module.stages[1].blocks[0]
    seen: list[tuple[int, ...]] = []
    block.image.register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    image = torch.randn(1, 3, 48, 40)
    with torch.no_grad():
        before = module(image)
        block.image[1].bn.bias += 1.0  # type: ignore[union-attr,operator]
        assert not torch.equal(module(image), before)
    assert seen == [(1, 3, 6, 5)] * 2


def test_a_block_alone_has_no_image_to_add() -> None:
    module = build_part(DilatedPyramid(2, 32, 9, image=True), 16).eval()
    assert module(torch.randn(1, 16, 9, 6)).shape == (1, 32, 5, 3)


def test_the_last_size_of_the_network_reads_no_image() -> None:
    firsts = [b for p in load("espnet_v2_2.0").parts() if isinstance(b := p.block, DilatedPyramid)]
    assert [b.image for b in firsts if b.stride == 2] == [True, True, True, False]
    assert sum(b.stride == 1 for b in firsts) == 3 + 7 + 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eesp_s1_c32_f9", "eesp block, channels: must equal the 16 channels"),
        ("eesp_s2_c16_f9", "eesp block, channels: at stride 2 must be more than the 16 channels"),
        ("eesp_s2_c40_f9", "eesp block, groups: must divide .*; 16 does not divide 24"),
        ("eesp_s1_c16_f9_image", "eesp block, image: is added at stride 2 alone"),
        ("prelu_c8", "prelu block, channels: must equal the 16 channels"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Architecture.from_text(f"32x32 stem_k3_s2_c16_none | {text} | head")
