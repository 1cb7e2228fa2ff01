"""What the zoo is made of converts to both formats, and the packages are proven.

The sweeps convert one small network a kind of block to each format: examples from the zoo that
together hold every option of that kind which some network uses. The default suite converts those of
some kinds, the slow suite every network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from palmette.export import FORMATS, ExportOptions, export, verify_weights
from palmette.export.weights import stored_layers
from palmette.space import ZOO, Architecture, Block, ConvBlock, Head, Stem, load
from palmette.space.blocks import TaskHead
from palmette.space.blocks.dice import DimensionWise
from palmette.space.modules.reparameterise import reparameterised

STEM, HEAD = Stem(3, 1, 8, "relu"), Head(classes=4)
IMAGE = (64, 48)

Placed = tuple[int, Block]
"""Channels before a block, and the block."""


def options(in_channels: int, block: Block) -> set[tuple[str, Any]]:
    """What decides which layers a block has: its choices, and whether a count is 0, 1 or more."""
    found: set[tuple[str, Any]] = {("widens", in_channels != block.out_channels)}
    for item in fields(block):
        value = getattr(block, item.name)
        found.add((item.name, min(value, 2) if type(value) is int else value))
    return found


def examples() -> dict[str, list[Placed]]:
    """Blocks of the zoo by kind, the narrowest first, each with an option that is new."""
    parts = {
        (part.in_channels, part.block)
        for name in ZOO
        for part in load(name).parts()
        if not isinstance(part.block, Stem | TaskHead)
    }
    seen: dict[str, set[tuple[str, Any]]] = {}
    chosen: dict[str, list[Placed]] = {}
    for width, block in sorted(parts, key=lambda p: (p[0] * p[1].out_channels, repr(p[1]))):
        known = seen.setdefault(block.kind, set())
        if not options(width, block) <= known:
            known |= options(width, block)
            chosen.setdefault(block.kind, []).append((width, block))
    return chosen


def network_of(blocks: list[Placed]) -> Architecture:
    """The blocks in a row; a 1x1 convolution brings each the channels that it wants."""
    channels, stage = STEM.channels, list[Block]()
    rows, columns = IMAGE
    for width, block in blocks:
        if channels != width:
            stage.append(ConvBlock(1, 1, width, "none"))
        rows, columns = block.out_size(rows), block.out_size(columns)
        if isinstance(block, DimensionWise):  # at its own size: the older format resizes no maps
            block = replace(block, rows=rows, columns=columns)
        stage.append(block)
        channels = block.out_channels
    return Architecture(IMAGE, STEM, (tuple(stage),), HEAD)


EXAMPLES = {kind: network_of(blocks) for kind, blocks in examples().items()}


def assert_proven(
    network: Architecture, module: nn.Module, options: ExportOptions, path: Path
) -> None:
    report = verify_weights(export(network, path, options=options, module=module), module)
    assert report.values == sum(op.weights for op in network.ops())
    assert report.layers == sum(op.kind in ("conv", "linear") for op in network.ops())


def test_the_examples_hold_every_op_and_activation_of_the_zoo() -> None:
    def kinds(network: Architecture) -> set[tuple[str, Any]]:
        return {pair for op in network.ops() for pair in (("op", op.kind), ("act", op.act))}

    held = set[tuple[str, Any]]().union(*map(kinds, EXAMPLES.values()))
    missing = {name: kinds(load(name)) - held for name in ZOO if isinstance(load(name).head, Head)}
    assert not any(missing.values()), missing


OFTEN = {
    "mlprogram": {"ghost", "mix", "one", "rv", "uir"},
    "neuralnetwork": {"cn", "rb", "gs"},
}
"""Kinds that the default suite converts to each format. The two small networks of `conftest.py`,
which other tests convert to both, hold `ds`, `ir` and `er`."""


@pytest.mark.parametrize(
    ("block", "written"),
    [
        pytest.param(
            block,
            written,
            marks=[] if block in OFTEN[written] else [pytest.mark.sweep],
        )
        for written in FORMATS
        for block in EXAMPLES
    ],
)
def test_every_kind_of_block_is_exported_and_proven(
    block: str, written: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    network = EXAMPLES[block]
    assert_proven(network, trained(network), ExportOptions(written), tmp_path / "x")


def test_a_network_whose_name_ends_in_a_number_after_a_dot_keeps_it(
    small: Architecture, kind: str, tmp_path: Path
) -> None:
    path = export(small, tmp_path / "mobilenet_v2_0.5", options=ExportOptions(kind))
    assert path.name == f"mobilenet_v2_0.5{FORMATS[kind].suffix}"
    assert path.exists()


def test_weights_that_round_to_zero_are_stored_as_zero(
    small: Architecture, kind: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    module = trained(small)
    with torch.no_grad():
        module.head.fc.weight.copy_(torch.full((4, 8), 2.0e-8))  # below half of the least, 2**-24
        module.head.fc.weight[0] = -1.0e-9
    path = export(small, tmp_path / "x", options=ExportOptions(kind), module=module)
    assert not stored_layers(path)[-1].weight.any()
    verify_weights(path, module)


def test_units_of_branches_are_stored_as_the_convolution_that_they_merge_into(
    kind: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    network = Architecture.from_text("32x48 stem_k3_s2_c8_relu | one_k3_s1_c8_relu_b2 | head_n4")
    module = trained(network)
    path = export(network, tmp_path / "x", options=ExportOptions(kind), module=module)
    assert len(stored_layers(path)) == 1 + 2 + 1  # stem, depthwise and 1x1, classifier
    # the form that trains and the form that runs are one network
    assert verify_weights(path, module) == verify_weights(path, reparameterised(module))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_every_network_is_exported_and_proven(
    name: str, kind: str, tmp_path: Path, trained: Callable[..., nn.Module]
) -> None:
    network = load(name)
    assert_proven(network, trained(network), ExportOptions(kind), tmp_path / "x")
