"""A change in the words of a space is the network that the space decodes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from palmette.space import ZOO, Architecture, InputError, SearchSpace, load, presets
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


@pytest.mark.parametrize("name", presets())
def test_each_gene_of_a_space_changes_to_what_the_space_decodes(name: str) -> None:
    space = SearchSpace.preset(name)
    code = space.sample(1, np.random.default_rng(3))[0]
    own = space.decode(code)
    # what a network alone does not tell: which stages keep the width before them, and where the
    # first 1x1 of a head would stand
    hidden = {g.section for g in space.genes if g.key == "channels" and _is_kept(space, g.section)}
    hidden |= {"head"} if own.head == replace(own.head, channels=0, act="none") else set()
    for index, gene in enumerate(space.genes):
        for number, choice in enumerate(gene.choices):
            other = code.copy()
            other[index] = number
            text = f"{gene.name}={choice}"
            assert edit(own, text, space).network == space.decode(other), text
            if gene.key != "channels" or gene.section not in hidden:
                assert edit(own, text).network == space.decode(other), text


def _is_kept(space: SearchSpace, section: str) -> bool:
    """Whether the stage behind has no width of its own."""
    names = list(space.sections)
    behind = names[names.index(section) + 1 :][:1]
    return bool(behind) and behind != ["head"] and "channels" not in space.sections[behind[0]]


def test_a_choice_that_a_space_names_but_does_not_have_is_made_as_its_own_are() -> None:
    space = SearchSpace.preset("repvit_like")
    own = space.decode(np.zeros(len(space.genes), dtype=np.int64))
    # the width of stage 4 is kept by 5 and 6; the gate of 5 is a ratio, rounded as RepViT's are
    found = edits(own, "stage4.channels=104, stage5.se=0.5, stage5.depth=9", space)[-1].network
    assert [[block.out_channels for block in stage] for stage in found.stages[3:6]] == [
        [104],
        [104] * 9,
        [104],
    ]
    first: Any = found.stages[4][0]
    assert first.se == 56  # 0.5 of 104 is 52, and 8 times 6.5 is 56
    with pytest.raises(
        InputError, match=r"^change 'stage5.kernel=4': space 'repvit_like': \[stage5"
    ):
        edit(own, "stage5.kernel=4", space)


def test_a_change_without_a_word_in_the_space_leaves_it() -> None:
    space = SearchSpace.preset("mobilenet_v4")
    own = space.decode(np.zeros(len(space.genes), dtype=np.int64))
    in_it = edit(own, "stage3.channels=96", space).network
    assert in_it.stages[3][0].out_channels == 96
    left = edits(own, "stage4.block1.kernel=5, stage3.channels=96", space)[-1].network
    assert left.stages[3][0].out_channels == 80
    with pytest.raises(InputError, match="is not in space 'mobilenet_v4'"):
        edit(load("mobilenet_v2"), "stage3.channels=96", space)


GATED = "ir_r1_k3_s2_e4_c16_relu_se0.25_inhswish_gatehsigmoid"


@pytest.mark.parametrize(
    ("text", "was", "now"),
    [
        # the first 1x1 goes with the expansion, and comes back
        ("stage3.expansion=1", "ir_r1_k3_s1_e2_c16_relu", "ds_r1_k3_s1_c16_relu"),
        ("stage1.expansion=3", "ds_r1_k3_s1_c8_relu", "ir_r1_k3_s1_e3_c8_relu"),
        # a gate has the words of the network's others, and none once it is gone
        ("stage2.se=0", GATED, "ir_r1_k3_s2_e4_c16_relu"),
        (
            "stage3.se=0.25",
            "e2_c16_relu",
            "e2_c16_relu_se0.25_inhswish_gatehsigmoid",
        ),
        ("stage2.se=0.5", "se0.25", "se0.5"),
        ("head.channels=0", "head_c32_relu", "head"),
        # neither a 1x1 convolution becomes a 3x3, nor a block without an expansion one with
        ("network.kernel=5", "k3_s", "k5_s"),
        ("network.expansion=3", "e4|e2", "e3"),
    ],
)
def test_a_block_becomes_what_a_space_would_make_of_it(text: str, was: str, now: str) -> None:
    base = SMALL.replace(
        "ir_r2_k3_s2_e4_c16_relu",
        f"{GATED} | ir_r1_k3_s1_e2_c16_relu | cn_r1_k1_s1_c24_relu",
    )
    # the stem has no key `kernel`
    stem, rest = base.split(" | ", 1)
    assert changed(text, base) == f"{stem} | {re.sub(was, now, rest)}"


def test_a_head_gets_its_first_convolution_with_the_activation_of_the_stem() -> None:
    assert changed("head.channels=32", SMALL.replace("head_c32_relu", "head")) == SMALL


def test_windows_of_a_mix_are_text() -> None:
    base = SMALL.replace("ir_r2_k3", "mix_r2_k3")
    assert changed("stage2.kernel=3.5", base) == base.replace("mix_r2_k3", "mix_r2_k3.5")
    found = edit(Architecture.from_text(changed("stage2.kernel=3.5", base)), "stage2.kernel=7")
    assert (found.goes, found.comes) == ((("mix", "3.5"),), 7)


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
    assert (found.key, found.goes, found.comes) == ("kernel", (("ir", 3),), 5)
    found = edit(network, "network.resolution=96")
    assert (found.goes, found.comes) == ((("", 64),), 96)
    assert edit(network, "stage2.depth=4").goes == (("", 2),)
    # ratios are those of a space, whatever the count they came to
    assert edit(network, "stage2.expansion=3").goes == (("ir", 4),)
    # blocks that stay as they are ask for nothing
    mixed = Architecture.from_text(SMALL.replace("ir_r2_k3", "er_r1_k3_s2_e4_c16_relu ir_r1_k5", 1))
    assert edit(mixed, "stage2.kernel=3").goes == (("ir", 5),)
    assert edit(network, "stage2.kernel=3").goes == ()


@pytest.mark.parametrize("name", ["mobilenet_v2", "mnasnet"])
def test_a_change_in_a_space_tells_it_too(name: str) -> None:
    space = SearchSpace.preset(name)
    own = space.decode(np.zeros(len(space.genes), dtype=np.int64))
    assert edit(own, "stage2.kernel=5", space).goes == (("ir", 3),)
    assert edit(own, "stage2.kernel=3", space).goes == ()
    assert edit(own, "network.se=0.25", space).goes == (("ir", 0),)
    assert edit(own, "network.activation=hswish", space).goes == (("", own.stem.act),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernel 5", "expected 'part.key=value', such as"),
        ("stage9.kernel=5", "the network has 2 stages"),
        ("stage2.block3.kernel=5", "stage 2 has 2 blocks"),
        ("stage2.kernel=4", "kernel must be an odd integer"),
        ("stage2.colour=5", "nothing there has 'colour'; there are activation, channels, kernel"),
        ("stem.expansion=3", "nothing there has 'expansion'"),
        ("stage2.block1.depth=3", "depth is of a whole stage: give stage2.depth"),
        ("stage2.kernel=5,", "a comma with nothing beside it; expected 'part.key=value'"),
        ("network.width=inf", "factors must be positive"),
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
