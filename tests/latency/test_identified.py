"""What a choice of a space asks of a target, and that its blocks ask for all they need."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from palmette.latency import LatencyPredictor
from palmette.latency.effects import OP_SORTS, Support
from palmette.latency.identified import NEEDS, unknown
from palmette.space import Op, OpTable, SearchSpace
from palmette.space.choices import Choice
from palmette.space.modules import build_part
from palmette.space.modules.reparameterise import reparameterise
from palmette.space.stage_blocks import KINDS
from palmette.space.trace import trace_ops

SPACE = SearchSpace.from_toml(
    """
format = "palmette/space@1"
[network]
resolution = [160, 224, "224x256", "160x256", "224x320"]
activation = ["relu", "gelu"]
se = [0.0, 0.25]
[stem]
channels = [8, 16]
[head]
channels = 64
[[stages]]
block = ["ir", "er", "ghost"]
stride = 2
channels = 24
kernel = [3, 5]
expansion = [3, 6]
depth = [1, 2]
[[stages]]
block = ["ir", "mix", "uir"]
stride = 2
channels = 24
kernel = [1, 3, 5]
expansion = [3, 6]
depth = [1, 2]
activation = ["none", "relu"]
[[stages]]
block = "mix"
stride = 2
channels = 24
kernel = [3, "3.5", "3.7"]
expansion = 3
depth = 1
[[stages]]
block = "uir"
stride = 1
channels = 24
kernel = [0, 3]
first_kernel = [0, 5, 7]
expansion = 3
depth = 1
[[stages]]
block = "cn"
stride = 1
channels = 24
kernel = [1, 3, 5]
groups = [1, 2]
depth = 1
""",
    "asking",
)
KNOWN = Support((3, 5), ("relu",), True, (200, 300), ("slice", "dense3"))
ASKED = [
    ("network", "resolution", 160, True),
    ("network", "resolution", 224, False),
    ("network", "resolution", "224x256", False),
    ("network", "resolution", "160x256", True),  # its area is that of 202 px
    ("network", "resolution", "224x320", True),
    ("network", "activation", "gelu", True),
    ("network", "se", 0.25, False),
    ("stem", "channels", 16, False),
    ("stage1", "block", "ir", False),
    ("stage1", "block", "ghost", True),  # no concatenation was timed
    ("stage1", "kernel", 3, False),
    ("stage1", "kernel", 5, True),  # of the fused block: dense
    ("stage1", "expansion", 6, False),
    ("stage1", "depth", 2, False),
    ("stage2", "block", "mix", True),
    ("stage2", "block", "uir", False),
    ("stage2", "kernel", 1, False),
    ("stage2", "kernel", 5, False),
    ("stage2", "activation", "none", False),
    ("stage2", "activation", "relu", False),
    ("stage3", "kernel", "3.5", False),
    ("stage3", "kernel", "3.7", True),
    ("stage4", "kernel", 0, False),
    ("stage4", "first_kernel", 5, False),
    ("stage4", "first_kernel", 7, True),
    ("stage5", "kernel", 1, False),
    ("stage5", "kernel", 3, False),
    ("stage5", "kernel", 5, True),
    ("stage5", "groups", 1, False),
    ("stage5", "groups", 2, True),
]


@pytest.mark.parametrize(("section", "key", "choice", "wanted"), ASKED)
def test_a_choice_is_unknown_if_the_timings_lack_what_it_asks_for(
    section: str, key: str, choice: Choice, wanted: bool
) -> None:
    assert choice in SPACE.sections[section][key]
    assert unknown(SPACE, KNOWN, section, key, choice) is wanted


def test_a_block_that_was_barred_asks_nothing_of_the_other_keys() -> None:
    without = SPACE.restrict("stage1.block", ["ir", "ghost"])
    assert not unknown(without, KNOWN, "stage1", "kernel", 5)


def test_nothing_is_unknown_where_everything_was_timed() -> None:
    every = Support((3, 5, 7), ("relu", "gelu"), True, (32, 999), tuple(OP_SORTS))
    for gene in SPACE.genes:
        for choice in gene.choices:
            assert not unknown(SPACE, every, gene.section, gene.key, choice), gene.name


VALUES: Mapping[str, Choice] = {
    "kernel": 3,
    "first_kernel": 3,
    "expansion": 2,
    "se": 0.5,
    "groups": 1,
    "branches": 2,
    "channels": 16,
    "activation": "relu",
    "se_act": "relu",
    "gate": "sigmoid",
}
ALWAYS_TIMED = {"conv", "add", "mul", "mean"}


def traced(kind: str, in_channels: int, stride: int, **values: Choice) -> list[Op]:
    block = KINDS[kind].make({**VALUES, **values}.__getitem__, stride, in_channels)
    module = reparameterise(build_part(block, in_channels).eval())
    return list(trace_ops(module, (in_channels, 8, 8)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("in_channels", "stride"), [(8, 2), (8, 1), (16, 1)])
def test_a_kind_shows_all_the_ops_that_its_blocks_trace_to(
    kind: str, in_channels: int, stride: int
) -> None:
    kernel: Choice = "3.5" if kind == "mix" else 3
    ops = traced(kind, in_channels, stride, kernel=kernel)
    table = OpTable.of(ops)
    found = {name for name, mask in OP_SORTS.items() if mask(table).any()}
    assert found == {*KINDS[kind].shows, *(["dense3"] if KINDS[kind].dense else [])}
    assert {op.kind for op in ops} <= {*ALWAYS_TIMED, *KINDS[kind].shows}


@pytest.mark.parametrize("kind", [kind for kind, row in KINDS.items() if "groups" in row.keys])
def test_groups_are_asked_for_by_what_they_trace_to(kind: str) -> None:
    table = OpTable.of(traced(kind, 8, 2, groups=2))
    assert OP_SORTS["grouped"](table).any()
    assert NEEDS["groups"](2, [kind]) == ("op:grouped",)


def test_what_a_target_knows_beyond_depthwise_and_1x1_is_what_two_designs_show(
    every_shipped: dict[str, LatencyPredictor],
) -> None:
    known = {name: predictor.support_.ops for name, predictor in every_shipped.items()}
    assert known["iphone-13/ane@coreml-ios16"] == ("concat", "slice", "dense3")
    assert known["iphone-12/ane@coreml-ios16"] == ("dense3",)
    assert "grouped" in known["iphone-11/cpu@coreml-ios13"]
    assert not any("dense5" in ops for ops in known.values())


def test_what_docs_search_says_of_targets_that_lack_ops_of_blocks(
    every_shipped: dict[str, LatencyPredictor],
) -> None:
    lacks = {
        kind: {
            name
            for name, predictor in every_shipped.items()
            if not all(predictor.support_.has(need) for need in NEEDS["block"](kind, ()))
        }
        for kind in KINDS
    }
    old = re.compile(r"iphone-(xs|11|12)/ane|iphone-x/|.*@tflite")
    assert {kind: targets for kind, targets in lacks.items() if targets} == {
        "ghost": {"iphone-12/ane@coreml-ios16"},
        "mix": {name for name in every_shipped if old.match(name)},
    }
