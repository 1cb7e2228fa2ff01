"""A row is the changed network's own prediction; what timings can't tell is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import load_predictor
from palmette.search import what_if
from palmette.search.what_if import AS_IT_IS, not_identified
from palmette.space import Architecture, InputError, SearchSpace, load
from palmette.space.edits import edits
from palmette.train import TIE_POINTS, AccuracyPrior

NEW, OLD = "iphone-13/ane@coreml-ios16", "iphone-11/ane@coreml-ios13"
TARGETS = (NEW, OLD, "iphone-xs/gpu@tflite-2.10")
CHANGES = [
    "stage4.kernel=5",
    "stage4.expansion=3, stage5.expansion=3",
    "network.se=0.25",
    "network.width=0.75",
    "network.resolution=192",
    "network.kernel=9",
    "network.activation=hswish",
]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return what_if(load("mobilenet_v2"), CHANGES, TARGETS)


def test_a_row_is_what_is_predicted_for_the_changed_network(table: pd.DataFrame) -> None:
    base = load("mobilenet_v2")
    networks = [base, *(edits(base, text)[-1].network for text in CHANGES)]
    points = AccuracyPrior.load().evaluate(networks)
    assert len(table) == len(networks) * len(TARGETS)
    for target in TARGETS:
        rows, predictor = table[table["target"] == target], load_predictor(target)
        assert rows["change"].tolist() == [AS_IT_IS, *CHANGES]
        assert [Architecture.from_text(text) for text in rows["architecture"]] == networks
        interval = predictor.predict_interval(networks)
        np.testing.assert_allclose(rows["ms"], predictor.predict(networks), rtol=0, atol=1e-9)
        np.testing.assert_allclose(rows["d_ms"], interval.ms - interval.ms[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(rows["lower_ms"], interval.lower_ms)
        np.testing.assert_allclose(rows["upper_ms"], interval.upper_ms)
        np.testing.assert_allclose(rows["top1"], points.top1)
        np.testing.assert_allclose(rows["d_points"], points.top1 - points.top1[0])
        assert (rows["tie"] == (rows["d_points"].abs() < TIE_POINTS)).all()
        assert rows["top1"].between(rows["top1_low"], rows["top1_high"]).all()


def row(table: pd.DataFrame, change: str, target: str) -> pd.Series:
    (found,) = table[(table["change"] == change) & (table["target"] == target)].index
    return table.loc[found]


def test_what_the_timings_cannot_tell_is_named(table: pd.DataFrame) -> None:
    assert row(table, "network.kernel=9", NEW)["not_identified"] == "kernel:9"
    # neither the activation that goes nor the one that comes was timed often enough there
    assert row(table, "network.activation=hswish", NEW)["not_identified"] == (
        "activation:relu6, activation:hswish, no price"
    )
    assert row(table, "network.activation=hswish", OLD)["not_identified"] == (
        "activation:hswish, no price"
    )
    for change in (AS_IT_IS, "stage4.kernel=5", "network.width=0.75", "network.resolution=192"):
        assert (
            row(table, change, NEW)["identified"] and not row(table, change, NEW)["not_identified"]
        )


def test_a_change_without_a_price_is_not_identified_though_both_sides_were_timed() -> None:
    base = load("mobilenet_v2")
    changes = ["network.activation=relu", "network.activation=relu, network.width=0.75"]
    told = what_if(base, [*changes, "network.kernel=3"], [OLD, "iphone-11/cpu"])
    old = told[told["target"].str.contains("ane")].set_index("change")
    assert old["not_identified"].tolist() == ["", "no price", "no price", ""]
    assert old.loc[changes[0], "d_ms"] == 0 > old.loc[changes[1], "d_ms"]
    assert told[told["target"].str.contains("cpu")]["identified"].all()


def test_a_change_that_leaves_the_unit_says_where_it_runs(table: pd.DataFrame) -> None:
    gated = row(table, "network.se=0.25", OLD)
    assert gated["runs_on"].startswith("fallback: ") and gated["d_ms"] > 10
    assert row(table, "network.se=0.25", NEW)["runs_on"] == "native"


def test_no_change_is_the_network_as_it_is() -> None:
    alone = what_if(load("mobilenet_v2"), [], ["iphone-13/ane"])
    assert alone["change"].tolist() == [AS_IT_IS]
    assert alone.loc[0, ["d_ms", "d_points"]].tolist() == [0.0, 0.0]


def test_only_what_a_change_takes_and_brings_is_asked_for() -> None:
    # depthwise windows of 5 go; the 1x1 convolution before the head is no window to change
    kernel = what_if("mobilenet_v3_large", ["network.kernel=3"], [NEW])
    assert kernel["identified"].all()
    assert "cn_r1_k1" in kernel.loc[1, "architecture"]
    text = "64x64 stem_k3_s2_c8_relu | er_r1_k3_s2_e4_c16_relu ir_r1_k5_s1_e4_c16_relu | head"
    fused, predictor = Architecture.from_text(text), load_predictor(NEW)
    asked = not_identified(fused, edits(fused, "stage1.kernel=9"), predictor)
    assert set(asked) == {"kernel:9", "op:dense9"}
    alone = edits(fused, "stage1.block2.kernel=9")
    assert not_identified(fused, alone, predictor) == ["kernel:9"]


def test_changes_are_those_of_the_space_that_is_given() -> None:
    space = SearchSpace.preset("mobilenet_v4")
    own = space.decode(np.zeros(len(space.genes), dtype=np.int64))
    found = what_if(own, ["stage3.channels=96"], [NEW], space=space).loc[1, "architecture"]
    code = space.encode(Architecture.from_text(found))
    assert np.flatnonzero(code).tolist() == [space.column["stage3.channels"]]


def test_a_network_that_the_prior_refuses_has_milliseconds_alone() -> None:
    found = what_if("resnet50", ["network.width=0.5"], [NEW])
    assert found["refused"].str.startswith("accuracy prior: ").all()
    assert (
        found[["top1", "top1_low", "top1_high", "d_points", "tie", "guarded"]].isna().all(axis=None)
    )
    assert found["ms"].tolist() == pytest.approx(
        load_predictor(NEW).predict(["resnet50", found.loc[1, "architecture"]])
    )
    assert found.loc[1, "d_ms"] < 0
    with pytest.raises(InputError, match="^recipe 'own' is unknown"):
        what_if("resnet50", [], [NEW], recipe="own")


@pytest.mark.parametrize(
    ("network", "changes", "words"),
    [
        ("mobilenet_v2", ["stage2.kernel=5", " stage2.kernel = 5"], "^changes: each once"),
        ("mobilenet_v2", ["stage2.kernel=5", 5], "^changes: must be texts, got 5"),
        ("mobilenet_v2", 5, "^changes: give a list"),
        ("mobilenet_v2", ["network.width=inf"], "^change 'network.width=inf': scale: factors"),
        ("mobilenet_v9", [], "^network 'mobilenet_v9' is unknown"),
        (5, [], "^network: must be an Architecture, a name"),
        ("fastvit_t8", [], "^network: must be an Architecture, or a name or text of one"),
    ],
)
def test_another_question_is_answered_in_words(network: Any, changes: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        what_if(network, changes, [NEW])


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="^change 'stage9.kernel=5': the network has 7 stages"):
        what_if(load("mobilenet_v2"), ["stage9.kernel=5"], ["iphone-13/ane"])
    with pytest.raises(InputError, match="^changes: give a list"):
        what_if(load("mobilenet_v2"), "stage4.kernel=5", ["iphone-13/ane"])  # type: ignore[arg-type]
