"""Validation: nothing leaks into a fold, figures by hand, and the claims on the shipped timings."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from palmette.latency import TARGETS, LatencyPredictor
from palmette.latency.fitted import measured_networks
from palmette.latency.model import Fits, Measured
from palmette.latency.uncertainty import design
from palmette.latency.validate import (
    BASELINES,
    MODERN_TARGET,
    OLD_RUNTIMES,
    Row,
    headline,
    held_out_rows,
    scores,
    validate,
)
from palmette.space import MOBILENET_LIKE

FAMILY = "ane-ios16"
HELD = "mobilenet_v2"


def row(measured: float, predicted: float, factor: float = 1.25, **values: Any) -> Row:
    given = {"target": MODERN_TARGET, "network": "mobilenet_v2"} | values
    baselines = dict.fromkeys(BASELINES, 2 * measured)
    return Row(
        **given,
        measured_ms=measured,
        predicted_ms=predicted,
        factor_80=factor,
        baselines_ms=baselines,
    )


@pytest.fixture(scope="module")
def modern(timings: pd.DataFrame, fits: Fits) -> list[Row]:
    return held_out_rows(timings, FAMILY, fits)


def test_what_is_held_out_has_no_say_in_its_own_prediction(
    timings: pd.DataFrame, modern: list[Row]
) -> None:
    """Ten times its milliseconds, on all targets and in all widths, change nothing about it."""
    own = timings["subject"].map(lambda name: design(name) == HELD)
    assert set(timings.loc[own, "subject"]) == {"mobilenet_v2", "mobilenet_v2_1.4"}
    scale = own.map({True: 10.0, False: 1.0})
    altered = held_out_rows(timings.assign(latency_ms=timings["latency_ms"] * scale), FAMILY)
    checked = others = 0
    for before, after in zip(modern, altered, strict=True):
        assert (before.target, before.network) == (after.target, after.network)
        if design(before.network) == HELD:
            checked += 1
            assert after.measured_ms == 10 * before.measured_ms
            assert after.predicted_ms == before.predicted_ms
            assert after.factor_80 == before.factor_80
            assert dict(after.baselines_ms) == dict(before.baselines_ms)
        else:
            others += after.predicted_ms != before.predicted_ms
    assert checked == 4  # two widths on two phones
    assert others == len(modern) - checked  # the test can tell


def test_every_timing_is_held_out_once(timings: pd.DataFrame, modern: list[Row]) -> None:
    wanted = timings[timings["target"].map(lambda name: TARGETS[name].family == FAMILY)]
    found = sorted((r.target, r.network, r.measured_ms) for r in modern)
    rows = zip(wanted["target"], wanted["subject"], wanted["latency_ms"], strict=True)
    assert found == sorted(rows)


def test_a_family_without_timings_has_no_rows(timings: pd.DataFrame) -> None:
    only = timings[timings["target"] == "iphone-11/cpu@coreml-ios13"]
    # the Neural Engine's fallback is in the table, the Neural Engine is not
    assert held_out_rows(only, "ane-2020") == []


def test_scores_by_hand() -> None:
    rows = [row(1.0, 1.1, 1.2), row(2.0, 1.6, 1.2), row(4.0, 4.4, 1.3), row(8.0, 4.0, 1.5)]
    found = scores(rows)
    assert found["networks"] == 4
    assert found["mape"] == pytest.approx(100 * (0.1 + 0.2 + 0.1 + 0.5) / 4)
    assert found["worst"] == pytest.approx(50.0)
    assert found["bias"] == pytest.approx(100 * ((1.1 * 0.8 * 1.1 * 0.5) ** 0.25 - 1))
    assert found["tau"] == pytest.approx((5 - 1) / 6)  # 4.4 and 4.0 change places
    # 1.1 < 1.2; 1 / 0.8 = 1.25 > 1.2; 1.1 < 1.3; 2 > 1.5
    assert found["coverage_80"] == 0.5
    assert found["factor_80"] == pytest.approx(1.25)
    assert found["mape_flops_offset"] == pytest.approx(100.0)


def test_one_row_has_no_rank() -> None:
    assert math.isnan(scores([row(1.0, 1.1)])["tau"])


def test_a_row_is_covered_up_to_its_factor() -> None:
    assert row(1.0, 1.25, 1.25).covered and row(1.25, 1.0, 1.25).covered
    assert not row(1.0, 1.26, 1.25).covered and not row(1.26, 1.0, 1.25).covered


def test_headline_networks_are_the_mobilenet_like_or_the_whole_ones() -> None:
    old = "iphone-11/cpu@coreml-ios13"
    rows = [
        row(1, 1, target=old, network="mobilenet_v1"),
        row(1, 1, target=old, network="ghostnet_1.0"),
        row(1, 1, target=MODERN_TARGET, network="resnet50"),
        row(1, 1, target=MODERN_TARGET, network="resnet50_backbone_512"),
    ]
    assert [r.network for r in headline(rows, old)] == ["mobilenet_v1"]
    assert [r.network for r in headline(rows, MODERN_TARGET)] == ["resnet50"]


# Baselines


def line(slope: float, offset: float) -> Callable[[float], float]:
    return lambda x: slope * x + offset


@pytest.fixture
def along_a_line(measured_of: Callable[..., Measured]) -> Callable[..., Measured]:
    """Networks of 1 to 5 equal convolutions; milliseconds a function of their number."""

    def build(ms: Callable[[float], float]) -> Measured:
        ops = {f"n{i}": ["conv 10x8x8 -> 10x8x8 k3"] * i for i in range(1, 6)}
        return measured_of({"t": {f"n{i}": ms(i) for i in range(1, 5)}}, ops)

    return build


@pytest.mark.parametrize("name", ["flops_offset", "params_offset"])
def test_a_baseline_with_offset_finds_a_line(
    along_a_line: Callable[..., Measured], name: str
) -> None:
    assert BASELINES[name](along_a_line(line(0.5, 2.0)), "t", "n5") == pytest.approx(4.5)


def test_the_offset_of_a_baseline_is_never_negative(
    along_a_line: Callable[..., Measured],
) -> None:
    found = BASELINES["flops_offset"](along_a_line(line(1.0, -0.9)), "t", "n5")
    per_conv = found / 5  # no offset: relative least squares of a line through zero
    ratios = [i / (i - 0.9) for i in range(1, 5)]
    assert per_conv == pytest.approx(sum(ratios) / sum(r * r for r in ratios))


def test_the_nearest_baseline_scales_by_macs(along_a_line: Callable[..., Measured]) -> None:
    measured = along_a_line(line(0.0, 3.0))
    assert BASELINES["nearest_1"](measured, "t", "n5") == pytest.approx(3.0 * 5 / 4)
    both = math.sqrt((3.0 * 5 / 4) * (3.0 * 5 / 3))
    assert BASELINES["nearest_2"](measured, "t", "n5") == pytest.approx(both)


# The claims


def test_predictors_keep_their_claims_on_networks_they_never_saw(
    validated: tuple[list[Row], dict[str, Any]],
) -> None:
    _, metrics = validated
    assert metrics["lono_mape_mobilenet_like"] <= 13
    assert metrics["lono_mape_modern"] <= 6.5
    assert metrics["targets_beating_flops"] == metrics["targets"] == 10
    assert 0.65 <= metrics["coverage_80"] <= 0.95
    assert metrics["interval_factor_80"] <= 1.35
    json.dumps(metrics, allow_nan=False)


def test_too_good_would_be_a_leak(validated: tuple[list[Row], dict[str, Any]]) -> None:
    assert validated[1]["lono_mape_mobilenet_like"] > 6
    assert validated[1]["lono_mape_modern"] > 3.5


def test_the_metrics_are_those_of_the_rows(validated: tuple[list[Row], dict[str, Any]]) -> None:
    rows, metrics = validated
    old = [name for name, target in TARGETS.items() if target.runtime in OLD_RUNTIMES]
    errors = []
    for name in old:
        own = [r for r in rows if r.target == name and r.network in MOBILENET_LIKE]
        assert len(own) == 8
        errors.append(sum(abs(r.predicted_ms / r.measured_ms - 1) for r in own) / 8)
    assert metrics["lono_mape_mobilenet_like"] == pytest.approx(100 * sum(errors) / 8)
    large = [r for r in rows if r.target == MODERN_TARGET and "_backbone_512" in r.network]
    assert len(large) == 5
    assert metrics["lono_mape_modern_512"] == pytest.approx(scores(large)["mape"])
    whole = [r for r in rows if r.target == MODERN_TARGET and r not in large]
    assert len(whole) == 19
    assert metrics["lono_mape_modern"] == pytest.approx(scores(whole)["mape"])


def test_held_out_errors_of_a_predictor_are_those_of_validation(
    validated: tuple[list[Row], dict[str, Any]], refitted: dict[str, LatencyPredictor]
) -> None:
    for r in validated[0]:
        error = refitted[r.target].held_out_errors_[r.network]
        assert r.predicted_ms == pytest.approx(r.measured_ms * math.exp(error), rel=1e-9)


def test_a_table_without_headline_networks_has_no_headline(
    timing_table: Callable[..., pd.DataFrame],
) -> None:
    target = "iphone-11/gpu@coreml-ios13"
    names = ("squeezenet_v1.1", "ghostnet_1.0", "mixnet_m", "squeezenext_23v5_2.0", "resnet18")
    table = timing_table(*((name, target, 5.0 + i) for i, name in enumerate(names)))
    rows, metrics = validate(table)
    assert [r.network for r in rows] == sorted(names)
    assert metrics["targets"] == 0 and metrics["coverage_80"] is None
    json.dumps(metrics, allow_nan=False)


def test_measured_networks_of_a_family_take_its_fallbacks_along(timings: pd.DataFrame) -> None:
    families = {
        family: {TARGETS[name].family for name in measured_networks(timings, family).latency_ms}
        for family in ("cpu-2020", "ane-2020", "ane-ios16")
    }
    assert families == {
        "cpu-2020": {"cpu-2020"},
        "ane-2020": {"cpu-2020", "gpu-2020", "ane-2020"},
        "ane-ios16": {"ane-ios16"},
    }
