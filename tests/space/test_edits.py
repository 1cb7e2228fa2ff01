"""A change in the words of a space is the network that the space would decode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palmette.space import ZOO, Architecture, InputError, SearchSpace, load
from palmette.space.edits import edit, edits
from palmette.space.scaling import scale

SMALL = "64x64 stem_k3_s2_c8_relu | ds_r1_k3_s1_c8_relu | ir_r2_k3_s2_e4_c16_relu | head_c32_relu"


def changed(text: str, base: str = SMALL) -> str:
    return edits(Architecture.from_text(base), text)[-1].network.to_text()


@pytest.mark.parametrize(
    ("text", "was", "now"),
    [
        ("network.resolution=96", "64x64 ", "96x96 "),
        ("network.resolution=64x96", "64x64 ", "64x96 "),
        ("stage2.kernel=5", "ir_r2_k3", "ir_r2_k5"),
        ("stage2.expansion=3", "e4", "e3"),
        ("stage2.depth=4", "ir_r2", "ir_r4"),
        ("stage2.depth=1", "ir_r2", "ir_r1"),
        ("stage2.channels=24", "c16", "c24"),
        ("stage2.se=0.25", "c16_relu", "c16_relu_se0.25"),
        ("head.channels=64", "c32", "c64"),
        ("network.activation=hswish", "relu", "hswish"),
        (
            "stage2.block2.expansion=2",
            "ir_r2_k3_s2_e4_c16_relu",
            "ir_r1_k3_s2_e4_c16_relu ir_r1_k3_s1_e2_c16_relu",
        ),
        (
            " stage1.kernel=5 , stage2.kernel=5",
            "k3_s1_c8_relu | ir_r2_k3",
            "k5_s1_c8_relu | ir_r2_k5",
        ),
    ],
)
def test_changes_worked_by_hand(text: str, was: str, now: str) -> None:
    assert changed(text) == SMALL.replace(was, now)


def test_what_follows_a_changed_width_follows_it() -> None:
    base = SMALL.replace("ds_r1_k3_s1_c8", "ds_r1_k3_s1_c16")
    found = edit(Architecture.from_text(base), "stage1.channels=24").network
    first: Any = found.stages[1][0]
    assert found.stages[0][0].out_channels == 24 and first.expanded == 4 * 24
    assert changed("stem.channels=16") == SMALL.replace("stem_k3_s2_c8", "stem_k3_s2_c16")


def test_a_width_is_that_of_scaling() -> None:
    base = load("mobilenet_v2")
    assert edit(base, "network.width=0.75").network == scale(base, width=0.75)


def test_each_gene_of_a_space_changes_to_what_the_space_decodes() -> None:
    space = SearchSpace.preset("mobilenet_v2")
    code = space.sample(1, np.random.default_rng(3))[0]
    own = space.decode(code)
    for index, gene in enumerate(space.genes):
        for number, choice in enumerate(gene.choices):
            other = code.copy()
            other[index] = number
            got = edit(own, f"{gene.name}={choice}").network
            assert got == space.decode(other), f"{gene.name}={choice}"


@pytest.mark.parametrize("name", sorted(ZOO))
def test_what_is_already_so_changes_nothing(name: str) -> None:
    network = load(name)
    height, width = network.resolution
    assert edit(network, f"network.resolution={height}x{width}").network == network
    assert edit(network, f"stage1.depth={len(network.stages[0])}").network == network
    assert edit(network, "network.width=1").network == network


def test_an_edit_tells_what_goes_what_comes_and_where() -> None:
    network = Architecture.from_text(SMALL)
    found = edit(network, "network.kernel=5")
    assert (found.key, found.choices, found.kinds) == ("kernel", (3, 5), ("ir",))
    assert edit(network, "network.resolution=96").choices == (64, 96)
    assert edit(network, "stage2.depth=4").choices == (2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernel 5", "expected 'part.key=value', such as"),
        ("stage9.kernel=5", "the network has 2 stages"),
        ("stage2.block3.kernel=5", "stage 2 has 2 blocks"),
        ("stage2.kernel=4", "kernel must be an odd integer"),
        ("stage2.colour=5", "nothing there has 'colour'; there are activation, channels, kernel"),
        ("stage1.expansion=3", "nothing there has 'expansion'"),
        ("stage2.resolution=96", "of the whole network"),
        ("network.resolution=0", "resolution must be"),
        ("network.channels=8", "give network.width"),
        ("stage2.block1.channels=8", "a stage has one width: give stage2.channels"),
        ("network.depth=2", "is of a stage"),
        ("stage2.depth=0", "depth must be an integer"),
        ("network.width=wide", "width must be a factor"),
        ("network.activation=sine", "act"),
        ("stage2.channels=wide", "channels"),
    ],
)
def test_a_change_that_cannot_be_says_why(text: str, words: str) -> None:
    with pytest.raises(InputError, match=f"(?s)^change '{text}': .*{words}"):
        changed(text)


def test_blocks_that_change_the_shape_stay() -> None:
    base = SMALL.replace(
        "ir_r2_k3_s2_e4_c16_relu", "ir_r1_k3_s1_e4_c16_relu ir_r1_k3_s2_e4_c16_relu"
    )
    with pytest.raises(InputError, match="first 2 blocks change the shape"):
        changed("stage2.depth=1", base)
