"""The estimator: the shipped files, what it accepts, what it answers, how it is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from palmette.latency import TARGETS, LatencyPredictor, find_target, load_predictor
from palmette.latency.per_op.op_cost import STRICT_MODELS
from palmette.latency.predictor import DATA, UnfittedError, file_name, fit_all
from palmette.latency.whole.fitted import measured_networks
from palmette.latency.whole.forms import FAMILIES
from palmette.space import MOBILENET_LIKE, Architecture, InputError, Op, load

PUBLISHED = [name for name, target in TARGETS.items() if target.family or target.like]
"""Targets whose timings are shipped."""
ANE, MODERN = "iphone-11/ane@coreml-ios13", "iphone-13/ane@coreml-ios16"


# The shipped files


def close(one: Any, other: Any, where: str = "") -> None:
    """Equal structures, with numbers equal to a millionth."""
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            close(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            close(a, b, f"{where}[{index}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6), where
    else:
        assert one == other, where


@pytest.mark.parametrize("target", PUBLISHED)
def test_a_shipped_predictor_is_what_the_shipped_timings_give(
    refitted: dict[str, LatencyPredictor], target: str
) -> None:
    path = Path(str(DATA / "predictors" / file_name(TARGETS[target])))
    again = json.loads(json.dumps(refitted[target].to_dict(timings=False)))
    close(json.loads(path.read_text("utf-8")), again, target)


def test_there_is_one_file_for_each_target() -> None:
    names = {item.name for item in (DATA / "predictors").iterdir()}
    assert names == {file_name(target) for target in TARGETS.values()}


def test_no_shipped_predictor_holds_the_timings_that_it_was_fitted_to() -> None:
    """Some are fitted to timings of third parties that are not shipped."""
    for target in TARGETS:
        predictor = load_predictor(target)
        assert predictor.timed_ms_ == {} and "timed_ms" not in predictor.to_dict()


def test_a_fit_keeps_the_milliseconds_of_its_networks_unless_it_is_told_not_to(
    timings: pd.DataFrame, refitted: dict[str, LatencyPredictor], tmp_path: Path
) -> None:
    own = timings[timings["target"] == MODERN].groupby("subject")["latency_ms"].mean()
    predictor = refitted[MODERN]
    predictor.write(tmp_path / "kept.json")
    kept = LatencyPredictor.read(tmp_path / "kept.json")
    assert kept.timed_ms_["mobilenet_v2"] == own["mobilenet_v2"]
    assert set(kept.timed_ms_) == set(own.index) and kept.timed_ == predictor.timed_
    assert kept.to_dict() == predictor.to_dict()
    predictor.write(tmp_path / "dropped.json", timings=False)
    dropped = LatencyPredictor.read(tmp_path / "dropped.json")
    assert dropped.timed_ms_ == {}
    assert dropped.predict(["mobilenet_v2"]) == kept.predict(["mobilenet_v2"])


@pytest.mark.parametrize("wrong", [0, -1.0, "0.5", None, float("nan")])
def test_a_file_with_milliseconds_that_are_none_is_refused(
    refitted: dict[str, LatencyPredictor], wrong: Any
) -> None:
    stored = refitted[MODERN].to_dict() | {"timed_ms": {"mobilenet_v2": wrong}}
    with pytest.raises(InputError, match="malformed predictor"):
        LatencyPredictor.from_json(json.dumps(stored), "mine.json")


def test_load_predictor_takes_names_and_aliases() -> None:
    for name, target in TARGETS.items():
        assert load_predictor(name).model_ == load_predictor(target.alias).model_
        assert load_predictor(name).model_.target is target
    with pytest.raises(InputError, match="known: iphone-11/cpu, iphone-xs/cpu"):
        load_predictor("iphone-99/ane")


def test_the_hash_changes_with_a_timing_of_the_family_or_of_its_fallback(
    timings: pd.DataFrame, refitted: dict[str, LatencyPredictor]
) -> None:
    from palmette.latency.whole.fitted import timings_digest

    def digest(table: pd.DataFrame, family: str) -> str:
        return timings_digest(measured_networks(table, family).latency_ms)

    row = (timings["target"] == "iphone-x/gpu@coreml-ios12") & (timings["subject"] == "fbnet_c")
    altered = timings.assign(latency_ms=timings["latency_ms"] + 0.1 * row)
    for family in FAMILIES:
        same = digest(timings, family) == digest(altered, family)
        assert same == (family not in ("gpu-2020", "ane-2020"))
    shuffled = timings.sample(frac=1, random_state=0)
    assert digest(shuffled, "ane-ios16") == digest(timings, "ane-ios16")
    assert refitted[MODERN].timings_hash_ == digest(timings, "ane-ios16")


def test_targets_with_anchors_alone_say_so_and_whose_prices_they_have(
    shipped: dict[str, LatencyPredictor],
) -> None:
    anchors = {name: predictor.anchors for name, predictor in shipped.items() if predictor.anchors}
    assert anchors == {
        "iphone-14/ane@coreml-ios16": 4,
        "iphone-14-pro/ane@coreml-ios17": 4,
        "iphone-15-pro/ane@coreml-ios17": 2,
    }
    for name, predictor in shipped.items():
        stored = predictor.to_dict()
        assert predictor.prior_ == TARGETS[name].like == stored.get("prior", "")
        assert predictor.anchors == stored.get("anchors", 0)
        assert bool(predictor.caution) == bool(predictor.anchors)
    assert shipped["iphone-15-pro/ane@coreml-ios17"].caution.startswith("2 anchors: few networks")


def test_a_prediction_from_anchors_is_less_sure_than_that_of_its_prior(
    shipped: dict[str, LatencyPredictor],
) -> None:
    of_prior = shipped[MODERN].usual_factor()
    assert of_prior == pytest.approx(1.12, abs=0.03)
    for name, target in TARGETS.items():
        if target.like:
            assert shipped[name].usual_factor() > 1.1 * of_prior


def test_anchors_are_refitted_from_themselves_where_the_table_lacks_their_prior(
    timings: pd.DataFrame,
) -> None:
    alone = timings[timings["target"] == "iphone-14/ane@coreml-ios16"]
    assert LatencyPredictor("iphone-14/ane").fit(alone).anchors == 0
    few = timings[timings["target"] == "iphone-15-pro/ane@coreml-ios17"]
    with pytest.raises(InputError, match="2 networks timed that its unit runs itself"):
        LatencyPredictor("iphone-15-pro/ane").fit(few)


# What it predicts


@pytest.mark.parametrize("target", TARGETS)
def test_mobilenet_like_networks_take_milliseconds_of_the_right_order(
    every_shipped: dict[str, LatencyPredictor], target: str
) -> None:
    low, high = {"cpu": (3, 80), "gpu": (5, 100), "ane": (1.5, 60)}[TARGETS[target].unit]
    if "ios16" in target or "ios17" in target:
        low, high = 0.25, 2.0
    if "tflite" in target:
        low, high = 1.5, 10
    ms = every_shipped[target].predict(MOBILENET_LIKE)
    assert ms.shape == (8,) and ((low < ms) & (ms < high)).all(), ms


def test_predictions_of_timed_networks_are_near_their_timings(
    shipped: dict[str, LatencyPredictor],
) -> None:
    # iPhone 11, March 2020; fitted to it, so no measure of error
    for unit, ms in (("cpu", 19.0), ("gpu", 18.5)):
        found = shipped[f"iphone-11/{unit}@coreml-ios13"].predict(["mobilenet_v2"])[0]
        assert found == pytest.approx(ms, rel=0.25)


def test_a_subject_may_be_a_name_an_architecture_its_text_its_ops_or_a_module(
    every_shipped: dict[str, LatencyPredictor], tmp_path: Path
) -> None:
    from palmette.latency.op_lists import write_op_list

    network = load("mobilenet_v3_small")
    write_op_list(tmp_path / "it.csv", network.ops())
    subjects = [
        "mobilenet_v3_small",
        "mobilenet_v3_small@224x224",
        network,
        network.to_text(),
        network.ops(),
        network.build(),
    ]
    for name, predictor in every_shipped.items():
        ms = predictor.predict(subjects)
        assert ms == pytest.approx(np.full(len(subjects), ms[0]), rel=1e-12)
        # a list of ops counts equal ops in one row: which op joins which is lost with the order
        exact = 1e-12 if "tflite" not in name else 0.005
        assert predictor.predict([str(tmp_path / "it.csv")])[0] == pytest.approx(ms[0], rel=exact)


def test_any_torch_module_may_be_a_subject(every_shipped: dict[str, LatencyPredictor]) -> None:
    from torch import nn

    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(InputError, match="Sequential: cannot be traced on an input of 3x224x224"):
        every_shipped[MODERN].predict([module])
    module.insert(2, nn.AdaptiveAvgPool2d(1))
    assert every_shipped[MODERN].predict([module])[0] > 0
    assert module.training  # it is left as it was


def test_no_subjects_give_no_milliseconds(shipped: dict[str, LatencyPredictor]) -> None:
    assert shipped[MODERN].predict([]).shape == (0,)
    assert shipped[MODERN].predict_interval([]).upper_ms.shape == (0,)


def test_an_interval_contains_the_milliseconds_and_widens_with_confidence(
    every_shipped: dict[str, LatencyPredictor],
) -> None:
    for predictor in every_shipped.values():
        ms, widths = predictor.predict(MOBILENET_LIKE), []
        for confidence in (0.6, 0.8, 0.95):
            found = predictor.predict_interval(MOBILENET_LIKE, confidence)
            assert found.ms.tolist() == ms.tolist()
            assert (found.lower_ms < ms).all() and (ms < found.upper_ms).all()
            assert found.upper_ms * found.lower_ms == pytest.approx(ms**2, rel=1e-9)
            widths.append(found.upper_ms / found.lower_ms)
        assert (widths[0] < widths[1]).all() and (widths[1] < widths[2]).all()


def test_one_side_of_an_interval_is_nearer_than_two(shipped: dict[str, LatencyPredictor]) -> None:
    two = shipped[MODERN].predict_interval(["mobilenet_v2"], 0.8)
    one = shipped[MODERN].predict_interval(["mobilenet_v2"], 0.9, two_sided=False)
    assert one.upper_ms[0] == pytest.approx(two.upper_ms[0], rel=1e-12)


def test_an_interval_widens_outside_what_was_timed(
    every_shipped: dict[str, LatencyPredictor],
) -> None:
    for predictor in every_shipped.values():
        inside = "mobilenet_v2"
        tiny = load("mobilenet_v2").with_resolution(32)
        assert not predictor.outside(inside) and predictor.outside(tiny)
        found = predictor.predict_interval([inside, tiny])
        factors = found.upper_ms / found.ms
        assert factors[1] > factors[0]


def test_the_state_and_the_class_are_named(shipped: dict[str, LatencyPredictor]) -> None:
    ane = shipped[ANE]
    assert ane.state_of("mobilenet_v2") == "native"
    assert (
        ane.state_of("mnasnet_a1")
        == "fallback: gates (squeeze-and-excitation) put it on iphone-11/gpu"
    )
    assert (
        ane.state_of("shufflenet_v2_1.5")
        == "fallback: moved channels (shuffles, slices) put it on iphone-11/cpu"
    )
    assert shipped[MODERN].state_of("mnasnet_a1") == "native"
    assert (ane.class_of("mobilenet_v2"), ane.class_of("resnet50")) == ("mobile", "other")


def test_a_breakdown_adds_up_to_the_prediction_less_the_constant(
    shipped: dict[str, LatencyPredictor],
) -> None:
    for name in ("mobilenet_v2", "mnasnet_a1", "shufflenet_v2_1.5"):
        for predictor in shipped.values():
            parts = predictor.breakdown(name)
            ops = [Op.from_text(text) for text in parts["op"]]
            ms = predictor.predict([tuple(ops)])[0]
            table = _table(ops)
            feature = predictor.model_.state_of(table)
            state = next(s for s in predictor.model_.states if s.feature == feature)
            constants = [
                c.constant_ms / (c.constant_ms + c.op_ms(table).sum()) for c in state.components
            ]
            assert parts["ms"].sum() == pytest.approx(ms * (1 - np.mean(constants)), rel=1e-9)
            assert parts["share"].sum() == pytest.approx(1 - np.mean(constants), rel=1e-9)
            assert (parts["ms"] > 0).all()
            if len(state.components) == 1 and state.scale == 1:
                left = ms - state.components[0].constant_ms
                assert parts["ms"].sum() == pytest.approx(left, rel=1e-9)


def test_a_breakdown_lists_the_ops_in_order(shipped: dict[str, LatencyPredictor]) -> None:
    parts = shipped[MODERN].breakdown("mobilenet_v1")
    assert parts["op"].tolist() == [op.to_text() for op in load("mobilenet_v1").ops()]


def _table(ops: list[Op]) -> Any:
    from palmette.space import OpTable

    return OpTable.of(ops)


# scikit-learn's conventions


def test_a_predictor_keeps_to_the_conventions_of_scikit_learn() -> None:
    predictor = LatencyPredictor("iphone-13/ane")
    parameters = {
        "target": "iphone-13/ane",
        "op_models": STRICT_MODELS,
        "quantity": "latency",
    }
    assert predictor.get_params() == parameters
    assert vars(predictor) == parameters  # the constructor only stores
    copy = clone(load_predictor("iphone-13/ane"))
    assert vars(copy) == {**parameters, "target": str(find_target("iphone-13/ane"))}
    assert predictor.set_params(target="iphone-11/cpu").target == "iphone-11/cpu"


@pytest.mark.parametrize(
    "check",
    # the others fit arrays: a predictor fits a table of timings and predicts networks
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_estimators_unfitted,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ],
)
def test_a_predictor_passes_the_checks_of_scikit_learn_that_need_no_arrays(check: Any) -> None:
    check("LatencyPredictor", LatencyPredictor("iphone-13/ane", ("power",)))


def test_fit_returns_itself_and_sets_what_it_found(
    timings: pd.DataFrame, refitted: dict[str, LatencyPredictor]
) -> None:
    modern = timings[timings["target"].str.contains("ios16")]
    predictor = LatencyPredictor("iphone-13/ane")
    assert predictor.fit(modern) is predictor
    assert predictor.target == "iphone-13/ane"
    assert predictor.to_dict() == refitted[MODERN].to_dict()
    assert set(vars(predictor)) - {"target", "op_models", "quantity"} == {
        "model_",
        "uncertainty_",
        "support_",
        "effects_",
        "held_out_errors_",
        "timed_",
        "timed_ms_",
        "timings_hash_",
        "compared_",
        "left_out_",
        "doubts_",
        "prior_",
        "quantity_",
    }
    assert predictor.compared_ == {} and predictor.left_out_ == ()
    again = predictor.fit(modern).to_dict()
    assert again == refitted[MODERN].to_dict()  # a fit can be repeated


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: p.predict(["mobilenet_v2"]),
        lambda p: p.predict_interval(["mobilenet_v2"]),
        lambda p: p.breakdown("mobilenet_v2"),
        lambda p: p.state_of("mobilenet_v2"),
        lambda p: p.class_of("mobilenet_v2"),
        lambda p: p.outside("mobilenet_v2"),
        lambda p: p.compile(None),
        lambda p: p.to_dict(),
        lambda p: p.write(Path("nowhere.json")),
        lambda p: p.mape,
    ],
)
def test_an_unfitted_predictor_says_so(ask: Callable[[LatencyPredictor], Any]) -> None:
    with pytest.raises(UnfittedError, match="'iphone-13/ane' is not fitted; call `fit`") as caught:
        ask(LatencyPredictor("iphone-13/ane"))
    assert isinstance(caught.value, InputError) and isinstance(caught.value, NotFittedError)


# Tables that are too small


def test_a_target_needs_four_designs(timing_table: Callable[..., pd.DataFrame]) -> None:
    names = ["mobilenet_v2", "mobilenet_v2_1.4", "mobilenet_v2@192x192", "resnet50", "mobileone_s1"]
    table = timing_table(*((name, MODERN, 1.0 + i) for i, name in enumerate(names)))
    with pytest.raises(InputError, match="3 networks timed that its unit runs itself"):
        fit_all(table)


def test_four_designs_are_enough(timing_table: Callable[..., pd.DataFrame]) -> None:
    names = ["mobilenet_v2", "repvit_m1.0", "resnet50", "mobileone_s1"]
    table = timing_table(*((name, MODERN, 1.0 + i / 4) for i, name in enumerate(names)))
    found = fit_all(table)
    assert list(found) == [MODERN]
    assert math.isfinite(found[MODERN].predict(["mnasnet_a1"])[0])


def test_networks_on_another_unit_do_not_count(
    timing_table: Callable[..., pd.DataFrame],
) -> None:
    gated = ["mnasnet_a1", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0"]
    free = ["mobilenet_v2", "mobilenet_v1", "fbnet_c"]
    rows = [
        (name, f"iphone-11/{unit}@coreml-ios13", 5.0 + i)
        for unit in ("cpu", "gpu", "ane")
        for i, name in enumerate(gated + free)
    ]
    with pytest.raises(InputError, match="iphone-11/ane@coreml-ios13': 3 networks timed"):
        fit_all(timing_table(*rows))


def test_the_old_neural_engine_needs_its_fallbacks(
    timings: pd.DataFrame,
) -> None:
    alone = timings[timings["target"] == ANE]
    with pytest.raises(InputError, match="networks with moves fall back .* iphone-11/cpu@coreml"):
        fit_all(alone)
    two = timings[timings["target"].isin([ANE, "iphone-11/cpu@coreml-ios13"])]
    with pytest.raises(InputError, match="networks with gates fall back .* iphone-11/gpu@coreml"):
        LatencyPredictor(ANE).fit(two)


def test_a_target_without_timings_is_refused(timings: pd.DataFrame) -> None:
    only = timings[timings["target"] == MODERN]
    with pytest.raises(InputError, match="iphone-12/ane@coreml-ios16': the table has no timings"):
        LatencyPredictor("iphone-12/ane").fit(only)


def test_timings_of_the_same_network_are_averaged_in_logs(
    timing_table: Callable[..., pd.DataFrame],
) -> None:
    table = timing_table(("resnet50", MODERN, 2.0), ("resnet50", MODERN, 8.0))
    found = measured_networks(table, "ane-ios16").latency_ms
    assert found == {MODERN: {"resnet50": pytest.approx(4.0, rel=1e-12)}}
    single = timing_table(("resnet50", MODERN, 4.55))
    assert measured_networks(single, "ane-ios16").latency_ms == {MODERN: {"resnet50": 4.55}}


# Storage


@pytest.mark.parametrize("target", TARGETS)
def test_a_predictor_comes_back_from_its_file(
    every_shipped: dict[str, LatencyPredictor], target: str, tmp_path: Path
) -> None:
    path = tmp_path / "deep" / "it.json"
    every_shipped[target].write(path)
    again = LatencyPredictor.read(path)
    assert again.target == target
    assert again.to_dict() == every_shipped[target].to_dict()
    one, other = (p.predict_interval(MOBILENET_LIKE) for p in (every_shipped[target], again))
    for name in ("ms", "lower_ms", "upper_ms"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9)
    assert [item.name for item in path.parent.iterdir()] == ["it.json"]


SOURCE = json.loads((DATA / "predictors" / file_name(TARGETS[ANE])).read_text("utf-8"))
FREE_KEYS = {"method"}  # says what the numbers are


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values in nested dictionaries and lists."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


PLACES = [p for p in places(SOURCE) if not FREE_KEYS & set(p)]


def altered(path: tuple[Any, ...], change: Callable[[Any, Any], None]) -> str:
    data = json.loads(json.dumps(SOURCE))
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return json.dumps(data)


def refused(content: str, match: str = "it.json: ") -> None:
    with pytest.raises(InputError, match=match) as caught:
        LatencyPredictor.from_json(content, "it.json")
    assert str(caught.value).startswith("it.json: ")
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_refused() -> None:
    free = ("held_out_errors", "timed")  # names of networks; older files have no `timed`
    keys = [p for p in PLACES if isinstance(p[-1], str) and p[0] not in free]
    assert len(keys) > 60
    for path in keys:
        refused(altered(path, lambda parent, key: parent.pop(key)))
    refused(altered(("held_out_errors",), lambda parent, key: parent.pop(key)))


@pytest.mark.parametrize("value", [None, [], {}, [[]], True, "x", "1.0", float("nan"), 1e400])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    def put(parent: Any, key: Any) -> None:
        parent[key] = value

    for path in PLACES:
        data = SOURCE
        for key in path:
            data = data[key]
        fits_in = isinstance(data, type(value)) and not isinstance(value, float)
        hollow = value in ([], {}) and isinstance(data, list | dict)
        if not fits_in and not hollow:
            refused(altered(path, put))


@pytest.mark.parametrize("value", [-1.0, -1e-9, 10**400], ids=["-1", "tiny", "endless"])
def test_a_price_that_is_negative_or_without_end_is_refused(value: float) -> None:
    def put(parent: Any, key: Any) -> None:
        parent[key] = value

    prices = [p for p in PLACES if "prices_ms" in p[:-1] or p[-1] in ("constant_ms", "scale")]
    assert len(prices) > 30
    for path in prices:
        refused(altered(path, put), "malformed predictor")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("model", "target"), "iphone-99/npu@coreml-ios13"),
        (("model", "target"), "iphone-99"),
        (("model", "kind"), "cubic"),
        (("model", "kind"), 3),
        (("compared",), {"trees": "good"}),
        (("compared",), ["trees"]),
        (("model", "states", 0, "feature"), "colour"),
        (("model", "states", 0, "feature"), ""),  # a second state for whatever is left
        (("model", "states", 2, "feature"), "layers"),  # none for whatever is left
        (("model", "states"), []),
        (("model", "states", 2, "components"), []),
        (("model", "states", 2, "scale"), 0.0),
        (("model", "states", 2, "components", 0, "form"), "npu_cubic"),
        (("model", "states", 2, "components", 0, "unit_of"), "iphone-11"),
        (("model", "states", 2, "components", 0, "prices_ms", "colour"), 1.0),
        (("uncertainty", "classes", "mobile", "spread"), 0.0),
        (("uncertainty", "classes", "mobile", "networks"), 0),
        (("uncertainty", "hull", "macs"), [2.0, 1.0]),
        (("uncertainty", "hull", "macs"), [1.0]),
        (("support", "resolutions"), [320, 179]),
        (("support", "squeeze_excitation"), "no"),
        (("effects", 0, "change"), -1.5),
        (("format",), "palmette/predictor@2"),
        (("features_version",), 2),
    ],
)
def test_a_value_against_its_rule_is_refused(path: tuple[Any, ...], value: Any) -> None:
    def put(parent: Any, key: Any) -> None:
        parent[key] = value

    refused(altered(path, put))


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "1" * 5000, "[" * 100_000, '"x"'])
def test_text_that_is_no_predictor_is_refused(content: str) -> None:
    refused(content)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe{}")
    for name in ("none.json", "latin.json", "."):
        with pytest.raises(InputError, match="cannot be read"):
            LatencyPredictor.read(tmp_path / name)


def test_architectures_predict_the_same_however_they_came(
    every_shipped: dict[str, LatencyPredictor],
) -> None:
    network = load("mobilenet_v2").with_resolution(192, 256)
    again = Architecture.from_json(network.to_json())
    assert every_shipped[ANE].predict([network, again, "mobilenet_v2@192x256"]) == pytest.approx(
        np.full(3, every_shipped[ANE].predict([network])[0])
    )
