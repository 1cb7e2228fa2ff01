"""Kinds of blocks as choices: what they make, what is refused, and published networks as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.space import Architecture, InputError, SearchSpace, load
from palmette.space.space_toml import STAGE_KEYS
from palmette.space.stage_blocks import DEFAULTS, KEYS, KINDS

HEAD = "[head]\nchannels = 64\n"


def toml(*stages: str, stem: str = "16", network: str = "") -> str:
    tables = "".join(f"[[stages]]\n{stage}\n" for stage in stages)
    return (
        'format = "palmette/space@1"\n[network]\nresolution = 64\nactivation = "relu"\n'
        f"{network}\n[stem]\nchannels = {stem}\n{tables}{HEAD}"
    )


def space(*stages: str, stem: str = "16", network: str = "") -> SearchSpace:
    return SearchSpace.from_toml(toml(*stages, stem=stem, network=network), "own", "own.toml")


def refusal(*stages: str, stem: str = "16", network: str = "") -> str:
    with pytest.raises(InputError) as error:
        space(*stages, stem=stem, network=network)
    message = str(error.value)
    assert message.startswith("own.toml: [") and len(message.splitlines()) == 1
    return message


def stage(
    block: str, stride: int = 2, channels: str = "24", depth: str = "2", **more: object
) -> str:
    keys: dict[str, object] = {
        "block": block,
        "stride": stride,
        "channels": channels,
        "depth": depth,
        **more,
    }
    return "\n".join(f"{key} = {value}" for key, value in keys.items() if value != "")


def text(found: SearchSpace) -> str:
    (row,) = found.sample(1, np.random.default_rng(0))
    return found.decode(row).to_text().split(" | ", 1)[1].rsplit(" | ", 1)[0]


# What each kind makes

MADE = {
    "ir": (
        stage('"ir"', kernel=5, expansion=3, se=0.25, groups=2),
        "ir_r2_k5_s2_e3_c24_relu_se0.25_g2",
    ),
    "ir at expansion 1": (stage('"ir"', kernel=3, expansion=1), "ds_r2_k3_s2_c24_relu"),
    "fb at expansion 1": (
        stage('"fb"', kernel=3, expansion=1, groups=2),
        "ir_r2_k3_s2_e1_c24_relu_g2",
    ),
    "er": (stage('"er"', kernel=3, expansion=4), "er_r2_k3_s2_e4_c24_relu"),
    "cn": (stage('"cn"', kernel=3, activation='"none"'), "cn_r2_k3_s2_c24_none"),
    "uir, both": (
        stage('"uir"', kernel=5, first_kernel=3, expansion=4),
        "uir_r2_k5_s2_e4_c24_relu_a3",
    ),
    "uir, the first": (
        stage('"uir"', kernel=0, first_kernel=3, expansion=4),
        "uir_r2_k0_s2_e4_c24_relu_a3",
    ),
    "uir, neither": (stage('"uir"', 1, kernel=0, expansion=4), "uir_r2_k0_s1_e4_c24_relu"),
    "one": (stage('"one"', kernel=3, se=0.25, branches=4), "one_r2_k3_s2_c24_relu_se0.25_b4"),
    "rv": (
        # a quarter of 16 channels is 4, of 24 it is 6; the authors round to multiples of 8
        stage('"rv"', kernel=3, expansion=2, se=0.25),
        "rv_r1_k3_s2_e2_c24_relu_se0.5 rv_r1_k3_s1_e2_c24_relu_se8",
    ),
    "ghost": (stage('"ghost"', kernel=5, expansion=3), "ghost_r2_k5_s2_e3_c24_relu"),
    "mix": (stage('"mix"', kernel='"3.5.7"', expansion=3), "mix_r2_k3.5.7_s2_e3_c24_relu"),
    "mix of one window": (stage('"mix"', kernel=5, expansion=3), "mix_r2_k5_s2_e3_c24_relu"),
}


@pytest.mark.parametrize(("table", "wanted"), MADE.values(), ids=MADE)
def test_a_kind_makes_the_blocks_of_its_stage(table: str, wanted: str) -> None:
    assert text(space(table)) == wanted


def test_every_kind_is_tried_above() -> None:
    assert {name.partition(" ")[0].rstrip(",") for name in MADE} == set(KINDS)


def test_the_keys_of_the_kinds_are_keys_of_a_stage() -> None:
    assert {*KEYS, "block", "stride", "channels", "depth", "activation"} == set(STAGE_KEYS)
    assert DEFAULTS == {"block": "ir", "groups": 1, "first_kernel": 0, "branches": 1}


def test_a_stage_without_channels_keeps_the_width_before_it() -> None:
    body = stage('"ir"', 1, "", "[1, 2]", kernel=3, expansion=3)
    found = space(stage('"ir"', channels="[16, 24]", kernel=3, expansion=3), body, body, stem="8")
    assert [gene.name for gene in found.genes] == [
        "stage1.channels",
        "stage2.depth",
        "stage3.depth",
    ]
    network = found.decode(np.array([1, 0, 1]))
    assert network.to_text().endswith(
        "| ir_r2_k3_s2_e3_c24_relu | ir_r1_k3_s1_e3_c24_relu | ir_r2_k3_s1_e3_c24_relu"
        " | head_c64_relu"
    )
    assert space(body).decode(np.array([0])).stages[0][0].out_channels == 16  # the stem's


def test_a_head_may_have_no_convolution_or_one_behind_the_pooling() -> None:
    table = toml(stage('"ir"', kernel=3, expansion=3))
    found = SearchSpace.from_toml(table.replace("channels = 64", "channels = [0, 64]"), "own")
    heads = [found.decode(np.array([index])).to_text().split(" | ")[-1] for index in (0, 1)]
    assert heads == ["head", "head_c64_relu"]
    late = SearchSpace.from_toml(table + "pool_first = true\n", "own")
    assert late.decode(np.array([], dtype=int)).to_text().endswith("head_c64_relu_poolfirst")


# Blocks as a gene

MIXTURE = (
    stage(
        '["uir", "er", "fb", "mix"]',
        channels="[16, 24]",
        depth="[1, 2]",
        kernel="[3, 5]",
        expansion="[2, 3]",
    ),
    stage('["ir", "one", "ghost"]', channels="[24, 32]", depth="[1, 2]", kernel=3, expansion=4),
    stage(
        '["rv", "ir"]',
        channels="",
        depth="[1, 2]",
        kernel="[3, 5]",
        expansion=2,
        se="[0.0, 0.5]",
        activation='["relu", "none"]',
    ),
)


def test_a_list_of_blocks_is_a_gene() -> None:
    found = space(*MIXTURE)
    assert found.genes[0].name == "stage1.block"
    assert found.genes[0].choices == ("uir", "er", "fb", "mix")
    only = found.restrict("stage1.block", ["mix"]).restrict("stage2.block", ["one"])
    assert only.size == found.size / 12
    kinds = [b.kind for b in only.decode(np.zeros(len(only.genes), dtype=int)).stages[1]]
    assert kinds == ["one"]


@given(st.data())
@settings(max_examples=60)
def test_codes_with_blocks_as_genes_encode_exactly(data: st.DataObject) -> None:
    found = space(*MIXTURE, stem="[8, 16]", network="se = [0.0, 0.25]")
    code = [data.draw(st.integers(0, int(count) - 1)) for count in found.cardinalities]
    network = found.decode(np.array(code))
    assert Architecture.from_text(network.to_text()) == network
    assert found.encode(network).tolist() == code


def test_no_two_codes_are_the_same_architecture() -> None:
    found = space(*MIXTURE[:2])
    counts = found.cardinalities.tolist()
    codes = np.stack(np.unravel_index(np.arange(found.size), counts), axis=1)
    assert len({network.id for network in found.decode_batch(codes)}) == found.size == 4 * 16 * 12


def test_a_block_of_another_kind_is_told() -> None:
    found = space(MIXTURE[1])
    network = Architecture.from_text(
        "64x64 stem_k3_s2_c16_relu | er_k3_s2_e4_c24_relu | head_c64_relu"
    )
    with pytest.raises(InputError, match="stage1.block is er, choices are "):
        found.encode(network)


# What is refused

IR = {"kernel": 3, "expansion": 3}
REFUSED = {
    "unknown kind": (
        stage('"irr"', **IR),
        "[stage1] block: must be one of ir, fb, er, cn, uir, one, rv, ghost, mix; got 'irr'",
    ),
    "kind of another type": (stage("3", **IR), "[stage1] block: must be one of ir, fb, "),
    "kind twice": (stage('["ir", "ir"]', **IR), "block: a choice is given twice in ['ir', 'ir']"),
    "same blocks": (
        stage('["ir", "fb"]', **IR),
        "[stage1] block: 'ir' and 'fb' make the same blocks; keep one of them",
    ),
    "a key that no block takes": (
        stage('["ir", "rv"]', first_kernel=3, **IR),
        "[stage1] first_kernel: no block of the stage takes it (block = 'ir', 'rv'); leave it away,"
        " or name one of 'uir'",
    ),
    "a gate that no block takes": (
        stage('"uir"', se=0.25, **IR),
        "[stage1] se: no block of the stage takes it (block = 'uir'); leave it away, or name one of"
        " 'ir', 'fb', 'er', 'one', 'rv', 'ghost', 'mix'",
    ),
    "a key that varies where one block takes it": (
        stage('["ir", "one"]', kernel=3, expansion="[3, 6]"),
        "[stage1] expansion varies ([3, 6]), but of the stage's blocks (block = 'ir', 'one') only"
        " ir take it; give it one value, or leave the other blocks away",
    ),
    "a missing key": (
        stage('["one", "ir"]', kernel=3),
        "[stage1] key 'expansion' is missing (block = 'one', 'ir')",
    ),
    "a window where there must be one": (
        stage('["uir", "ir"]', 1, kernel="[0, 3]", expansion=3),
        "[stage1] kernel of block 'ir': must be an odd integer from 1 to 31, got 0",
    ),
    "an even first window": (
        stage('"uir"', first_kernel=4, **IR),
        "first_kernel of block 'uir': must be an odd integer from 1 to 31, or 0 for none, got 4",
    ),
    "a stride without a window": (
        stage('"uir"', kernel="[0, 3]", first_kernel="[0, 5]", expansion=3),
        "[stage1] kernel [0, 3] and first_kernel [0, 5] may both be 0, but stride 2 needs a"
        " depthwise convolution; take the 0 out of one of them",
    ),
    "no window by default": (
        stage('"uir"', kernel=0, expansion=3),
        "[stage1] kernel [0] and first_kernel [0] may both be 0, but stride 2 needs",
    ),
    "windows without quotes": (
        stage('"mix"', kernel=3.5, expansion=3),
        "[stage1] kernel of block 'mix': must be an odd integer up to 31, or several as text, such"
        ' as "3.5.7"; got 3.5',
    ),
    "windows that do not rise": (
        stage('"mix"', kernel='"5.3"', expansion=3),
        "kernel of block 'mix': must be an odd integer up to 31, or several as text",
    ),
    "windows written in two ways": (
        stage('"mix"', kernel='[3, "3"]', expansion=3),
        "[stage1] kernel: [3, '3'] of 16 input channels are ",
    ),
    "more windows than channels": (
        stage('"mix"', kernel='"1.3.5.7.9"', expansion=1, channels="4", depth="2"),
        "[stage1] block 'mix' after 4 channels (channels = 4, kernel = 1.3.5.7.9, expansion = 1,"
        " se = 0.0): mix block, kernels: 5 branches need as many channels; got 4; change one of",
    ),
    "odd channels of a ghost": (
        stage('"ghost"', channels="[24, 25]", **IR),
        "[stage1] block 'ghost' after 16 channels (channels = 25, expansion = 3, se = 0.0): ghost"
        " block, channels: must be even, half computed and half derived; got 25; change one of",
    ),
    "a window that a ghost does not use": (
        stage('"ghost"', 1, channels="[16, 24]", kernel="[3, 5]", expansion=3),
        "[stage1] kernel varies ([3, 5]), but at stride 1 and an unchanged width (16) a ghost block"
        " does not use it; give one kernel",
    ),
    "groups that do not divide": (
        stage('"ir"', groups="[1, 5]", **IR),
        "[stage1] block 'ir' after 16 channels (channels = 24, expansion = 3, se = 0.0, groups ="
        " 5): ir block, groups: must divide the channels of its 1x1 or kxk convolutions; 5 does not"
        " divide 16; change one of these values",
    ),
    "groups that do not divide a later width": (
        stage('"cn"', kernel=3, channels="20", groups=8),
        "(channels = 20, groups = 8): cn block, groups: must divide",
    ),
    "gates of two ratios": (
        stage('"one"', kernel=3, se=0.3, channels="20"),
        "one block, se: 5 of 16 input channels is no whole number of 20 channels",
    ),
    "expansions of two ratios": (
        stage('"rv"', kernel=3, expansion=1.7, channels="20"),
        "rv block, expanded: 27 of 16 input channels is no whole number of 20 channels",
    ),
    "branches as a gene": (
        stage('"one"', kernel=3, branches="[1, 4]"),
        "[stage1] branches of block 'one': takes one value, got [1, 4]",
    ),
}


@pytest.mark.parametrize(("table", "teaches"), REFUSED.values(), ids=REFUSED)
def test_a_stage_that_cannot_be_is_told_table_key_rule_and_values(table: str, teaches: str) -> None:
    assert teaches in refusal(table)


def test_a_network_gate_that_no_stage_follows_is_refused() -> None:
    message = refusal(stage('["uir", "ir"]', **IR), network="se = [0.0, 0.25]")
    assert "[network] se varies, but no stage follows it" in message
    followed = space(stage('["uir", "ir"]', **IR), stage('"rv"', **IR), network="se = [0.0, 0.25]")
    assert "network.se" in followed.column


def test_a_resolution_below_the_strides_is_refused() -> None:
    tables = [stage('"ir"', **IR)] * 6
    assert refusal(*tables) == (
        "own.toml: [network] resolution: 64 px are too few for the strides of stem and stages,"
        " which divide them by 128; give 65 px or more, or fewer stages of stride 2"
    )
    enough = toml(*tables).replace("resolution = 64", "resolution = 65")
    network = SearchSpace.from_toml(enough, "own").decode(np.array([], dtype=int))
    assert network.total_stride == 128
    with pytest.raises(InputError, match="64x64 px are too few for the strides, give 65x65"):
        network.with_resolution(64)


# Published networks as points of the presets


def staged(network: Architecture, counts: Sequence[int]) -> Architecture:
    """The same blocks in stages of `counts` blocks."""
    blocks = iter([block for stage in network.stages for block in stage])
    stages = tuple(tuple(next(blocks) for _ in range(count)) for count in counts)
    assert next(blocks, None) is None
    return replace(network, stages=stages)


FBNET_STAGES = {
    "fbnet_b": (1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1),
    "fbnet_c": (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1),
}


@pytest.mark.parametrize("name", FBNET_STAGES)
def test_fbnets_are_points_of_fbnet_with_its_stages(name: str) -> None:
    found, network = SearchSpace.preset("fbnet"), staged(load(name), FBNET_STAGES[name])
    assert found.decode(found.encode(network)) == network
    assert network.ops() == load(name).ops()


def test_mobilenet_v4_conv_small_is_a_point_but_for_two_activations() -> None:
    found, small = SearchSpace.preset("mobilenet_v4"), load("mobilenet_v4_conv_small")
    plain = "cn_r1_k3_s2_c32_relu cn_r1_k1_s1_c32_relu | cn_r1_k3_s2_c96_relu cn_r1_k1_s1_c64_relu"
    assert plain in small.to_text()
    fused = small.to_text().replace(plain, "er_k3_s2_e1_c32_relu | er_k3_s2_e3_c64_relu")
    network = staged(Architecture.from_text(fused), (1, 1, 1, 4, 1, 1, 1, 1, 1, 2, 1))
    assert found.decode(found.encode(network)) == network
    # a fused block without a residual is the two convolutions; only activations differ
    assert (network.params(), network.macs()) == (small.params(), small.macs())


def test_repvit_is_a_point_but_for_the_order_of_the_gates() -> None:
    found, m09 = SearchSpace.preset("repvit_like"), load("repvit_m0.9")
    stages = []
    for first, *others in m09.stages:
        gated = tuple(block for block in others if block.se)  # type: ignore[attr-defined]
        stages += [(first,), gated, tuple(block for block in others if block not in gated)]
    network = replace(m09, stages=tuple(stages))
    assert found.decode(found.encode(network)) == network
    assert (network.params(), network.macs()) == (m09.params(), m09.macs())
