"""What several tests of `space` draw or count with.

Strategies come as fixtures: tests are no package, so that they cannot import one another.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from palmette.space import (
    ACTIVATIONS,
    Architecture,
    Block,
    ConvBlock,
    DepthwiseSeparable,
    FusedInvertedResidual,
    Head,
    InvertedResidual,
    Stem,
)
from palmette.space.blocks import GATES

ACTS = st.sampled_from(ACTIVATIONS)
STRIDES = st.integers(1, 2)


def _kernels(limit: int) -> SearchStrategy[int]:
    return st.integers(0, (limit - 1) // 2).map(lambda half: 2 * half + 1)


def _multiples(of: int, limit: int) -> SearchStrategy[int]:
    return st.integers(1, max(1, limit // of)).map(lambda count: of * count)


@st.composite
def _expanded(draw: Any, in_channels: int, groups: int, limit: int) -> int:
    """Ratios of the input as papers print them, and any other count that the groups divide."""
    ratio = in_channels * draw(st.sampled_from([1, 2, 3, 4, 6]))
    if ratio <= limit and draw(st.booleans()):
        return int(ratio)
    return int(draw(_multiples(groups, limit)))


@st.composite
def _blocks(
    draw: Any, in_channels: int, limit: int, kernel: int, strides: SearchStrategy[int]
) -> Block:
    kind = draw(
        st.sampled_from([ConvBlock, DepthwiseSeparable, InvertedResidual, FusedInvertedResidual])
    )
    divisors = [size for size in (1, 2, 3, 4, 8, 16) if in_channels % size == 0]
    groups = draw(st.sampled_from(divisors))
    stays = st.just(in_channels)  # so that residuals occur
    channels = draw(stays | _multiples(groups, limit))
    values = {"kernel": draw(_kernels(kernel)), "stride": draw(strides), "channels": channels}
    values |= {"act": draw(ACTS), "groups": groups}
    if kind is ConvBlock:
        return ConvBlock(**values)
    ratio = st.sampled_from([in_channels // 8, in_channels // 4, in_channels // 2])
    values |= {"se": draw(ratio | st.integers(0, limit)), "skip": draw(st.booleans())}
    values |= {"se_act": draw(ACTS), "gate": draw(st.sampled_from(GATES))}
    if kind is DepthwiseSeparable:
        return DepthwiseSeparable(**values, point_act=draw(st.booleans()))
    values["expanded"] = draw(_expanded(in_channels, groups, limit))
    made: Block = kind(**values)
    return made


@st.composite
def _architectures(draw: Any, limit: int, kernel: int, resolution: int) -> Architecture:
    most = resolution.bit_length() - 1  # halvings of the largest side
    act = draw(ACTS)
    stem = Stem(draw(_kernels(kernel)), draw(STRIDES), draw(st.integers(1, limit)), act)
    channels, stages, halvings = stem.channels, [], stem.stride - 1
    for depth in draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)):
        stage: list[Block] = []
        for _ in range(depth):
            # a repeat of the block before it is what text writes as a run
            fits = stage and halvings < most and _fits(stage[-1], channels)
            again = [stage[-1]] if fits else []
            fresh = _blocks(channels, limit, kernel, STRIDES if halvings < most else st.just(1))
            stage.append(draw(st.sampled_from(again) | fresh if again else fresh))
            channels = stage[-1].out_channels
            halvings += stage[-1].downsampling - 1
        stages.append(tuple(stage))
    width = draw(st.integers(0, limit))
    classes = draw(st.integers(0, limit))
    head = Head(width, draw(ACTS) if width else "none", classes, draw(st.booleans()))
    # before the last of n halvings, which round up, 2^(n - 1) + 1 leaves two values
    sides = st.integers(2 ** (halvings - 1) + 1 if halvings else 1, resolution)
    return Architecture((draw(sides), draw(sides)), stem, tuple(stages), head)


def _fits(block: Block, in_channels: int) -> bool:
    return in_channels % getattr(block, "groups", 1) == 0


@pytest.fixture(scope="session")
def architectures() -> SearchStrategy[Architecture]:
    """Architectures of all block kinds, with fields from all over their ranges."""
    return _architectures(65_536, 31, 16_384)


@pytest.fixture(scope="session")
def small_architectures() -> SearchStrategy[Architecture]:
    """Architectures of all block kinds that are cheap to build and to run."""
    return _architectures(16, 5, 24)


@pytest.fixture(scope="session")
def flop_counter_macs() -> Callable[[nn.Module, tuple[int, ...]], int]:
    """Half of what torch's own FLOP counter says of one image on the meta device."""

    def count(module: nn.Module, shape: tuple[int, ...]) -> int:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(torch.empty((1, *shape), device="meta"))
        return counter.get_total_flops() // 2

    return count
