"""Every network of the zoo, and every task, through every invariant; rows are swept by themselves.

Images are small: what holds for shapes and counts holds at any size. One of them is not square, and
its width becomes odd on the way down (100, 50, 25, 13, 7), so that rounding shows.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from palmette.latency import TARGETS, load_predictor
from palmette.space import BLOCKS, ZOO, Architecture, Block, Head, InputError, Op, load
from palmette.space.anchors import anchors_of
from palmette.space.blocks.detection import Detector
from palmette.space.blocks.taps import FeatureTaps
from palmette.space.tasks import TASKS, with_task

SQUARE, OBLONG = (64, 64), (64, 100)
LARGER = {SQUARE: (257, 257), OBLONG: (264, 300)}
"""What detectors take instead: their further maps halve an image of 257 px to one value."""
PARAMS_WITHIN, MACS_WITHIN = 0.02, 0.03
"""Shares of the published counts beyond which a row must say why."""


@dataclass(frozen=True)
class Built:
    """A network of the zoo with weights, in evaluation mode."""

    name: str
    architecture: Architecture
    module: nn.Module


BACKBONE = "mobilenet_v4_conv_small"
SWEPT = {name: ZOO[name].text for name in ZOO}
SWEPT |= {f"{BACKBONE}+{task}": with_task(load(BACKBONE), task).to_text() for task in TASKS}
del SWEPT[f"{BACKBONE}+classifier"]
"""Texts by name: the zoo, and each task's head on a backbone that no row of the zoo has it on."""


@pytest.fixture(scope="module", params=SWEPT)
def built(request: pytest.FixtureRequest) -> Built:
    """Each network once, its tests one after another: only one is in memory."""
    architecture = Architecture.from_text(SWEPT[request.param])
    return Built(request.param, architecture, architecture.build().eval())


def fitting(network: Architecture, size: tuple[int, int]) -> Architecture:
    """The network on images of a size, or of a larger one if it needs that."""
    return network.with_resolution(*(LARGER[size] if network.head.least_size > 1 else size))


def tensors(result: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (result,) if isinstance(result, torch.Tensor) else result


def promised(network: Architecture) -> list[tuple[int, ...]]:
    """Shapes of a head's outputs for one image."""
    head = network.head
    if isinstance(head, Head):
        last = network.stages[-1][-1].out_channels
        return [(1, head.classes or head.channels or last)]
    if isinstance(head, Detector):
        count = len(anchors_of(network))
        return [(1, count, head.classes), (1, count, 4)]
    if isinstance(head, FeatureTaps):
        stages = zip(network.tapped(), network.tapped_sizes(), strict=True)
        return [(1, network.stages[at][-1].out_channels, *size) for at, size in stages]
    return [(1, head.classes, *network.resolution)]


def images(count: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))


# What it is


@pytest.mark.parametrize("name", SWEPT)
def test_text_json_and_id_say_the_same(name: str) -> None:
    network = Architecture.from_text(SWEPT[name])
    assert Architecture.from_text(network.to_text()) == network
    assert Architecture.from_json(network.to_json()) == network
    assert Architecture.from_text(network.to_text()).id == network.id
    assert re.fullmatch("[0-9a-f]{12}", network.id)


def test_no_network_is_in_the_zoo_twice() -> None:
    assert len({load(name).id for name in ZOO}) == len(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_counts_are_the_published_ones_or_the_row_says_why(name: str) -> None:
    row, network = ZOO[name], load(name)
    pairs = [
        (network.params(), row.params_m, PARAMS_WITHIN),
        (network.macs(), row.macs_m, MACS_WITHIN),
    ]
    far = [
        f"{ours / 1e6:.2f} M, published {theirs} M"
        for ours, theirs, within in pairs
        if theirs is not None and abs(ours / 1e6 / theirs - 1) > within
    ]
    assert row.note or not far
    assert row.source


# What is built from it


@pytest.mark.sweep
@pytest.mark.parametrize("size", [SQUARE, OBLONG])
def test_images_of_any_shape_run_through_the_promised_maps_with_the_traced_macs(
    built: Built, size: tuple[int, int]
) -> None:
    network = fitting(built.architecture, size)
    parts = list(network.parts())
    # what leaves a stage is what enters the part after it
    after = [new for old, new in itertools.pairwise(parts) if 0 <= old.stage < new.stage]
    with torch.no_grad():
        maps = built.module.features(images(1, network.resolution))  # type: ignore[operator]
        with FlopCounterMode(display=False) as counter:
            results = tensors(built.module(images(1, network.resolution)))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (part.in_channels, part.height, part.width) for part in after
    ]
    assert [tuple(result.shape) for result in results] == promised(network)
    assert len(results) == len(network.head.outputs)
    assert all(result.isfinite().all() for result in results)
    # traced MACs are half of the operations that torch counts in this run
    assert 2 * network.macs() == counter.get_total_flops()


def without_gradient(module: nn.Module, size: tuple[int, int]) -> set[str]:
    """Parameters that a training step of two images leaves without a gradient."""
    module.train()
    loss = torch.stack([result.square().sum() for result in tensors(module(images(2, size)))])
    loss.sum().backward()
    found = {n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()}
    module.zero_grad()
    module.eval()
    return found


@pytest.mark.sweep
def test_every_parameter_gets_a_gradient(built: Built) -> None:
    size = fitting(built.architecture, SQUARE).resolution
    dead = without_gradient(built.module, size)
    for seed in (1, 2):  # a gate of a few channels may start with all of them below zero
        if dead:
            dead &= without_gradient(built.architecture.build(seed), size)
    assert dead == set()


NORM_FIRST = {"cd", "na", "eesp", "dice"}
"""Blocks with a BatchNorm behind a gather or a concatenation, which no convolution takes in."""


@pytest.mark.parametrize("name", SWEPT)
def test_ops_come_back_from_their_text(name: str) -> None:
    network = Architecture.from_text(SWEPT[name])
    ops = network.ops()
    assert tuple(Op.from_text(op.to_text()) for op in ops) == ops
    kinds = {op.kind for op in ops}
    assert "other" not in kinds
    # every other BatchNorm folds
    assert ("norm" in kinds) == any(part.block.kind in NORM_FIRST for part in network.parts())


@pytest.mark.parametrize("target", TARGETS)
def test_every_network_is_predicted_with_an_interval(target: str) -> None:
    found = load_predictor(target).predict_interval(list(SWEPT.values()))
    for values in (found.lower_ms, found.ms, found.upper_ms):
        assert values.shape == (len(SWEPT),)
        assert np.isfinite(values).all()
    assert (found.lower_ms > 0).all()
    assert (found.lower_ms < found.ms).all()
    assert (found.ms < found.upper_ms).all()


# What is no network: one line that names the block


def refused(text: str) -> str:
    """What is said of a text that is no architecture."""
    with pytest.raises(InputError) as error:
        Architecture.from_text(text)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("name", ZOO)
def test_an_unknown_block_is_named_and_the_known_ones_listed(name: str) -> None:
    before, *rest = ZOO[name].text.split(" | ")
    block, *others = rest[0].split(" ")
    wrong = block.replace(block.partition("_")[0], "zz", 1)
    said = refused(" | ".join([before, " ".join([wrong, *others]), *rest[1:]]))
    assert said.startswith(f"block '{re.sub('_r[0-9]+', '', wrong)}': unknown kind 'zz'; known ")
    assert said.endswith(", ".join(BLOCKS))


PRIME = 7919  # divides no count of channels of any network


def with_groups(network: Architecture, kind: type[Block], groups: int) -> Architecture:
    """The network with these groups in the first block of a kind; the same if it has none."""
    stages = [list(stage) for stage in network.stages]
    for stage in stages:
        for index, block in enumerate(stage):
            if isinstance(block, kind):
                stage[index] = replace(block, groups=groups)  # type: ignore[call-arg]
                return replace(network, stages=tuple(map(tuple, stages)))
    return network


GROUPED = [kind for kind in BLOCKS.values() if "groups" in {item.name for item in fields(kind)}]


@pytest.mark.parametrize("kind", GROUPED, ids=lambda kind: kind.kind)
def test_groups_that_do_not_divide_name_stage_block_and_count(kind: type[Block]) -> None:
    refusals = []
    for name in ZOO:
        try:
            assert with_groups(load(name), kind, PRIME) == load(name)
        except InputError as error:
            refusals.append(str(error))
    assert refusals  # some network has the block
    for said in refusals:
        assert re.fullmatch(
            rf"stage \d+: {kind.kind} block, groups: .*{PRIME} does not divide \d+", said
        )
