"""Every row is the sum of the rows under it, and the root is the prediction."""

from __future__ import annotations

import io
import json
import math

import pytest
from rich.console import Console
from torch import nn

from palmette.cli import cost_rows, main
from palmette.export.exportability import exportability
from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.latency.whole.model import TargetModel
from palmette.search.cost_tree import CROSSINGS, FIXED, CostNode, cost_tree
from palmette.search.explain import explain
from palmette.space import MOBILENET_LIKE, ZOO, Op, load

NEW, OLD = "iphone-13/ane", "iphone-11/ane"


@pytest.fixture(scope="module")
def predictors() -> list[LatencyPredictor]:
    return [load_predictor(name) for name in TARGETS]


def check_sums(tree: CostNode, whole_ms: float) -> None:
    assert tree.ms == pytest.approx(whole_ms, abs=1e-9)
    for _, node in tree.walk():
        if node.children:
            assert math.fsum(c.ms for c in node.children) == pytest.approx(node.ms, abs=1e-9)
    names = {node.name for node in tree.children}
    assert {CROSSINGS, FIXED} <= names


def check_network(name: str, predictors: list[LatencyPredictor]) -> None:
    network = load(name)
    for predictor in predictors:
        report = exportability(network.ops(), predictor.model_.target)
        ms = predictor.breakdown(network)["ms"].tolist()
        whole = float(predictor.predict([network])[0])
        tree = cost_tree(network, report, ms, whole, predictor.state_of(network))
        check_sums(tree, whole)
        fixed = next(node.ms for node in tree.children if node.name == FIXED)
        assert -1e-9 <= fixed < whole
        leaves = [node.ms for _, node in tree.walk() if node.level == "op"]
        assert len(leaves) == len(network.ops())
        assert math.fsum(leaves) + fixed == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("name", MOBILENET_LIKE)
def test_rows_add_up_on_every_target(name: str, predictors: list[LatencyPredictor]) -> None:
    check_network(name, predictors)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(ZOO) - set(MOBILENET_LIKE)))
def test_rows_of_the_rest_of_the_zoo_add_up_on_every_target(
    name: str, predictors: list[LatencyPredictor]
) -> None:
    check_network(name, predictors)


def test_the_fixed_cost_of_one_form_is_its_constant() -> None:
    predictor = load_predictor(NEW)
    model = predictor.model_
    assert isinstance(model, TargetModel)
    (component,) = model.states[-1].components
    tree = explain(load("mobilenet_v2"), predictor).tree
    fixed = next(node for node in tree.children if node.level == "fixed")
    assert fixed.ms == pytest.approx(model.states[-1].scale * component.constant_ms, rel=1e-9)


def test_an_architecture_is_stages_of_blocks_with_their_notation_and_ops() -> None:
    tree = explain(load("mobilenet_v2"), load_predictor(NEW)).tree
    stages = [f"stage {number}" for number in range(1, 8)]
    assert [c.name for c in tree.children] == ["stem", *stages, "head", CROSSINGS, FIXED]
    second = tree.children[2]
    assert [c.name for c in second.children] == ["block 1", "block 2"]
    assert second.children[1].text == "ir_k3_s1_e6_c24_relu6"
    assert [op.name for op in second.children[1].children] == ["conv", "conv", "conv", "add"]
    assert second.children[1].ms == pytest.approx(
        sum(op.ms for op in second.children[1].children), abs=1e-12
    )


def test_a_module_is_its_children_and_theirs_and_ops_alone_are_rows() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))
    tree = explain(module, load_predictor(NEW), resolution=(32, 32)).tree
    assert [c.name for c in tree.children] == ["0", "1", CROSSINGS, FIXED]
    assert [c.name for c in tree.children[1].children] == ["1.0"]
    ops = (Op.from_text("conv 3x32x32 -> 8x16x16 k3 s2 relu"),)
    alone = explain(ops, load_predictor(NEW)).tree
    assert [c.level for c in alone.children] == ["op", "crossings", "fixed"]


def test_changes_of_unit_are_counted_by_the_rules_and_priced_as_a_whole() -> None:
    gated = explain(load("mobilenet_v3_small"), load_predictor(OLD)).tree
    (row,) = (node for node in gated.children if node.level == "crossings")
    assert row.ms == 0
    assert row.text.startswith("18 by the rules of the unit 'ane' (9 ops refused); priced as a who")
    plain = explain(load("mobilenet_v2"), load_predictor(OLD)).tree
    (row,) = (node for node in plain.children if node.level == "crossings")
    assert row.text == "none known of the unit 'ane'"


def flat(count: int) -> CostNode:
    ops = [CostNode(str(i), "op", float(i)) for i in range(count)]
    rows = (*ops, CostNode(CROSSINGS, "crossings", 0.0), CostNode(FIXED, "fixed", 1.0))
    return CostNode("network", "network", sum(range(count)) + 1.0, "", rows)


def test_folding_keeps_the_dearest_in_their_order_and_the_sum() -> None:
    folded = flat(10).folded(6)
    assert [c.name for c in folded.children] == ["7", "8", "9", "7 others", CROSSINGS, FIXED]
    check_sums(folded, flat(10).ms)
    assert flat(4).folded(6) == flat(4)


def test_rows_that_round_to_nothing_and_changes_of_unit_can_be_left_out() -> None:
    tree = explain(load("mobilenet_v3_small"), load_predictor(NEW)).tree
    shown = tree.without(0.00005)
    rows = [node for _, node in shown.walk()]
    assert all(node.ms >= 0.00005 and node.level != "crossings" for node in rows)
    left = [n for _, n in tree.walk() if n.ms >= 0.00005]
    assert [node.name for node in rows] == [node.name for node in left]
    assert any(node.level == "op" and node.ms < 0.00005 for _, node in tree.walk())
    assert {n.level for _, n in tree.without(0.0).walk()} == {n.level for _, n in tree.walk()} - {
        "crossings"
    }


def test_cutting_leaves_the_levels_that_were_asked_for() -> None:
    tree = explain(load("mobilenet_v2"), load_predictor(NEW)).tree
    for depth in (1, 2, 3):
        assert max(at for at, _ in tree.cut(depth).walk()) == depth
        assert tree.cut(depth).ms == tree.ms
    assert tree.cut(3) == tree


@pytest.mark.parametrize(
    ("share", "drawn", "ascii_drawn"),
    [(0.0, "", ""), (1.0, "█" * 16, "#" * 16), (0.5, "█" * 8, "#" * 8), (2.0, "█" * 16, "#" * 16)],
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str, ascii_drawn: str) -> None:
    assert cost_rows.bar(share) == drawn
    assert cost_rows.bar(share, ascii_only=True) == ascii_drawn


def test_a_terminal_gets_guides_and_bars_and_a_pipe_plain_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = explain(load("mobilenet_v2"), load_predictor(NEW)).tree.cut(2)
    cost_rows.print_costs(tree)
    plain = capsys.readouterr().out
    assert "\x1b" not in plain and "█" not in plain
    rows = plain.splitlines()
    assert rows[1].startswith("  stem") and rows[3].startswith("  stage 1")
    assert all(" ms " in row and "%" in row for row in rows)
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    cost_rows.print_costs(tree)
    drawn = shown.getvalue()
    assert "├── " in drawn and "█" in drawn and "\x1b" in drawn
    # figures stand under each other, whatever the depth
    text = Console(file=io.StringIO(), width=100)
    with text.capture() as capture:
        text.print(cost_rows._rich(tree, text))
    assert len({row.index(" ms ") for row in capture.get().splitlines()}) == 1


def test_json_has_the_same_tree_and_depth_cuts_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*words: str) -> str:
        line = ["palmette", "explain", "mobilenet_v2", "--target", NEW, *words]
        monkeypatch.setattr("sys.argv", line)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    whole = explain(load("mobilenet_v2"), load_predictor(NEW)).tree
    assert json.loads(ask("--json"))["tree"] == whole.to_dict()
    assert json.loads(ask("--json", "--depth", "1"))["tree"] == whole.cut(1).to_dict()
    assert "    block 1" in ask() and "    block 1" not in ask("--depth", "1")
    assert "17 others" not in ask("--depth", "3", "--all")
