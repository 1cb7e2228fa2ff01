"""Networks of any blocks of the zoo, in both formats: what is exported computes what torch does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palmette.export import FORMATS, ExportOptions, Suppression, export
from palmette.export.gates import verify
from palmette.space import BLOCKS, ZOO, Architecture, Block, ConvBlock, Head, Stem, load
from palmette.space.blocks import TaskHead
from palmette.space.blocks.detection import Detector
from palmette.space.blocks.dice import DimensionWise

NARROWEST = 2
"""Blocks of each kind that are drawn: narrow ones convert quickly."""


def narrow_blocks() -> dict[str, list[tuple[int, Block]]]:
    """Blocks of the zoo by kind, each with the channels before it."""
    parts = {
        (part.in_channels, part.block)
        for name in ZOO
        for part in load(name).parts()
        if not isinstance(part.block, Stem | TaskHead)
    }
    found: dict[str, list[tuple[int, Block]]] = {}
    for width, block in sorted(parts, key=lambda p: (p[0] * p[1].out_channels, repr(p[1]))):
        # at its own size: the older format of iOS 13 resizes no maps
        if not isinstance(block, DimensionWise):
            found.setdefault(block.kind, []).append((width, block))
    return {kind: blocks[:NARROWEST] for kind, blocks in found.items()}


NARROW = narrow_blocks()


def test_every_kind_of_block_is_drawn() -> None:
    assert set(NARROW) | {DimensionWise.kind} == set(BLOCKS)


@st.composite
def networks(draw: st.DrawFn) -> Architecture:
    """One block or two, between 1x1 convolutions that bring each the channels that it wants."""
    size = (draw(st.integers(24, 40)), draw(st.integers(24, 40)))
    stem = Stem(3, draw(st.sampled_from([1, 2])), 8, draw(st.sampled_from(["relu", "hswish"])))
    channels, stage = stem.channels, list[Block]()
    for kind in draw(st.lists(st.sampled_from(sorted(NARROW)), min_size=1, max_size=2)):
        width, block = draw(st.sampled_from(NARROW[kind]))
        if channels != width:
            stage.append(ConvBlock(1, 1, width, "none"))
        stage.append(block)
        channels = block.out_channels
    return Architecture(size, stem, (tuple(stage),), Head(classes=3))


def assert_verified(network: Architecture, kind: str, module: nn.Module) -> None:
    suppression = Suppression("none") if isinstance(network.head, Detector) else None
    options = ExportOptions(kind, suppression=suppression)
    with tempfile.TemporaryDirectory() as folder:
        path = export(network, Path(folder) / "x", options=options, module=module)
        verdict = verify(path, network, module=module, images=1)
    assert verdict.passed, [gate.reason for gate in verdict.gates]
    graph, weights = (verdict.gates[at].figures["error"] for at in (0, 1))
    assert graph < 1e-5 and weights < 1e-3


@settings(max_examples=2)
@given(networks(), st.sampled_from(sorted(FORMATS)))
def test_a_network_of_any_blocks_is_verified(network: Architecture, kind: str) -> None:
    assert_verified(network, kind, network.build(3).eval())


@pytest.mark.slow
@settings(max_examples=60)
@given(networks(), st.sampled_from(sorted(FORMATS)))
def test_many_networks_of_any_blocks_are_verified(network: Architecture, kind: str) -> None:
    assert_verified(network, kind, network.build(4).eval())


@pytest.mark.sweep
def test_every_head_is_verified(
    headed: Architecture, kind: str, trained: Callable[..., nn.Module]
) -> None:
    assert_verified(headed, kind, trained(headed))
