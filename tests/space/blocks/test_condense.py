"""CondenseNet's blocks: counts by hand, order of the layers, what is gathered."""

import pytest
import torch
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.condense import CondensedDense, NormAct
from palmette.space.blocks.pool import AveragePool
from palmette.space.modules import build_part
from palmette.space.modules.layers import Selection

NOTATION: list[tuple[str, Block]] = [
    ("cd_k3_x32_c24_relu_g4", CondensedDense(3, 32, 24, "relu", 4)),
    ("na_c16_relu", NormAct(16, "relu")),
    ("ap_k2_s2_c16", AveragePool(2, 2, 16)),
]


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 16) == text
    assert parse_block(text, 16) == block


def test_a_layer_gathers_and_puts_what_it_makes_behind_its_input() -> None:
    module = build_part(CondensedDense(3, 8, 20, "relu", 4), 16).eval()
    # BatchNorm before both convolutions, each in four groups
    assert sum(p.numel() for p in module.parameters()) == 32 + 16 * 8 // 4 + 16 + 9 * 8 * 4 // 4
    x = torch.randn(2, 16, 5, 3)
    y = module(x)
    assert y.shape == (2, 20, 5, 3)
    assert torch.equal(y[:, :16], x)
    kinds = [type(part) for part in module.modules() if not list(part.children())]
    assert kinds[:4] == [Selection, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]


@pytest.mark.parametrize(("channels", "kept"), [(6, 3), (5, 2), (4, 4)])
def test_a_selection_is_spread_evenly(channels: int, kept: int) -> None:
    x = torch.arange(channels).reshape(1, channels, 1, 1)
    found = Selection(channels, kept)(x).flatten().tolist()
    assert found == [channels * i // kept for i in range(kept)]


def test_an_average_pool_leaves_the_window_that_does_not_fit_away() -> None:
    block = AveragePool(2, 2, 4)
    assert [block.out_size(size) for size in (2, 3, 4, 7)] == [1, 1, 2, 3]
    assert build_part(block, 4)(torch.zeros(1, 4, 7, 3)).shape == (1, 4, 3, 1)


def test_the_network_has_74_layers_and_reads_half_of_its_features() -> None:
    network = load("condensenet_74_g4")
    ops = network.ops()
    assert sum(op.kind in ("conv", "linear") for op in ops) == 74
    assert network.head.kept == 1032 and ops[-1].inputs == ((1032,),)
    assert network.macs() - load("condensenet_74_g8").macs() > 200e6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cd_k3_x32_c16_relu_g4", "cd block, channels: must be more than the 16 channels"),
        ("cd_k3_x30_c24_relu_g4", "cd block, groups: must divide .*; 4 does not divide 30"),
        ("na_c8_relu", "na block, channels: must equal the 16 channels"),
    ],
)
def test_counts_that_do_not_fit_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^stage 1: {said}"):
        Architecture.from_text(f"32x32 stem_k3_s2_c16_none_bare | {text} | head")


def test_more_features_than_there_are_cannot_be_kept() -> None:
    with pytest.raises(InputError, match="head, kept: must be at most the 8 features, got 9"):
        Architecture.from_text("32x32 stem_k3_s2_c8_relu | cn_k1_s1_c8_relu | head_keep9")
