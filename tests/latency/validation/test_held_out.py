"""Held-out rows: nothing leaks into a fold, kin go together, scores by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from palmette.latency import TARGETS
from palmette.latency.kin import kin_of
from palmette.latency.uncertainty import design
from palmette.latency.validation.baselines import BASELINES
from palmette.latency.validation.held_out import (
    CONFIDENCES,
    MODERN_TARGET,
    Row,
    Timed,
    coverage,
    headline,
    held_out_rows,
    median_factor,
    scores,
    timed_families,
)
from palmette.latency.whole.model import Fits

FAMILY = "ane-ios16"


def row(measured: float, predicted: float, factor: float = 1.25, **values: Any) -> Row:
    given = {"target": MODERN_TARGET, "subject": "mobilenet_v2"} | values
    return Row(
        **given,
        measured_ms=measured,
        predicted_ms=predicted,
        factors=dict.fromkeys(CONFIDENCES, factor),
        baselines_ms=dict.fromkeys(BASELINES, 2 * measured),
    )


def modern_of(timings: pd.DataFrame, fits: Fits | None = None) -> Timed:
    return next(timed for timed in timed_families(timings, fits) if timed.family == FAMILY)


@pytest.fixture(scope="module")
def modern(timings: pd.DataFrame, fits: Fits) -> dict[str, list[Row]]:
    timed = modern_of(timings, fits)
    return {split: held_out_rows(timed, split) for split in ("network", "family")}


@pytest.mark.parametrize(
    ("split", "group", "held", "rows"),
    [
        pytest.param("network", design, "mobilenet_v2", 4, marks=pytest.mark.sweep),
        ("family", kin_of, "repvit", 10),
    ],
)
def test_what_is_held_out_has_no_say_in_its_own_prediction(
    timings: pd.DataFrame,
    modern: dict[str, list[Row]],
    split: str,
    group: Callable[[str], str],
    held: str,
    rows: int,
) -> None:
    """Ten times its milliseconds, on all targets and in all widths, change nothing about it."""
    scale = timings["subject"].map(lambda name: 10.0 if group(name) == held else 1.0)
    altered = held_out_rows(
        modern_of(timings.assign(latency_ms=timings["latency_ms"] * scale)), split
    )
    checked = others = 0
    for before, after in zip(modern[split], altered, strict=True):
        assert (before.target, before.subject) == (after.target, after.subject)
        if group(before.subject) == held:
            checked += 1
            assert after.measured_ms == 10 * before.measured_ms
            assert after.predicted_ms == before.predicted_ms
            assert after.factors == before.factors
            assert dict(after.baselines_ms) == dict(before.baselines_ms)
        else:
            others += after.predicted_ms != before.predicted_ms
    assert checked == rows
    assert others == len(altered) - checked  # the test can tell


@pytest.mark.parametrize("split", ["network", "family"])
def test_every_timing_is_held_out_once(
    timings: pd.DataFrame, modern: dict[str, list[Row]], split: str
) -> None:
    wanted = timings[timings["target"].map(lambda name: TARGETS[name].family == FAMILY)]
    found = sorted((r.target, r.subject, r.measured_ms) for r in modern[split])
    rows = zip(wanted["target"], wanted["subject"], wanted["latency_ms"], strict=True)
    assert found == sorted(rows)
    assert {r.split for r in modern[split]} == {split}


def test_a_design_without_kin_has_the_same_prediction_in_both_splits(
    modern: dict[str, list[Row]],
) -> None:
    alone = ("mobilenet_v2", "mobilenet_v2_1.4", "mobilenet_v3_large", "mobilenet_v3_large_0.75")
    ms = [
        {(r.target, r.subject): r.predicted_ms for r in rows if r.subject in alone}
        for rows in modern.values()
    ]
    assert len(ms[0]) == 6 and ms[0] == ms[1]


@pytest.mark.sweep
def test_a_family_column_decides_who_is_kin(timings: pd.DataFrame, fits: Fits) -> None:
    names = timings["subject"]
    table = timings.assign(family=names.where(names == "resnet50", "").replace("resnet50", "mine"))
    assert modern_of(timings).groups("family")["resnet50"] == "resnet"
    assert modern_of(table).groups("family")["resnet50"] == "mine"
    assert modern_of(table).groups("family")["resnet18_backbone_512"] == "resnet"
    assert modern_of(table).groups("network") == modern_of(timings).groups("network")


def test_a_family_without_timings_is_not_among_the_timed(timings: pd.DataFrame) -> None:
    only = timings[timings["target"] == "iphone-11/cpu@coreml-ios13"]
    # the Neural Engine's fallback is in the table, the Neural Engine is not
    assert [timed.family for timed in timed_families(only)] == ["cpu-2020"]


def test_a_group_that_leaves_too_little_has_no_rows(
    timing_table: Callable[..., pd.DataFrame],
) -> None:
    names = ("repvit_m0.9", "repvit_m1.0", "repvit_m1.1", "mobilenet_v2", "resnet50")
    table = timing_table(*((name, MODERN_TARGET, 1.0 + i / 5) for i, name in enumerate(names)))
    (timed,) = timed_families(table)
    assert len(held_out_rows(timed)) == 5
    # three designs are left without MobileNetV2's family or ResNet's, two without RepViT's
    assert {r.subject for r in held_out_rows(timed, "family")} == {"mobilenet_v2", "resnet50"}


def test_any_other_target_is_held_out_by_itself(timing_table: Callable[..., pd.DataFrame]) -> None:
    names = ("mobilenet_v1", "mobilenet_v2", "mnasnet_a1", "fbnet_c", "resnet50")
    mine = "my-phone/ane@coreml-ios18"
    table = timing_table(*((name, mine, 1.0 + i / 5) for i, name in enumerate(names)))
    (timed,) = timed_families(table)
    rows = held_out_rows(timed)
    assert [r.subject for r in rows] == sorted(names)
    assert {r.target for r in headline(rows, mine)} == {mine}


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
    assert row(1.0, 1.25, 1.25).covered() and row(1.25, 1.0, 1.25).covered()
    assert not row(1.0, 1.26, 1.25).covered() and not row(1.26, 1.0, 1.25).covered()


def test_a_higher_confidence_has_a_wider_interval(modern: dict[str, list[Row]]) -> None:
    for found in modern["network"]:
        factors = [found.factors[confidence] for confidence in CONFIDENCES]
        assert factors == sorted(factors) and factors[0] > 1
    shares = [coverage(modern["network"], confidence) for confidence in CONFIDENCES]
    widths = [median_factor(modern["network"], confidence) for confidence in CONFIDENCES]
    assert shares == sorted(shares) and widths == sorted(widths)


def test_headline_networks_are_the_mobilenet_like_or_the_whole_ones() -> None:
    old = "iphone-11/cpu@coreml-ios13"
    rows = [
        row(1, 1, target=old, subject="mobilenet_v1"),
        row(1, 1, target=old, subject="ghostnet_1.0"),
        row(1, 1, target=MODERN_TARGET, subject="resnet50"),
        row(1, 1, target=MODERN_TARGET, subject="resnet50_backbone_512"),
    ]
    assert [r.subject for r in headline(rows, old)] == ["mobilenet_v1"]
    assert [r.subject for r in headline(rows, MODERN_TARGET)] == ["resnet50"]
