"""An explanation adds up, names what is at risk, and predicts what its replacement would save."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from palmette.cli import main
from palmette.export.exportability import exportability
from palmette.latency import load_predictor
from palmette.search.explain import Explanation, explain, replacement
from palmette.space import Architecture, InputError, Op, load

OLD, NEW = "iphone-11/ane", "iphone-13/ane"


@pytest.fixture(scope="module")
def small() -> Explanation:
    return explain(load("mobilenet_v3_small"), load_predictor(OLD))


def test_parts_and_ops_add_up_to_the_same_and_stay_below_the_whole(small: Explanation) -> None:
    assert sum(ms for _, ms in small.parts()) == pytest.approx(sum(small.op_ms))
    assert 0 < sum(small.op_ms) <= small.ms * (1 + 1e-9)
    stages = [f"stage {number}" for number in range(1, 7)]
    assert [name for name, _ in small.parts()] == ["stem", *stages, "head"]
    assert small.ms == pytest.approx(load_predictor(OLD).predict(["mobilenet_v3_small"])[0])


def test_the_dearest_ops_come_first(small: Explanation) -> None:
    costs = [ms for _, _, ms in small.costliest(5)]
    assert costs == sorted(small.op_ms, reverse=True)[:5]


def test_leaving_the_gates_out_saves_what_the_network_without_them_is_predicted_less(
    small: Explanation,
) -> None:
    (gates,) = (a for a in small.advice if a.finding.rule.name == "scale-by-channel")
    whole = load("mobilenet_v3_small")
    plain = replace(
        whole,
        stages=tuple(tuple(_ungated(block) for block in stage) for stage in whole.stages),
    )
    assert gates.saved_ms == pytest.approx(
        small.ms - load_predictor(OLD).predict([plain])[0], rel=1e-9
    )
    assert gates.shown and len(gates.finding.ops) == 9
    (hswish,) = (a for a in small.advice if a.finding.rule.name == "h-swish")
    assert hswish.saved_ms is not None and not hswish.shown


def _ungated(block: object) -> object:
    return replace(block, se=0) if getattr(block, "se", 0) else block  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("text", "rule", "after"),
    [
        ("cn_r1_k1_s1_c12_relu", "channels-uneven", "cn_r1_k1_s1_c16_relu"),
        ("ir_r1_k9_s1_e2_c8_relu", "window-large", "ir_r1_k7_s1_e2_c8_relu"),
        ("cn_r1_k3_s1_c8_relu_d6", "dilation-large", "cn_r1_k3_s1_c8_relu_d3"),
        ("ds_r1_k3_s1_c8_hswish", "h-swish", "ds_r1_k3_s1_c8_relu"),
    ],
)
def test_a_replacement_changes_the_blocks_where_the_rule_holds(
    text: str, rule: str, after: str
) -> None:
    frame = "32x32 stem_k3_s2_c8_relu | {} | ds_r1_k3_s1_c8_relu | head_n10"
    before = Architecture.from_text(frame.format(text))
    target = load_predictor(NEW).model_.target
    report = exportability(before, target)
    (finding,) = (f for f in report.findings if f.rule.name == rule)
    assert replacement(before, report, finding) == Architecture.from_text(frame.format(after))


def test_a_rule_without_a_swap_and_a_change_that_makes_no_network_save_nothing() -> None:
    target = load_predictor(NEW).model_.target
    grouped = Architecture.from_text(
        "32x32 stem_k3_s2_c9_relu | cn_r1_k1_s1_c12_relu_g3 | head_n10"
    )  # 16 channels can't be in three groups
    report = exportability(grouped, target)
    (uneven,) = (f for f in report.findings if f.rule.name == "channels-uneven")
    assert replacement(grouped, report, uneven) is None
    shuffled = load("shufflenet_v2_1.0")
    report = exportability(shuffled, target)
    (permute,) = (f for f in report.findings if f.rule.name == "permute")
    assert replacement(shuffled, report, permute) is None


OWN = """
from torch import nn

def factory():
    conv = lambda i, o: (nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.Hardswish())
    return nn.Sequential(*conv(3, 8), *conv(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_a_module_of_ones_own_is_explained_by_its_submodules() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 3))
    found = explain(module, load_predictor(NEW), resolution=(32, 32))
    assert [name for name, _ in found.parts()] == ["0", "2"]
    (hswish,) = (a for a in found.advice if a.finding.rule.name == "h-swish")
    first, last = (one.op for one in found.report.ops)
    ops = (replace(first, act="relu"), last)
    assert hswish.saved_ms == pytest.approx(found.ms - load_predictor(NEW).predict([ops])[0])
    assert all(not part.training for part in module.eval().modules())


def test_ops_alone_are_explained_but_not_converted() -> None:
    ops = (Op.from_text("conv 3x32x32 -> 8x16x16 k3 s2 hswish"),)
    assert explain(ops, load_predictor(NEW)).parts()[0][0] == "-"
    with pytest.raises(InputError, match="^convert: ops alone"):
        explain(ops, load_predictor(NEW), convert=True)


def run_cli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["palmette", "explain", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_explains_a_module_in_json_and_converts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    words = (f"{tmp_path / 'own.py'}:factory", "--target", OLD)
    # a module comes in training mode, as torch makes it
    assert run_cli(monkeypatch, *words, "--convert", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["converts"] is True
    assert found["findings"][0]["rule"] == "h-swish"
    assert found["findings"][0]["saved_ms"] >= 0 and found["ops"][0]["place"] == "0"
    assert sum(part["ms"] for part in found["parts"]) <= found["ms"] * (1 + 1e-9)


def test_the_command_prints_parts_rules_and_savings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "mobilenet_v3_small", "--target", OLD) == 0
    out = capsys.readouterr().out
    for words in ("ms predicted", "stage 6", "scale-by-channel: multiplies", "converts to 'neura"):
        assert words in out
    assert run_cli(monkeypatch, "mobilenet_v2", "--target", "iphone-11/gpu") == 0
    assert "no rule of thumb speaks against an op on the unit 'gpu'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mobilenet_v2",), "give --target, --predictor FILE, or both"),
        (("mobilenet_v2", "--target", NEW, "--resolution", "64"), "--resolution: is for --task"),
        (("nothing.py:factory", "--target", NEW), "no such Python file"),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(monkeypatch, *words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_tracing_leaves_no_hook_behind() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    explain(module, load_predictor(NEW), resolution=(16, 16))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert module(torch.zeros(1, 3, 16, 16)).shape == (1, 8, 14, 14)
