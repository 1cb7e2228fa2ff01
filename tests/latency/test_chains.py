"""Chains: notation, rules, and what they are made of."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.chains import MAX_DEPTH, Chain
from palmette.space import InputError
from palmette.space.blocks import Block, ConvBlock, DepthwiseSeparable, InvertedResidual

EXAMPLE = "4*(ir_r1_k3_s1_e6_c24_relu6)@56x48x24"


def test_a_chain_is_read_from_its_text() -> None:
    chain = Chain.from_text(EXAMPLE)
    assert chain == Chain(4, InvertedResidual(3, 1, 144, 24, "relu6"), (24, 56, 48))
    assert chain.to_text() == EXAMPLE


def test_the_repeat_of_one_may_be_left_away() -> None:
    assert Chain.from_text(EXAMPLE.replace("_r1", "")) == Chain.from_text(EXAMPLE)


def test_a_block_of_counts_keeps_them() -> None:
    text = "2*(ir_r1_k5_s1_x184_c80_hswish_se48_gatehsigmoid)@14x14x80"
    assert Chain.from_text(text).to_text() == text


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    channels = draw(st.integers(1, 40)) * 4
    kernel, act = draw(st.sampled_from([1, 3, 5])), draw(st.sampled_from(["relu", "hswish"]))
    se = draw(st.sampled_from([0, channels // 4, 7]))
    blocks: list[Block] = [
        ConvBlock(kernel, 1, channels, act),
        DepthwiseSeparable(kernel, 1, channels, act, se=se),
        InvertedResidual(kernel, 1, draw(st.integers(1, 900)), channels, act, se=se),
    ]
    side = st.integers(1, 300)
    shape = (channels, draw(side), draw(side))
    return Chain(draw(st.integers(1, MAX_DEPTH)), draw(st.sampled_from(blocks)), shape)


@given(chains())
def test_text_and_back_gives_the_same_chain(chain: Chain) -> None:
    assert Chain.from_text(chain.to_text()) == chain


def test_every_block_of_a_chain_has_the_same_ops() -> None:
    one, four = (Chain.from_text(EXAMPLE.replace("4*", f"{n}*")).ops() for n in (1, 4))
    assert [op.kind for op in one] == ["conv", "conv", "conv", "add"]
    assert Counter(four) == Counter({op: 4 for op in one})
    assert all(op.inputs[0][1:] == (56, 48) for op in four)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ir_r1_k3_s1_e6_c24_relu6@56x56x24", "expected 'depth"),
        ("0*(cn_r1_k3_s1_c24_relu)@56x56x24", "depth must be 1 to"),
        ("101*(cn_r1_k3_s1_c24_relu)@56x56x24", "depth must be 1 to"),
        ("4*(ir_r1_k3_s2_e6_c24_relu6)@56x56x24", "stride 1"),
        ("4*(ir_r1_k3_s1_e6_c32_relu6)@56x56x24", "32 channels"),
        ("4*(ir_r2_k3_s1_e6_c24_relu6)@56x56x24", "repeats one block"),
        ("4*(zz_r1_k3_s1_c24)@56x56x24", "unknown kind"),
        ("4*(cn_r1_k3_s1_c24_relu_g5)@56x56x24", "does not divide"),
        ("4*(cn_r1_k3_s1_c24_relu)@56x99999x24", "sides of 1 to"),
        ("4*(cn_r1_k3_s1_c24_relu)@0x56x24", "sides of 1 to"),
        ("4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x0", "at least one channel"),
        ("4*(head_c24)@56x56x24", "unknown kind"),
    ],
)
def test_a_chain_against_a_rule_is_refused_with_its_text(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        Chain.from_text(text)
    assert text in str(caught.value)


def test_reading_chains_needs_no_torch() -> None:
    code = "import sys, palmette.latency.chains; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
