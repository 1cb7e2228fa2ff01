"""MobileOne: counts by hand, and timm's networks with the same weights in both forms."""

from collections import Counter

import pytest
import timm
import torch
from timm.utils.model import reparameterize_model
from torch import nn

from palmette.space import Architecture, InputError, load
from palmette.space.blocks import Block, format_block, parse_block
from palmette.space.blocks.mobileone import MobileOneBlock
from palmette.space.modules import SqueezeExcite, build_part
from palmette.space.modules.mobileone import OverParameterisedConv
from palmette.space.modules.reparameterise import Branched, reparameterised
from palmette.space.trace import trace_ops

NOTATION: list[tuple[str, Block]] = [
    ("one_k3_s2_c128_relu_b4", MobileOneBlock(3, 2, 128, "relu", branches=4)),
    ("one_k5_s1_c64_hswish", MobileOneBlock(5, 1, 64, "hswish")),
    ("one_k3_s1_c64_relu_se0.25", MobileOneBlock(3, 1, 64, "relu", 16)),
    ("one_k3_s2_c128_relu_se4_b2", MobileOneBlock(3, 2, 128, "relu", 4, 2)),
]
NAMES = [f"mobileone_s{size}" for size in range(5)]


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("text", "block"), NOTATION, ids=[row[0] for row in NOTATION])
def test_text_and_block_are_each_others_inverse(text: str, block: Block) -> None:
    assert format_block(block, 64) == text
    assert parse_block(text, 64) == block


@pytest.mark.parametrize(
    ("text", "depthwise", "pointwise"),
    [
        # weights of all branches; each branch has a BatchNorm of two values a channel
        ("one_k3_s1_c8_relu", (8 * 9 + 8, 3), (64, 2)),
        ("one_k3_s1_c8_relu_b4", (4 * 8 * 9 + 8, 6), (4 * 64, 5)),
        ("one_k5_s2_c16_relu_b2", (2 * 8 * 25 + 8, 3), (2 * 128, 2)),
        ("one_k1_s1_c8_relu", (8, 2), (64, 2)),
    ],
)
def test_branches_are_counted_by_hand(
    text: str, depthwise: tuple[int, int], pointwise: tuple[int, int]
) -> None:
    block = parse_block(text, 8)
    module = build_part(block, 8)
    units = [unit for unit in module.modules() if isinstance(unit, OverParameterisedConv)]
    expected = [(8, *depthwise), (block.out_channels, *pointwise)]
    assert [params(unit) for unit in units] == [w + 2 * out * n for out, w, n in expected]
    assert params(module) == sum(params(unit) for unit in units)


def test_the_merged_form_has_one_convolution_with_a_bias_for_each_unit() -> None:
    module = reparameterised(build_part(MobileOneBlock(3, 2, 16, "relu", branches=4), 8))
    assert [type(part).__name__ for part in module] == ["Conv2d", "ReLU", "Conv2d", "ReLU"]  # type: ignore[attr-defined]
    assert params(module) == (8 * 9 + 8) + (8 * 16 + 16)


def test_gates_stand_before_the_activations_and_squeeze_by_one_ratio() -> None:
    module = build_part(MobileOneBlock(3, 1, 32, "relu", se=2), 16)
    kinds = [type(part) for part in module]  # type: ignore[attr-defined]
    assert kinds == [OverParameterisedConv, SqueezeExcite, nn.ReLU] * 2
    gates = [part for part in module.modules() if isinstance(part, SqueezeExcite)]
    assert [gate.reduce.weight.shape[:2] for gate in gates] == [(2, 16), (4, 32)]
    ops = trace_ops(module, (16, 6, 6))
    assert [op.act for op in ops if op.kind == "mul"] == ["relu", "relu"]
    assert [op.act for op in ops if op.kind == "conv"] == ["none", "relu", "sigmoid"] * 2


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
def test_both_modes_give_maps_of_the_promised_shape(size: tuple[int, int]) -> None:
    module = build_part(MobileOneBlock(3, 2, 16, "relu", 4, 2), 8)
    for mode in (True, False):
        shape = module.train(mode)(torch.zeros(2, 8, *size)).shape
        assert shape == (2, 16, -(-size[0] // 2), -(-size[1] // 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one_k4_s1_c8_relu", "one block, kernel: must be odd, got 4"),
        ("one_k3_s1_c8_relu_b17", "one block, branches: must be an integer from 1 to 16, got 17"),
        ("one_k3_s1_c8_relu_b0", "one block, branches: must be an integer from 1 to 16, got 0"),
    ],
)
def test_a_bad_field_is_named_with_its_rule_and_value(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 8)
    assert str(error.value) == said


def test_a_ratio_that_gives_no_whole_number_names_stage_block_and_counts() -> None:
    with pytest.raises(InputError) as error:
        Architecture.from_text("8x8 stem_k3_s1_c8_relu | one_k3_s1_c12_relu_se3 | head")
    assert str(error.value) == (
        "stage 1: one block, se: 3 of 8 input channels is no whole number of 12 channels; both"
        " gates squeeze by one ratio"
    )


@pytest.mark.parametrize("name", NAMES)
def test_ops_and_parameters_are_those_of_timm(name: str) -> None:
    network = load(name)
    with torch.device("meta"):
        theirs = timm.create_model(name).eval()
        many = params(theirs)
        theirs = reparameterize_model(theirs, inplace=True)
    assert Counter(network.ops()) == Counter(trace_ops(theirs, (3, 224, 224)))
    # the stem has a BatchNorm here, in place of a bias; there, while it trains, also a 1x1 branch
    stem = network.stem.channels
    assert network.params() - stem == params(theirs) == sum(op.weights for op in network.ops())
    with torch.device("meta"):
        ours = network.build()
    assert params(ours) + (3 + 2) * stem == many


def copy_unit(ours: OverParameterisedConv, theirs: nn.Module) -> None:
    """Give a unit the weights of a unit of timm's."""
    many, scale, identity = theirs.conv_kxk, theirs.conv_scale, theirs.identity
    branches = [*many, *([] if scale is None else [scale])]  # type: ignore[misc]
    for mine, other in zip(ours.convs, branches, strict=True):
        mine.load_state_dict(other.state_dict())  # type: ignore[union-attr]
    assert (ours.identity is None) == (identity is None)
    if ours.identity is not None:
        ours.identity.load_state_dict(identity.state_dict())  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["mobileone_s0", "mobileone_s4"])
def test_with_the_weights_of_timm_both_forms_compute_what_timm_computes(name: str) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    for norm in theirs.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.2, 0.6)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    ours = load(name).build().eval()
    blocks = [m for m in theirs.stages.modules() if hasattr(m, "conv_kxk")]
    units = [m for m in ours.modules() if isinstance(m, Branched)]
    for mine, other in zip(units, blocks, strict=True):
        copy_unit(mine, other)  # type: ignore[arg-type]
    gates = [m for m in ours.modules() if isinstance(m, SqueezeExcite)]
    others = [m for m in theirs.modules() if hasattr(m, "fc1")]
    for gate, se in zip(gates, others, strict=True):
        values = [se.fc1.weight, se.fc1.bias, se.fc2.weight, se.fc2.bias]
        gate.load_state_dict(dict(zip(gate.state_dict(), values, strict=True)))
    ours.head.fc.load_state_dict(theirs.head.fc.state_dict())  # type: ignore[union-attr]
    theirs = reparameterize_model(theirs)
    stem = theirs.stem.reparam_conv
    with torch.no_grad():
        ours.stem.conv.weight.copy_(stem.weight)  # type: ignore[union-attr]
        ours.stem.bn.bias.copy_(stem.bias)  # type: ignore[union-attr]
        ours.stem.bn.eps = 0.0  # type: ignore[union-attr]
        image = torch.randn(2, 3, 64, 96)
        expected = theirs(image)
        near = 1e-5 * expected.abs().max().item()
        torch.testing.assert_close(ours(image), expected, rtol=1e-4, atol=near)
        torch.testing.assert_close(reparameterised(ours)(image), expected, rtol=1e-4, atol=near)
