"""Networks and targets come by the same names to whatever takes a network apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from palmette.latency import TARGETS, LatencyPredictor, load_predictor
from palmette.latency.op_lists import write_op_list
from palmette.search import block_costs, explain, waterfall_figure, what_if
from palmette.search.subjects import (
    architecture_of,
    image_of,
    predictor_of,
    predictors_of,
    subject_of,
)
from palmette.space import InputError, load

NEW, OLD = "iphone-13/ane", "iphone-11/ane"
FULL = "iphone-13/ane@coreml-ios16"
DOORS: list[Callable[[Any, Any], Any]] = [
    lambda network, target: block_costs(network, [target])[FULL].sum(),
    lambda network, target: waterfall_figure(network, target).data[0].x[-1],
    lambda network, target: explain(network, target).ms,
    lambda network, target: what_if(network, [], [target]).loc[0, "ms"],
]


def test_a_network_comes_by_name_text_or_itself(tmp_path: Path) -> None:
    network = load("mobilenet_v2")
    assert subject_of(network) is network
    for text in ("mobilenet_v2", network.to_text()):
        assert subject_of(text) == architecture_of(text) == network
    assert subject_of("mobilenet_v2@192x256") == network.with_resolution(192, 256)
    ops = network.ops()
    assert subject_of(list(ops)) == subject_of(ops) == ops
    write_op_list(tmp_path / "two.csv", ops[:2])
    assert subject_of(str(tmp_path / "two.csv")) == ops[:2]
    module = nn.Conv2d(3, 8, 3)
    assert subject_of(module) is module


@pytest.mark.parametrize("door", DOORS)
def test_names_mean_the_same_everywhere(door: Callable[[Any, Any], float]) -> None:
    ms = load_predictor(NEW).predict(["mobilenet_v3_small"])[0]
    assert door("mobilenet_v3_small", NEW) == pytest.approx(ms, abs=1e-9)
    assert door(load("mobilenet_v3_small"), load_predictor(NEW)) == pytest.approx(ms, abs=1e-9)
    for network, target, words in (
        (3, NEW, "^network: must be an Architecture.*got 3"),
        (None, NEW, "^network: must be an Architecture.*got NoneType"),
        ((), NEW, "^network: has no ops"),
        ("mobilenet_v9", NEW, "^network 'mobilenet_v9' is unknown"),
        ("mobilenet_v2@192", NEW, "resolution must be HxW in px, got '192'"),
        ("mobilenet_v2", 3, "^target: must be a name.*got 3"),
        ("mobilenet_v2", "nokia", "nokia"),
        ("mobilenet_v2", LatencyPredictor(NEW), "is not fitted; call `fit`"),
    ):
        with pytest.raises(InputError, match=words):
            door(network, target)


def test_targets_are_names_or_predictors_each_once() -> None:
    own = load_predictor(NEW)
    assert predictor_of(own) is own
    assert list(predictors_of([own, OLD])) == [FULL, "iphone-11/ane@coreml-ios13"]
    assert list(predictors_of(name for name in (NEW, OLD)))[0] == FULL  # type: ignore[arg-type]
    assert predictors_of([own])[FULL] is own
    assert list(predictors_of()) == list(TARGETS)
    for targets, words in (
        (NEW, "give a list, .*got 'iphone-13/ane'"),
        (own, "give a list, .*got LatencyPredictor"),
        ([], "at least one"),
        ([NEW, own], "each once"),
    ):
        with pytest.raises(InputError, match=f"^targets: .*{words}"):
            predictors_of(targets)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [224, (224,), (0, 224), (224.0, 224), "224x224", None])
def test_a_modules_input_is_height_and_width(size: Any) -> None:
    assert image_of([32, 64]) == (32, 64)
    with pytest.raises(InputError, match=r"^resolution: must be \(height, width\)"):
        image_of(size)
    with pytest.raises(InputError, match="^resolution: must be"):
        block_costs(nn.Conv2d(3, 8, 3), [NEW], resolution=size)
