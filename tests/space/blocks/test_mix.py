"""Mixed kernels: notation, shares of the channels, counts by hand, and MixNet beside timm's."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import timm
import torch
from torch import nn

from palmette.space import Architecture, Block, InputError, Op, load
from palmette.space.blocks import block_from_json, block_to_json, format_block, parse_block
from palmette.space.blocks.mix import MixedInvertedResidual, branch_widths
from palmette.space.modules import build_part
from palmette.space.trace import trace_ops

NETWORKS = ("mixnet_s", "mixnet_m", "mixnet_l")  # timm has them by the same names

# input channels, canonical text, block
NOTATION: list[tuple[int, str, Block]] = [
    (16, "mix_k3.5_s1_e6_c16_relu", MixedInvertedResidual((3, 5), 1, 96, 16, "relu")),
    (
        16,
        "mix_k3_s2_x37_c24_relu_gp2",
        MixedInvertedResidual((3,), 2, 37, 24, "relu", 0, "relu", "sigmoid", 1, 2),
    ),
    (
        40,
        "mix_k3.5.7.9.11_s2_e6_c80_swish_se0.25_inswish",
        MixedInvertedResidual((3, 5, 7, 9, 11), 2, 240, 80, "swish", se=10, se_act="swish"),
    ),
    (
        8,
        "mix_k1.7.31_s1_e2_c8_hswish_se3_gatehsigmoid_ge2_gp4_noskip",
        MixedInvertedResidual(
            (1, 7, 31),
            1,
            16,
            8,
            "hswish",
            se=3,
            gate="hsigmoid",
            expand_groups=2,
            project_groups=4,
            skip=False,
        ),
    ),
]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("in_channels", "text", "block"), NOTATION, ids=[n[1] for n in NOTATION])
def test_text_json_and_block_say_the_same(in_channels: int, text: str, block: Block) -> None:
    assert parse_block(text, in_channels) == block
    assert format_block(block, in_channels) == text
    assert block_from_json(json.loads(json.dumps(block_to_json(block))), "here") == block
    assert hash(parse_block(text, in_channels)) == hash(block)


def test_kernels_are_a_list_in_json_and_integers_in_memory() -> None:
    block = parse_block("mix_k3.5_s1_e6_c16_relu", 16)
    assert isinstance(block, MixedInvertedResidual)
    assert block.kernels == (3, 5)
    assert json.loads(json.dumps(block_to_json(block)))["kernels"] == [3, 5]


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("mix_k3.4_s1_e6_c8_relu", "mix block, kernels: must be one of 3, 3.5, 3.5.7, ... (rising"),
        ("mix_k5.3_s1_e6_c8_relu", "odd windows up to 31); got (5, 3)"),
        ("mix_k3.3_s1_e6_c8_relu", "odd windows up to 31); got (3, 3)"),
        ("mix_k3.33_s1_e6_c8_relu", "odd windows up to 31); got (3, 33)"),
        ("mix_k3._s1_e6_c8_relu", "unknown token 'k3.'; a 'mix' takes k(3|3.5|3.5.7|..."),
        ("mix_k3,5_s1_e6_c8_relu", "unknown token 'k3,5'"),
        ("mix_k_s1_e6_c8_relu", "unknown token 'k'"),
        ("mix_s1_e6_c8_relu", "'kernels' is missing; write k(3|3.5|3.5.7|..."),
        ("mix_k3_k5_s1_e6_c8_relu", "'kernels' is given twice; keep one"),
        ("mix_k3.5.7_s1_x2_c8_relu", "mix block, kernels: 3 branches need as many channels; got 2"),
        ("mix_k3_s1_x2_c8_relu_ge3", "mix block, expand_groups: 3 branches need as many channels;"),
        ("mix_k3_s1_e6_c2_relu_gp3", "mix block, project_groups: 3 branches need as many channels"),
        ("mix_k3_s1_e6_c2_relu_gp0", "project_groups: must be an integer from 1 to 65536, got 0"),
    ],
)
def test_a_text_that_breaks_a_rule_is_told_which(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 8)
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kernels", [[], None, 3, "", "3.", [3, "5"], [3.0], [True], [[3]], [4], [5, 3], {"3": 5}]
)
def test_json_kernels_that_are_none_are_refused(kernels: Any) -> None:
    data = block_to_json(MixedInvertedResidual((3,), 1, 8, 8, "relu")) | {"kernels": kernels}
    with pytest.raises(InputError, match=r"^here: mix block, kernels: must be one of 3, 3\.5, "):
        block_from_json(data, "here")


def test_more_branches_than_channels_come_in_names_the_stage() -> None:
    with pytest.raises(InputError, match=r"stage 1: mix block, expand_groups: 9 branches .*got 8"):
        Architecture.from_text("16x16 stem_k3_s2_c8_relu | mix_k3_s1_e6_c8_relu_ge9 | head")


@pytest.mark.parametrize(
    ("channels", "branches", "widths"),
    [(12, 1, (12,)), (12, 3, (4, 4, 4)), (11, 3, (5, 3, 3)), (3, 3, (1, 1, 1))],
)
def test_what_does_not_divide_goes_to_the_first_branch(
    channels: int, branches: int, widths: tuple[int, ...]
) -> None:
    assert branch_widths(channels, branches) == widths


@pytest.mark.parametrize(
    ("text", "params"),
    [
        # 4 x 8 + 16, 3x3 of 4 and 5x5 of 4 + 16, 8 x 4 + 8
        ("mix_k3.5_s1_e2_c4_relu", 48 + 36 + 100 + 16 + 40),
        # two halves each: 2 x (2 x 4) + 16 and 2 x (4 x 2) + 8
        ("mix_k3.5_s1_e2_c4_relu_ge2_gp2", 32 + 36 + 100 + 16 + 24),
        # 3x3 of 4, 5x5 of 2, 7x7 of 2; gate 8 x 2 + 2 and 2 x 8 + 8
        ("mix_k3.5.7_s2_e2_c4_relu_se2", 48 + 36 + 50 + 98 + 16 + 18 + 24 + 40),
        # 7 channels to (3, 2, 2): 3 x 9 + 2 x 25 + 2 x 49
        ("mix_k3.5.7_s1_x7_c4_relu", 42 + 27 + 50 + 98 + 14 + 36),
    ],
)
def test_parameters_are_those_counted_by_hand(text: str, params: int) -> None:
    assert sum(p.numel() for p in build_part(parse_block(text, 4), 4).parameters()) == params


def test_no_batch_norm_follows_a_concatenation() -> None:
    network = Architecture.from_text(
        "16x16 stem_k3_s2_c8_relu | mix_k3.5_s2_e2_c8_swish_ge2_gp2 | head_n0"
    )
    assert [op.to_text() for op in network.ops()[1:-1]] == [
        "slice 8x8x8 -> 8x8x8",
        "conv 4x8x8 -> 8x8x8 swish",
        "conv 4x8x8 -> 8x8x8 swish",
        "concat 8x8x8 + 8x8x8 -> 16x8x8",
        "slice 16x8x8 -> 16x8x8",
        "conv 8x8x8 -> 8x4x4 k3 s2 g8 swish",
        "conv 8x8x8 -> 8x4x4 k5 s2 g8 swish",
        "concat 8x4x4 + 8x4x4 -> 16x4x4",
        "slice 16x4x4 -> 16x4x4",
        "conv 8x4x4 -> 4x4x4",
        "conv 8x4x4 -> 4x4x4",
        "concat 4x4x4 + 4x4x4 -> 8x4x4",
    ]


def test_one_kernel_without_groups_is_the_inverted_residual() -> None:
    tokens = "k5_s1_e3_c8_swish_se0.25_inswish"
    mixed, plain = (build_part(parse_block(f"{kind}_{tokens}", 8), 8) for kind in ("mix", "ir"))
    plain.load_state_dict(mixed.state_dict())
    x = noise(2, 8, 7, 9)
    with torch.no_grad():
        assert torch.equal(mixed.eval()(x), plain.eval()(x))


def test_uneven_shares_run_and_learn() -> None:
    torch.manual_seed(0)  # a gate of two channels may start with both below zero
    module = build_part(parse_block("mix_k3.5.7_s2_x23_c10_swish_se2_ge3_gp4", 7), 7)
    y = module(noise(4, 7, 9, 6))
    assert y.shape == (4, 10, 5, 3)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


# Beside timm, which puts one BatchNorm and one activation after each concatenation


def layers(ops: Iterable[Op]) -> Counter[Any]:
    """What is left of ops without BatchNorm and activations."""
    shared = ("kind", "inputs", "output", "kernel", "stride", "groups")
    kept = [op for op in ops if op.kind not in ("norm", "act")]
    return Counter(tuple(getattr(op, name) for name in shared) for op in kept)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_layers_are_those_of_timm(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name).eval()
    assert load(name).params() == sum(p.numel() for p in theirs.parameters())
    assert layers(load(name).ops()) == layers(trace_ops(theirs, (3, 224, 224)))


def copy_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Layers come in one order; a BatchNorm of theirs is cut into those of our branches."""
    norms = [m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d)]
    joint = {
        key: torch.cat([getattr(norm, key).data for norm in norms])
        for key in ("weight", "bias", "running_mean", "running_var")
    }
    start = 0
    for norm in (m for m in ours.modules() if isinstance(m, nn.BatchNorm2d)):
        stop = start + norm.num_features
        for key, values in joint.items():
            getattr(norm, key).data.copy_(values[start:stop])
        start = stop
    hosts = [
        [m for m in n.modules() if isinstance(m, (nn.Conv2d, nn.Linear))] for n in (theirs, ours)
    ]
    for source, host in zip(*hosts, strict=True):
        host.load_state_dict(source.state_dict())


@pytest.mark.parametrize("training", [False, True])
def test_scores_are_those_of_timm_for_equal_weights(training: bool) -> None:
    theirs, ours = timm.create_model("mixnet_s").double(), load("mixnet_s").build().double()
    generator = torch.Generator().manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # its initial state would hide a swap
            for values in (module.weight.data, module.running_mean, module.running_var):
                values.uniform_(0.5, 1.5, generator=generator)
    copy_weights(theirs, ours)
    images = noise(2, 3, 64, 96).double()
    with torch.no_grad():
        scores = [network.train(training)(images) for network in (ours, theirs)]
    torch.testing.assert_close(*scores)
