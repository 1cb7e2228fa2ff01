"""Validation: the claims on the shipped timings, and what a run of everything holds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from palmette.latency import TARGETS, LatencyPredictor
from palmette.latency.validation.held_out import CONFIDENCES
from palmette.latency.validation.tables import told
from palmette.latency.validation.validate import MODERN_TARGET, OLD_RUNTIMES, Row, scores, validate
from palmette.latency.whole.fitted import measured_networks
from palmette.space import MOBILENET_LIKE


def test_predictors_keep_their_claims_on_networks_they_never_saw(
    validated: tuple[list[Row], dict[str, Any]],
) -> None:
    _, metrics = validated
    assert metrics["lono_mape_mobilenet_like"] <= 12
    assert metrics["lono_mape_all"] <= 18.5
    assert metrics["lono_mape_modern"] <= 6.5
    assert metrics["targets_beating_flops"] == metrics["targets"] == 10
    assert metrics["lofo_mape_mobilenet_like"] <= 15
    assert metrics["lofo_mape_modern"] <= 7
    assert metrics["lofo_targets_beating_flops"] >= 9 and metrics["lofo_targets"] == 10
    assert 0.65 <= metrics["coverage_80"] <= 0.95
    assert 0.65 <= metrics["lofo_coverage_80"] <= 0.95
    assert metrics["interval_factor_80"] <= 1.35
    for found in metrics["by_target"].values():
        assert found["mape"] < found["mape_flops_offset"]
    json.dumps(metrics, allow_nan=False)


def test_a_new_family_is_harder_than_a_new_network(
    validated: tuple[list[Row], dict[str, Any]],
) -> None:
    _, metrics = validated
    for name in ("mape_mobilenet_like", "mape_modern", "mape_modern_512"):
        assert metrics[f"lofo_{name}"] > metrics[f"lono_{name}"]


def test_too_good_would_be_a_leak(validated: tuple[list[Row], dict[str, Any]]) -> None:
    assert validated[1]["lono_mape_mobilenet_like"] > 6
    assert validated[1]["lono_mape_modern"] > 3.5


def test_intervals_hold_about_as_often_as_they_say(
    validated: tuple[list[Row], dict[str, Any]],
) -> None:
    """Far fewer observations than rows: chips share networks."""
    for split in ("", "lofo_"):
        for confidence in CONFIDENCES:
            share = validated[1][f"{split}coverage_{confidence * 100:.0f}"]
            assert confidence - 0.15 <= share <= confidence + 0.2


def test_the_metrics_are_those_of_the_rows(validated: tuple[list[Row], dict[str, Any]]) -> None:
    rows, metrics = validated
    old = [name for name, target in TARGETS.items() if target.runtime in OLD_RUNTIMES]
    errors = []
    for name in old:
        own = [r for r in rows if r.target == name and r.subject in MOBILENET_LIKE]
        assert len(own) == 8
        errors.append(sum(abs(r.predicted_ms / r.measured_ms - 1) for r in own) / 8)
    assert metrics["lono_mape_mobilenet_like"] == pytest.approx(100 * sum(errors) / 8)
    every = [scores([r for r in rows if r.target == name])["mape"] for name in old]
    assert metrics["lono_mape_all"] == pytest.approx(sum(every) / 8)
    large = [r for r in rows if r.target == MODERN_TARGET and "_backbone_512" in r.subject]
    assert len(large) == 5
    assert metrics["lono_mape_modern_512"] == pytest.approx(scores(large)["mape"])
    whole = [r for r in rows if r.target == MODERN_TARGET and r not in large]
    assert len(whole) == 19
    assert metrics["lono_mape_modern"] == pytest.approx(scores(whole)["mape"])


def test_held_out_errors_of_a_predictor_are_those_of_validation(
    validated: tuple[list[Row], dict[str, Any]], refitted: dict[str, LatencyPredictor]
) -> None:
    for r in validated[0]:
        error = refitted[r.target].held_out_errors_[r.subject]
        assert r.predicted_ms == pytest.approx(r.measured_ms * math.exp(error), rel=1e-9)


def test_a_table_without_headline_networks_has_no_headline(
    timing_table: Callable[..., pd.DataFrame],
) -> None:
    target = "iphone-11/gpu@coreml-ios13"
    names = ("squeezenet_v1.1", "ghostnet_1.0", "mixnet_m", "squeezenext_23v5_2.0", "resnet18")
    table = timing_table(*((name, target, 5.0 + i) for i, name in enumerate(names)))
    rows, metrics = validate(table)
    assert [r.subject for r in rows] == sorted(names)
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


def test_what_an_effect_lacks_is_printed(shipped: dict[str, LatencyPredictor]) -> None:
    printed = {
        name: {effect.name: told(predictor, effect) for effect in predictor.effects_}
        for name, predictor in shipped.items()
    }
    new = printed["iphone-13/ane@coreml-ios16"]
    assert new["kernel 3->7"] == new["SE in every block"] == "yes"
    assert new["relu6->relu"] == "no (activation:relu6, no price)"
    assert new["relu6->hswish"] == "no (activation:relu6, activation:hswish, no price)"
    old = printed["iphone-11/ane@coreml-ios13"]
    assert old["kernel 3->7"] == "no (kernel:7)" and old["relu6->relu"] == "no (no price)"
