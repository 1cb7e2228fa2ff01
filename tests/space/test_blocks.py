"""Blocks: the notation by hand, and messages that say what to write instead."""

import json
import math
from typing import Any

import pytest

from palmette.space import (
    BLOCKS,
    Block,
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InputError,
    InvertedResidual,
    Stem,
)
from palmette.space.blocks import block_from_json, block_to_json, format_block, parse_block

ALL_KINDS = {**BLOCKS, "stem": Stem, "head": Head}

# input channels, canonical text, block
NOTATION: list[tuple[int, str, Block]] = [
    (3, "stem_k3_s2_c32_relu6", Stem(3, 2, 32, "relu6")),
    (32, "cn_k1_s1_c576_hswish", ConvBlock(1, 1, 576, "hswish")),
    (32, "cn_k3_s2_c64_none_g4", ConvBlock(3, 2, 64, "none", groups=4)),
    (32, "ds_k3_s1_c16_relu6", DepthwiseSeparable(3, 1, 16, "relu6")),
    (16, "ds_k3_s2_c16_relu_se0.5", DepthwiseSeparable(3, 2, 16, "relu", se=8)),
    (
        64,
        "ds_k3_s1_c128_relu6_pointact_noskip",
        DepthwiseSeparable(3, 1, 128, "relu6", point_act=True, skip=False),
    ),
    (16, "ir_k3_s2_e6_c24_relu6", InvertedResidual(3, 2, 96, 24, "relu6")),
    (16, "ir_k3_s2_e4.5_c24_relu", InvertedResidual(3, 2, 72, 24, "relu")),
    (80, "ir_k3_s1_x184_c80_hswish", InvertedResidual(3, 1, 184, 80, "hswish")),
    (24, "ir_k5_s2_e4_c40_hswish_se48", InvertedResidual(5, 2, 96, 40, "hswish", se=48)),
    (
        40,
        "ir_k5_s1_e3_c40_relu_se0.25_inswish_gatehsigmoid",
        InvertedResidual(5, 1, 120, 40, "relu", se=10, se_act="swish", gate="hsigmoid"),
    ),
    (
        32,
        "ir_k7_s1_e6_c64_gelu_g8_noskip",
        InvertedResidual(7, 1, 192, 64, "gelu", groups=8, skip=False),
    ),
    (24, "er_k3_s2_e8_c32_relu", FusedInvertedResidual(3, 2, 192, 32, "relu")),
    (1280, "head", Head()),
    (320, "head_c1280_relu6", Head(1280, "relu6")),
    (320, "head_c1280_n0", Head(1280, classes=0)),
    (576, "head_c1024_hswish_n10_poolfirst", Head(1024, "hswish", 10, pool_first=True)),
]


@pytest.mark.parametrize(("in_channels", "text", "block"), NOTATION, ids=[n[1] for n in NOTATION])
def test_text_and_block_are_each_others_inverse(in_channels: int, text: str, block: Block) -> None:
    assert parse_block(text, in_channels, ALL_KINDS) == block
    assert format_block(block, in_channels) == text


@pytest.mark.parametrize(("in_channels", "text", "block"), NOTATION, ids=[n[1] for n in NOTATION])
def test_json_gives_the_block_back(in_channels: int, text: str, block: Block) -> None:
    data = json.loads(json.dumps(block_to_json(block)))
    assert data["kind"] == text.partition("_")[0]
    assert block_from_json(data, "here", ALL_KINDS) == block


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ir_relu6_c24_e6_s2_k3", "ir_k3_s2_e6_c24_relu6"),  # any order
        ("ir_k3_s2_x96_c24_relu6", "ir_k3_s2_e6_c24_relu6"),  # a count that is a printed ratio
        ("ir_k3_s2_e2.3125_c24_relu6", "ir_k3_s2_x37_c24_relu6"),  # a ratio that nobody prints
        ("ir_k3_s2_e6_c24_relu6_se4", "ir_k3_s2_e6_c24_relu6_se0.25"),
        ("ir_k3_s2_e6_c24_relu6_se1", "ir_k3_s2_e6_c24_relu6_se1"),  # one channel, not all
        ("ir_k3_s2_e6_c24_relu6_se1.0", "ir_k3_s2_e6_c24_relu6_se16"),
        ("ds_k3_s1_c16_relu_se0_inrelu_gatesigmoid_g1", "ds_k3_s1_c16_relu"),  # defaults
    ],
)
def test_one_block_has_one_canonical_text(text: str, canonical: str) -> None:
    assert format_block(parse_block(text, 16), 16) == canonical


@pytest.mark.parametrize(
    ("text", "teaches"),
    [
        ("mb_k3_s1_c16_relu", "unknown kind 'mb'; known kinds are cn, ds, ir, er"),
        ("", "unknown kind ''"),
        ("ds", "'kernel' is missing; write kN"),
        ("ds_k3_s1_c16", "'act' is missing; write (none|relu|"),
        ("ir_k3_s1_c16_relu", "'expanded' is missing; write xN or eR"),
        ("ds_k3_s1_c16_relu_z9", "unknown token 'z9'; a 'ds' takes kN, sN, cN,"),
        ("ds_k3_s1_c16_relu_e6", "unknown token 'e6'"),
        ("ds__k3_s1_c16_relu", "unknown token ''"),
        ("ds_k3_s1_c16_relu7", "unknown token 'relu7'"),
        ("ds_k3.5_s1_c16_relu", "unknown token 'k3.5'"),
        ("ds_k-3_s1_c16_relu", "unknown token 'k-3'"),
        ("ds_k٣_s1_c16_relu", "unknown token 'k٣'"),
        ("ds_k3_s1_c1_000_relu", "unknown token '000'"),
        ("ds_k3_k5_s1_c16_relu", "'kernel' is given twice; keep one"),
        ("ds_k3_s1_c16_relu_relu6", "'act' is given twice; keep one"),
        ("ir_k3_s1_e6_x96_c16_relu", "'expanded' is given twice; keep one"),
        ("ds_k4_s1_c16_relu", "kernel: must be odd, got 4"),
        ("ds_k33_s1_c16_relu", "kernel: must be an integer from 1 to 31, got 33"),
        ("ds_k3_s0_c16_relu", "stride: must be an integer from 1 to 2, got 0"),
        ("ds_k3_s3_c16_relu", "stride: must be an integer from 1 to 2, got 3"),
        ("ds_k3_s1_c0_relu", "channels: must be an integer from 1 to 65536, got 0"),
        ("ds_k3_s1_c65537_relu", "channels: must be an integer from 1 to 65536, got 65537"),
        ("ds_k3_s1_c" + "9" * 5000 + "_relu", "unknown token"),
        ("ir_k3_s1_e" + "9" * 5000 + "_c16_relu", "unknown token"),
        ("ir_k3_s1_e2.3_c16_relu", "'e2.3' of 16 input channels is 36.8, not a whole number"),
        ("ir_k3_s1_e6_c16_relu_se0.3", "write the count as seN"),
        ("ir_k3_s1_e0_c16_relu", "expanded: must be an integer from 1 to 65536, got 0"),
        ("ir_k3_s1_e6_c16_relu_gaterelu", "unknown token 'gaterelu'"),
        ("ds_k3_s1_c16_relu_skip", "unknown token 'skip'"),
    ],
)
def test_a_text_that_breaks_a_rule_is_told_which(text: str, teaches: str) -> None:
    with pytest.raises(InputError) as error:
        parse_block(text, 16)
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "teaches"),
    [
        ([], "here: expected an object, got list"),
        (None, "here: expected an object, got NoneType"),
        ({}, "here.kind: unknown kind None; known kinds are cn, ds, ir, er"),
        ({"kind": ["ds"]}, "here.kind: unknown kind ['ds']"),
        ({"kind": {}}, "here.kind: unknown kind {}"),
        ({"kind": "stem"}, "here.kind: unknown kind 'stem'"),
        ({"kind": "ds", "kernel": 3, "stride": 1, "channels": 8}, "here: key 'act' is missing"),
        ({"kernal": 3}, "here: unknown key 'kernal'; a 'ds' block has kernel, stride, channels"),
        ({"a\nb": 3}, "here: unknown key 'a\\nb'"),
        ({"kernel": "3"}, "kernel: must be an integer from 1 to 31, got '3'"),
        ({"kernel": 3.0}, "kernel: must be an integer from 1 to 31, got 3.0"),
        ({"kernel": True}, "kernel: must be an integer from 1 to 31, got True"),
        ({"kernel": None}, "kernel: must be an integer from 1 to 31, got None"),
        ({"kernel": [3]}, "kernel: must be an integer from 1 to 31, got [3]"),
        ({"channels": math.nan}, "channels: must be an integer from 1 to 65536, got nan"),
        ({"channels": math.inf}, "channels: must be an integer from 1 to 65536, got inf"),
        ({"channels": 10**30}, "channels: must be an integer from 1 to 65536, got 1000"),
        ({"channels": -8}, "channels: must be an integer from 1 to 65536, got -8"),
        ({"act": "swiss"}, "act: must be one of none, relu, relu6"),
        ({"act": ["relu"]}, "got ['relu']"),
        ({"act": {}}, "got {}"),
        ({"gate": "relu"}, "gate: must be one of sigmoid, hsigmoid; got 'relu'"),
        ({"skip": 1}, "skip: must be true or false, got 1"),
        ({"point_act": "true"}, "point_act: must be true or false, got 'true'"),
    ],
)
def test_json_that_breaks_a_rule_is_told_where_and_which(data: Any, teaches: str) -> None:
    if isinstance(data, dict) and data and "kind" not in data:  # one wrong value in a good block
        data = block_to_json(DepthwiseSeparable(3, 1, 16, "relu")) | data
    with pytest.raises(InputError) as error:
        block_from_json(data, "here")
    assert str(error.value).startswith("here")
    assert teaches in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("block", "in_channels", "culprit"),
    [
        (ConvBlock(3, 1, 16, "relu", groups=4), 6, "4 does not divide 6"),
        (ConvBlock(3, 1, 18, "relu", groups=4), 16, "4 does not divide 18"),
        (DepthwiseSeparable(3, 1, 16, "relu", groups=4), 18, "4 does not divide 18"),
        (InvertedResidual(3, 1, 30, 16, "relu", groups=4), 16, "4 does not divide 30"),
        (InvertedResidual(3, 1, 32, 18, "relu", groups=4), 16, "4 does not divide 18"),
        (FusedInvertedResidual(3, 1, 32, 16, "relu", groups=4), 18, "4 does not divide 18"),
    ],
)
def test_groups_must_divide_the_channels_that_they_split(
    block: Block, in_channels: int, culprit: str
) -> None:
    with pytest.raises(InputError, match=f"groups: must divide .*{culprit}"):
        block.check_input(in_channels)


def test_groups_that_divide_all_channels_are_accepted() -> None:
    InvertedResidual(3, 1, 32, 16, "relu", groups=4).check_input(8)


@pytest.mark.parametrize(
    ("block", "out_channels", "downsampling"),
    [
        (Stem(3, 2, 32, "relu"), 32, 2),
        (ConvBlock(3, 1, 24, "relu"), 24, 1),
        (InvertedResidual(3, 2, 96, 40, "relu"), 40, 2),
        (Head(1280, "relu"), 1280, 1),
    ],
)
def test_a_block_tells_its_width_and_its_downsampling(
    block: Block, out_channels: int, downsampling: int
) -> None:
    assert (block.out_channels, block.downsampling) == (out_channels, downsampling)
