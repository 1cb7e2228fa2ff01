"""Ghost bottlenecks: notation, counts by hand, and GhostNet beside timm's."""

import json
from collections import Counter
from typing import Any

import pytest
import timm
import torch
from torch import nn

from palmette.space import Architecture, Block, InputError, load
from palmette.space.blocks import block_from_json, block_to_json, format_block, parse_block
from palmette.space.blocks.ghost import GhostBottleneck
from palmette.space.modules import build_part
from palmette.space.modules.ghost import GhostModule
from palmette.space.trace import trace_ops

TIMM = {
    "ghostnet_0.5": "ghostnet_050",
    "ghostnet_1.0": "ghostnet_100",
    "ghostnet_1.3": "ghostnet_130",
}

# input channels, canonical text, block
NOTATION: list[tuple[int, str, Block]] = [
    (16, "ghost_k3_s1_e1_c16_relu", GhostBottleneck(3, 1, 16, 16, "relu")),
    (16, "ghost_k3_s2_e3_c24_relu", GhostBottleneck(3, 2, 48, 24, "relu")),
    (80, "ghost_k3_s1_x184_c80_relu", GhostBottleneck(3, 1, 184, 80, "relu")),
    (
        40,
        "ghost_k5_s2_e3_c40_hswish_se32_gatehsigmoid",
        GhostBottleneck(5, 2, 120, 40, "hswish", se=32, gate="hsigmoid"),
    ),
    (
        16,
        "ghost_k3_s1_e2_c16_relu_se0.25_inswish_d5",
        GhostBottleneck(3, 1, 32, 16, "relu", se=4, se_act="swish", cheap_kernel=5),
    ),
]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("in_channels", "text", "block"), NOTATION, ids=[n[1] for n in NOTATION])
def test_text_json_and_block_say_the_same(in_channels: int, text: str, block: Block) -> None:
    assert parse_block(text, in_channels) == block
    assert format_block(block, in_channels) == text
    assert block_from_json(json.loads(json.dumps(block_to_json(block))), "here") == block


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("ghost_k3_s1_x15_c8_relu", "ghost block, expanded: must be even, half computed and half"),
        ("ghost_k3_s1_e1_c9_relu", "ghost block, channels: must be even, half computed and half"),
        ("ghost_k4_s1_e1_c8_relu", "ghost block, kernel: must be odd, got 4"),
        ("ghost_k3_s1_e1_c8_relu_d2", "ghost block, cheap_kernel: must be odd, got 2"),
        ("ghost_k3_s3_e1_c8_relu", "ghost block, stride: must be an integer from 1 to 2, got 3"),
        ("ghost_k3_s1_c8_relu", "'expanded' is missing; write xN or eR"),
        ("ghost_k3_s1_e1_c8_relu_noskip", "unknown token 'noskip'; a 'ghost' takes kN, sN, xN or"),
    ],
)
def test_a_text_that_breaks_a_rule_is_told_which(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 8)
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


# 8 channels in: (8 x 12 + 2 x 12) + (12 x 9 + 2 x 12) to 24 expanded
EXPANDS = 120 + 132


@pytest.mark.parametrize(
    ("text", "params"),
    [
        # to 8: (24 x 4 + 2 x 4) + (4 x 9 + 2 x 4)
        ("ghost_k5_s1_e3_c8_relu", EXPANDS + 104 + 44),
        # 5x5 for the derived halves: 16 more weights for each of 12 + 4 channels
        ("ghost_k5_s1_e3_c8_relu_d5", EXPANDS + 104 + 44 + 16 * 16),
        # the gate, with biases: 24 x 4 + 4 and 4 x 24 + 24
        ("ghost_k5_s1_e3_c8_relu_se4", EXPANDS + 104 + 44 + 100 + 120),
        # to 12: (24 x 6 + 2 x 6) + (6 x 9 + 2 x 6); shortcut (8 x 25 + 2 x 8) + (8 x 12 + 2 x 12)
        ("ghost_k5_s1_e3_c12_relu", EXPANDS + 156 + 66 + 216 + 120),
        # at stride 2 a depthwise 5x5 of the expanded channels besides: 24 x 25 + 2 x 24
        ("ghost_k5_s2_e3_c12_relu", EXPANDS + 648 + 156 + 66 + 216 + 120),
    ],
)
def test_parameters_are_those_counted_by_hand(text: str, params: int) -> None:
    assert sum(p.numel() for p in build_part(parse_block(text, 8), 8).parameters()) == params


def test_the_layers_come_in_the_order_of_the_paper() -> None:
    network = Architecture.from_text(
        "16x16 stem_k3_s2_c8_relu | ghost_k3_s2_e2_c12_relu_se4_gatehsigmoid | head_n0"
    )
    assert [op.to_text() for op in network.ops()[1:-1]] == [
        "conv 8x8x8 -> 8x8x8 relu",
        "conv 8x8x8 -> 8x8x8 k3 g8 relu",
        "concat 8x8x8 + 8x8x8 -> 16x8x8",
        "conv 16x8x8 -> 16x4x4 k3 s2 g16",
        "mean 16x4x4 -> 16x1x1",
        "conv 16x1x1 -> 4x1x1 relu",
        "conv 4x1x1 -> 16x1x1 hsigmoid",
        "mul 16x4x4 + 16x1x1 -> 16x4x4",
        "conv 16x4x4 -> 6x4x4",
        "conv 6x4x4 -> 6x4x4 k3 g6",
        "concat 6x4x4 + 6x4x4 -> 12x4x4",
        "conv 8x8x8 -> 8x4x4 k3 s2 g8",
        "conv 8x4x4 -> 12x4x4",
        "add 12x4x4 + 12x4x4 -> 12x4x4",
    ]


def test_the_second_half_is_derived_from_the_first() -> None:
    module = GhostModule(3, 8, kernel=3, act="relu").eval()
    with torch.no_grad():
        both = module(noise(2, 3, 5, 7))
        assert both.shape == (2, 8, 5, 7)
        assert torch.equal(both[:, 4:], module.cheap(both[:, :4]))


def test_a_block_that_keeps_the_shape_adds_its_input() -> None:
    module = build_part(parse_block("ghost_k3_s1_e2_c8_relu", 8), 8).eval()
    last = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)][-2:]
    for norm in last:
        nn.init.zeros_(norm.weight)  # the body gives nothing
    x = noise(1, 8, 5, 5)
    with torch.no_grad():
        assert torch.equal(module(x), x)


def timm_network(name: str, device: str = "cpu") -> Any:
    with torch.device(device):
        return timm.create_model(name).eval()


@pytest.mark.parametrize("name", TIMM)
def test_parameters_and_ops_are_those_of_timm(name: str) -> None:
    theirs = timm_network(TIMM[name], "meta")
    assert load(name).params() == sum(p.numel() for p in theirs.parameters())
    assert Counter(load(name).ops()) == Counter(trace_ops(theirs, (3, 224, 224)))


def test_scores_are_those_of_timm_for_equal_weights() -> None:
    theirs, ours = timm_network("ghostnet_050").double(), load("ghostnet_0.5").build().double()
    generator = torch.Generator().manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # its initial state would hide a swap
            for values in (module.weight.data, module.running_mean, module.running_var):
                values.uniform_(0.5, 1.5, generator=generator)
    states = theirs.state_dict().values()  # both define their layers in the same order
    ours.load_state_dict(dict(zip(ours.state_dict(), states, strict=True)))
    images = noise(2, 3, 64, 96).double()
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs(images))
