"""What is expected of a network's package, read off its ops, and checked by converting."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from palmette.export.exportability import block_of, converted, exportability, stage_of
from palmette.latency import find_target
from palmette.space import Architecture, Op, load
from palmette.space.tasks import with_task

TINY = (
    "32x32 stem_k3_s2_c8_hswish | ds_r1_k3_s1_c8_relu_se4 | ir_r2_k3_s2_e2_c16_hswish_se8"
    " | head_c32_hswish_n10"
)
OLD, NEW = find_target("iphone-11/ane"), find_target("iphone-13/ane")


def test_gates_are_refused_on_the_neural_engine_of_2020_and_found_where_they_are() -> None:
    report = exportability(Architecture.from_text(TINY), OLD)
    gates = next(f for f in report.findings if f.rule.name == "scale-by-channel")
    assert [stage_of(report.ops[i].place) for i in gates.ops] == ["stage 1", "stage 2", "stage 2"]
    assert [block_of(report.ops[i].place) for i in gates.ops] == [(0, 0), (1, 0), (1, 1)]
    assert report.count("refused") == 3 and report.converts is True
    assert exportability(Architecture.from_text(TINY), NEW).count("refused") == 0


def test_levels_are_those_of_ops_not_of_rules() -> None:
    report = exportability(Architecture.from_text(TINY), OLD)
    total = sum(report.count(level) for level in ("refused", "risk", "slow"))
    assert total == len({index for finding in report.findings for index in finding.ops})


@pytest.mark.parametrize(
    ("place", "stage", "block"),
    [
        ("stem.conv", "stem", (-1, 0)),
        ("stages.2.1.body.0.conv", "stage 3", (2, 1)),
        ("stages.0.blocks.1.conv", "stage 1", (0, 1)),
        ("head.fc", "head", None),
    ],
)
def test_places_name_parts_of_an_architecture(
    place: str, stage: str, block: tuple[int, int] | None
) -> None:
    assert stage_of(place) == stage and block_of(place) == block


def test_a_segmenter_for_ios_13_is_told_of_ios_14() -> None:
    segmenter = with_task(load("mobilenet_v2"), "lraspp", resolution=64)
    report = exportability(segmenter, OLD)
    assert [gap.name for gap, _ in report.gaps] == ["resize-in-neural-network"]
    assert report.converts is True and "iOS 14" in report.gaps[0][0].remedy
    assert exportability(segmenter, NEW).gaps == ()


class Shuffled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.shuffle(self.conv(x))
        return y


def test_a_module_that_does_not_convert_is_known_without_converting_and_by_it() -> None:
    module = Shuffled().eval()
    report = exportability(module, NEW, resolution=(16, 16))
    assert report.converts is False and report.gaps[0][0].name == "channel-shuffle-module"
    tried = converted(report, module, (16, 16))
    assert tried.converts is False and "channel_shuffle" in tried.conversion
    assert "view, transpose, reshape" in tried.conversion


class Sines(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def test_an_op_without_a_name_is_no_promise_until_it_is_converted() -> None:
    module = Sines().eval()
    report = exportability(module, NEW, resolution=(16, 16))
    assert report.converts is None and report.count("risk") == 1
    assert converted(report, module, (16, 16)).converts is True


def test_ops_alone_have_no_places_and_the_report_is_plain_values() -> None:
    ops = (Op.from_text("mul 8x4x4 + 8x1x1 -> 8x4x4"),)
    found = exportability(ops, OLD).to_dict()
    assert json.loads(json.dumps(found)) == found
    assert found["kind"] == "neuralnetwork" and found["ops_by_level"]["refused"] == 1
    assert found["findings"][0]["ops"] == [{"op": ops[0].to_text(), "place": ""}]


def test_a_runtime_that_is_not_core_ml_is_asked_no_rule() -> None:
    report = exportability(Architecture.from_text(TINY), find_target("iphone-xs/gpu@tflite-2.10"))
    assert report.findings == () and report.kind == "mlprogram" and report.era.ios == 0
