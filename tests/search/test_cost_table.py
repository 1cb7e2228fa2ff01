"""Tables and figures of a network's milliseconds add up to what is predicted, on every target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from torch import nn

from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.search import block_cost_figure, block_costs, costs_by_sort, explain, waterfall_figure
from palmette.search.cost_table import sort_of
from palmette.search.cost_tree import LEVELS
from palmette.space import InputError, Op, load
from tests.sweep import sweep

NEW, OLD = "iphone-13/ane", "iphone-11/ane"
FULL = "iphone-13/ane@coreml-ios16"
NETWORKS = sweep(
    ("mobilenet_v3_small", "mobilenet_v2", "shufflenet_v2_1.0"), ["mobilenet_v3_small"]
)


@pytest.fixture(scope="module")
def predictors() -> list[LatencyPredictor]:
    return [load_predictor(name) for name in TARGETS]


@pytest.fixture(scope="module")
def by_block() -> pd.DataFrame:
    return block_costs(load("mobilenet_v2"), [NEW, OLD])


@pytest.mark.parametrize("name", NETWORKS)
def test_columns_add_up_to_the_predictions(name: str, predictors: list[LatencyPredictor]) -> None:
    network = load(name)
    predicted = [predictor.predict([network])[0] for predictor in predictors]
    tables = [block_costs(network, level=level) for level in ("part", "op")]
    for table in (*tables, costs_by_sort(network).drop(columns="ops")):
        assert list(table) == list(TARGETS)
        np.testing.assert_allclose(table.sum(), predicted, rtol=0, atol=1e-9)


def test_rows_are_those_of_the_tree(by_block: pd.DataFrame) -> None:
    tree = explain(load("mobilenet_v2"), load_predictor(NEW)).tree
    assert by_block.index.names == ["part", "block", "notation"]
    stage = tree.children[2]
    rows = by_block[FULL].loc["stage 2"]
    assert rows.tolist() == [block.ms for block in stage.children]
    assert list(rows.index) == [(block.name, block.text) for block in stage.children]
    assert by_block[FULL]["stem", "", "stem_k3_s2_c32_relu6"] == tree.children[0].ms
    assert by_block[FULL]["fixed cost", "", ""] == tree.children[-1].ms


def test_every_level_is_the_same_whole(by_block: pd.DataFrame) -> None:
    network, whole = load("mobilenet_v2"), by_block[FULL].sum()
    counts = {}
    for level in LEVELS:
        table = block_costs(network, [NEW], level=level)
        assert table[FULL].sum() == pytest.approx(whole, abs=1e-9)
        counts[level] = len(table)
    # stem, seven stages, head; 17 blocks in place of the stages; ops; and two rows beside them
    assert counts == {"part": 9 + 2, "block": 19 + 2, "op": len(network.ops()) + 2}


def test_sorts_of_ops_are_counted(by_block: pd.DataFrame) -> None:
    table = costs_by_sort(load("mobilenet_v2"), [NEW])
    ops = {"first 3x3": 1, "depthwise 3x3": 17, "1x1": 34, "add": 10, "mean": 1, "linear": 1}
    assert table["ops"].to_dict() == {**ops, "changes of unit": 0, "fixed cost": 0}
    assert table.loc["fixed cost", FULL] == by_block[FULL]["fixed cost", "", ""]


@pytest.mark.parametrize(
    ("text", "sort"),
    [
        ("conv 24x8x8 -> 24x8x8 k5 g24", "depthwise 5x5"),
        ("conv 24x8x8 -> 24x8x8 k1 g2", "grouped"),
        ("conv 24x8x8 -> 48x8x8 k3", "dense 3x3"),
        ("conv 24x1x1 -> 8x1x1", "1x1 on one pixel"),
        ("add 24x8x8+24x8x8 -> 24x8x8", "add"),
    ],
)
def test_an_op_is_of_one_sort(text: str, sort: str) -> None:
    assert sort_of(Op.from_text(text)) == sort


def test_modules_and_ops_alone_have_tables_too() -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU()))
    table = block_costs(module, [NEW], resolution=(32, 32))
    assert list(table.index.get_level_values("block")) == ["", "1.0", "", ""]
    ops = (Op.from_text("conv 3x32x32 -> 8x16x16 k3 s2 relu"),)
    predicted = load_predictor(NEW).predict([ops])[0]
    assert block_costs(ops, [NEW])[FULL].sum() == pytest.approx(predicted, abs=1e-9)


def test_names_stand_under_the_level_that_they_are_of() -> None:
    table = block_costs("mobilenet_v2", [NEW], level="op")
    ops = load("mobilenet_v2").ops()
    assert table.index[0] == ("stem", "", "conv", ops[0].to_text())
    assert table.index[1][:3] == ("stage 1", "block 1", "conv")
    assert table.index[-1] == ("fixed cost", "", "", "")
    sums = table.groupby(level="op")[FULL].sum()
    # what is no op is a row by itself
    assert sums[""] == table[FULL].iloc[-2:].sum()
    assert set(sums.index) == {"", *(op.kind for op in ops)}
    assert block_costs(ops[:2], [NEW], level="op").index[0][:3] == ("", "", "conv")
    assert block_costs(ops[:2], [NEW], level="block").index[0][:2] == ("conv", "")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InputError, match="level: must be one of part, block, op, got 'layer'"):
        block_costs(load("mobilenet_v2"), [NEW], level="layer")
    with pytest.raises(InputError, match="level: must be"):
        waterfall_figure(load("mobilenet_v2"), NEW, level="layer")


@pytest.mark.parametrize("level", LEVELS)
def test_a_waterfall_falls_to_the_prediction(level: str) -> None:
    network = load("mobilenet_v3_small")
    figure = waterfall_figure(network, NEW, level=level)
    (bars,) = figure.data
    assert bars.measure == ("absolute", *["relative"] * (len(bars.x) - 2), "total")
    assert sum(bars.x[:-1]) == pytest.approx(load_predictor(NEW).predict([network])[0], abs=1e-9)
    assert sum(bars.x[:-1]) == pytest.approx(bars.x[-1], abs=1e-9)
    table = block_costs(network, [NEW], level=level)[FULL]
    assert bars.x[0] == table.iloc[-1]  # the fixed cost comes first
    assert list(bars.x[1:-1]) == table.iloc[:-2].tolist()
    labels = figure.layout.yaxis.ticktext
    assert labels[0] == "fixed cost" and labels[-1] == "whole network"
    assert labels[1] == ("stem conv" if level == "op" else "stem")
    assert FULL in figure.layout.title.text


def test_a_map_of_costs_has_shares_of_each_target(by_block: pd.DataFrame) -> None:
    (cells,) = block_cost_figure(by_block).data
    assert cells.x == tuple(by_block)
    np.testing.assert_allclose(np.sum(cells.z, axis=0), 100.0)
    kept = by_block[by_block.sum(axis=1) > 0]
    np.testing.assert_array_equal(cells.customdata, kept)
    assert len(kept) == len(by_block) - 1  # changes of unit are a remark
    assert cells.zmax == np.max(cells.z[:-1]) < np.max(cells.z[-1])  # the fixed cost is the last
    with pytest.raises(InputError, match="^costs: no row is of a block"):
        block_cost_figure(by_block.tail(1))
    with pytest.raises(InputError, match="must be of block_costs"):
        block_cost_figure(pd.DataFrame({NEW: [1.0]}))
