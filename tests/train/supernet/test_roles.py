"""Which tensors are shared, and which spaces are refused."""

from __future__ import annotations

import pytest

from palmette.space import InputError, SearchSpace, presets
from palmette.space.blocks import parse_block
from palmette.space.modules import build_part
from palmette.train.supernet.choices import blocks_at, positions
from palmette.train.supernet.roles import expect_shares, roles

REFUSED = {"repvit_like"}


@pytest.mark.parametrize("name", sorted(set(presets()) - REFUSED))
def test_presets_can_share(name: str) -> None:
    expect_shares(SearchSpace.preset(name))


STAGES = {
    "rv": 'block = "rv"\nkernel = 3\nexpansion = 2\nse = 0',
    "one": 'block = "one"\nkernel = 3\nse = 0',
    "ghost": 'block = "ghost"\nkernel = 3\nexpansion = [2, 3]\nse = 0',
    "mix": 'block = "mix"\nkernel = "3.5"\nexpansion = [2, 3]\nse = 0',
    "8 groups": "groups = 8\nkernel = 3\nexpansion = 2\nse = 0",
}


@pytest.mark.parametrize("what", STAGES)
def test_a_stage_that_cannot_share_is_named_with_the_reason(what: str) -> None:
    space = SearchSpace.from_toml(
        f"""
format = "palmette/space@1"
[network]
resolution = 32
activation = "relu"
[stem]
channels = 16
[[stages]]
stride = 1
channels = 16
kernel = 3
expansion = 2
depth = 1
[[stages]]
stride = 2
channels = [16, 32]
depth = 1
{STAGES[what]}
[head]
channels = 16
""",
        "mine",
    )
    with pytest.raises(InputError) as caught:
        expect_shares(space)
    message = str(caught.value)
    assert message.startswith("space 'mine': stage2 can't share weights: block '")
    assert what in message and "\n" not in message


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("ds_k3_s1_c16_relu", "direct.conv.weight", "direct_project.bn.bias"),
        ("ir_k3_s2_e2_c16_relu", "expand.conv.weight", "project.bn.bias"),
        ("ir_k3_s1_e2_c16_relu_se4", "expand.conv.weight", "project.bn.bias"),
        ("er_k3_s1_e2_c16_relu", "fused.conv.weight", "fused_project.bn.bias"),
        ("cn_k3_s1_c16_relu", "plain.conv.weight", "plain.bn.bias"),
        ("uir_a0_k3_s1_e2_c16_relu", "expand.conv.weight", "project.bn.bias"),
        ("uir_a3_k0_s1_e2_c16_relu", "first.conv.weight", "project.bn.bias"),
    ],
)
def test_a_tensor_is_named_by_the_part_it_plays(text: str, first: str, last: str) -> None:
    block = parse_block(text, 16)
    names = [name for name, _ in build_part(block, 16).named_parameters()]
    found = roles(block, names)
    assert found[names[0]] == first
    assert found[names[-1]] == last
    assert len(set(found.values())) == len(names)


def test_places_are_as_deep_as_the_deepest_network(space: SearchSpace) -> None:
    names = [position.name for position in positions(space)]
    assert names == [
        "stem",
        "stage1.1",
        "stage2.1",
        "stage2.2",
        "stage2.3",
        "stage3.1",
        "stage3.2",
        "head",
    ]


def test_blocks_of_a_place_have_every_kernel_and_the_greatest_widths(space: SearchSpace) -> None:
    placed = [
        pair for p in positions(space) if p.name == "stage2.2" for pair in blocks_at(space, p)
    ]
    assert {block.kernel for block, _ in placed} == {3, 5, 7}  # type: ignore[attr-defined]
    assert {before for _, before in placed} == {16}
    assert {type(block).__name__ for block, _ in placed} == {
        "DepthwiseSeparable",
        "InvertedResidual",
    }
