"""Intervals: Student-t factors, classes, designs and the hull, all by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from palmette.latency import LatencyPredictor
from palmette.latency.op_lists import network_ops
from palmette.latency.uncertainty import (
    CHANNELS,
    HULL_GROWTH,
    LEAST_SPREAD,
    Uncertainty,
    class_index,
    design,
    estimate,
    held_out_errors,
    held_out_fits,
    hull_channels,
    hull_sums,
)
from palmette.latency.whole.model import Measured, fit_family
from palmette.space import InputError, OpTable, load

HULL = ((math.log(100), math.log(400)), (math.log(4), math.log(10)), (math.log(2), math.log(8)))
KNOWN = Uncertainty((0.1, 0.3), (10, 17), HULL)


def sums(
    macs: float = 200.0,
    elements: float = 6.0,
    weights: float = 4.0,
    *,
    dense: float = 10.0,
    depthwise: float = 20.0,
    unusual: float = 0.0,
) -> NDArray[np.float64]:
    """Sums of `CHANNELS`; by default of a mobile network inside the hull."""
    return np.array([dense, depthwise, unusual, macs, elements, weights])


# Student's t at 0.9 and 0.8 of 10 degrees of freedom, and at 0.9 of 17, from printed tables
T10_90, T10_80, T17_90 = 1.372184, 0.879058, 1.333379


def test_the_factor_is_a_student_t_interval_of_the_log() -> None:
    expected = math.exp(T10_90 * 0.1 * math.sqrt(1.1))
    assert KNOWN.factor(sums(), 0.8) == pytest.approx(expected, rel=1e-6)


def test_a_one_sided_factor_takes_the_quantile_of_one_side() -> None:
    expected = math.exp(T10_80 * 0.1 * math.sqrt(1.1))
    assert KNOWN.factor(sums(), 0.8, two_sided=False) == pytest.approx(expected, rel=1e-6)


def test_other_networks_take_the_spread_of_all() -> None:
    expected = math.exp(T17_90 * 0.3 * math.sqrt(1 + 1 / 17))
    assert KNOWN.factor(sums(unusual=1), 0.8) == pytest.approx(expected, rel=1e-6)


def test_factors_of_a_batch_are_those_of_its_rows() -> None:
    rows = np.array([sums(), sums(unusual=1), sums(macs=1000)])
    batch = KNOWN.factor(rows, 0.8)
    assert batch.tolist() == [float(KNOWN.factor(row, 0.8)) for row in rows]
    assert KNOWN.factor(rows.reshape(3, 1, -1), 0.8).shape == (3, 1)


def test_more_confidence_is_a_wider_interval() -> None:
    factors = [float(KNOWN.factor(sums(), c)) for c in (0.51, 0.7, 0.8, 0.9, 0.99)]
    assert factors == sorted(factors) and factors[0] > 1
    assert len(set(factors)) == len(factors)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 0.0, -1.0, 2.0, math.nan])
def test_a_confidence_outside_its_range_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence: must be above 0.5 and below 1"):
        KNOWN.factor(sums(), confidence)


def test_work_outside_the_hull_widens_the_spread_by_the_largest_log_distance() -> None:
    assert KNOWN.log_spread(sums()) == pytest.approx(0.1, rel=1e-12)
    twice = KNOWN.log_spread(sums(macs=800))
    assert twice == pytest.approx(math.hypot(0.1, HULL_GROWTH * math.log(2)), rel=1e-9)
    both = KNOWN.log_spread(sums(macs=800, weights=2 / 3))
    assert both == pytest.approx(math.hypot(0.1, HULL_GROWTH * math.log(3)), rel=1e-9)


def test_outside_means_beyond_any_side_of_the_hull() -> None:
    inside = np.array([sums(), sums(macs=100, elements=4, weights=2), sums(400, 10, 8)])
    assert KNOWN.outside(inside).tolist() == [False, False, False]
    for values in ({"macs": 99}, {"macs": 401}, {"elements": 3.9}, {"weights": 8.1}):
        assert bool(KNOWN.outside(sums(**values)))


@pytest.mark.parametrize(
    ("values", "index"),
    [
        ({}, 0),
        ({"dense": 100.0}, 0),  # half of 200
        ({"dense": 100.1}, 1),
        ({"depthwise": 0.0}, 1),
        ({"unusual": 1.0}, 1),
    ],
)
def test_the_class_of_sums_by_hand(values: dict[str, float], index: int) -> None:
    assert int(class_index(sums(**values))) == index


@pytest.mark.parametrize(
    ("network", "index"),
    [
        ("mobilenet_v2", 0),
        ("efficientnet_b0", 0),
        ("ghostnet_1.0", 0),
        ("repvit_m1.0", 0),
        ("mobileone_s1", 0),
        ("resnet50", 1),
        ("tinyyolo_v2", 1),
        ("shufflenet_v2_1.5", 1),  # permutes
        ("espnet_v2_2.0", 1),  # dilates
        ("squeezenet_v1.1", 1),
    ],
)
def test_the_class_of_known_networks(network: str, index: int) -> None:
    ops = OpTable.of(network_ops(network))
    assert int(class_index(hull_channels(ops).sum(axis=0))) == index


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("mobilenet_v2", "mobilenet_v2"),
        ("mobilenet_v2_1.4", "mobilenet_v2"),
        ("mobilenet_v2@192x256", "mobilenet_v2"),
        ("mobilenet_v3_large_0.75", "mobilenet_v3_large"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
        ("efficientnet_b0_backbone_512", "efficientnet_b0"),
        ("repvit_m1.1_backbone_512", "repvit_m1.1"),
        ("tinyyolo_v2", "tinyyolo_v2"),
        ("squeezenet_v1.1", "squeezenet_v1.1"),
        ("squeezenext_23v5_2.0_as_timed", "squeezenext_23v5"),
        ("mixnet_m_as_timed", "mixnet_m"),
        ("lists/mobilenet_v2_0.5.csv", "mobilenet_v2"),
        ("lists/mine.csv", "mine"),
    ],
)
def test_a_design_is_a_name_without_width_and_resolution(network: str, expected: str) -> None:
    assert design(network) == expected


def test_the_design_of_a_text_does_not_know_its_resolution() -> None:
    text = "64x64 stem_k3_s2_c8_relu | ir_r1_k3_s1_e6_c16_relu | head"
    assert design(text) == design(text.replace("64x64", "96x128"))
    assert design(text) != design(text.replace("c16", "c24"))


def test_the_text_of_a_zoo_network_has_the_design_of_its_name() -> None:
    for name in ("mobilenet_v2", "efficientnet_b0"):
        assert design(load(name).with_resolution(160).to_text()) == name


def test_channels_are_summed_in_their_order(measured_of: Callable[..., Measured]) -> None:
    texts = ["conv 4x8x8 -> 8x8x8 k3", "conv 8x8x8 -> 8x8x8 k3 g8", "permute 8x8x8 -> 8x8x8"]
    measured = measured_of({}, {"it": texts})
    dense, depthwise = 9 * 4 * 8 * 64 / 1e6, 9 * 8 * 64 / 1e6
    elements, weights = ((4 + 8) + 16) * 64 / 1e6, (8 * 37 + 8 * 10) / 1e6
    expected = [dense, depthwise, 1, dense + depthwise, elements, weights]
    assert hull_sums(measured, "it") == pytest.approx(expected, rel=1e-12)
    by_ops = hull_channels(measured.ops["it"]).sum(axis=0)
    assert by_ops == pytest.approx(expected, rel=1e-12)
    assert CHANNELS[3:] == ("macs", "elements", "weights")


def nets(*names: str) -> dict[str, list[str]]:
    """Mobile networks of growing width."""
    return {
        name: [
            f"conv 3x32x32 -> {c}x16x16 k3 s2",
            f"conv {c}x16x16 -> {c}x16x16 k3 g{c}",
            f"conv {c}x16x16 -> {8 * c}x16x16",
        ]
        for c, name in enumerate(names, start=8)
    }


def test_a_design_counts_once_however_often_it_was_timed(
    measured_of: Callable[..., Measured],
) -> None:
    measured = measured_of({}, nets("a_0.5", "a_1.0", "a@64x64", "b_1.0"))
    found = estimate(measured, {"a_0.5": 0.1, "a_1.0": -0.3, "a@64x64": 0.2, "b_1.0": 0.2})
    squares = [(0.01 + 0.09 + 0.04) / 3, 0.04]
    assert found.networks == (2, 2)
    assert found.spread == pytest.approx((math.sqrt(sum(squares) / 2),) * 2, rel=1e-12)


def test_the_mobile_spread_leaves_other_networks_out(
    measured_of: Callable[..., Measured],
) -> None:
    measured = measured_of({}, nets("a", "b") | {"odd": ["conv 8x16x16 -> 8x16x16 k3"]})
    found = estimate(measured, {"a": 0.1, "b": -0.1, "odd": 1.0})
    assert found.networks == (2, 3)
    assert found.spread == pytest.approx((0.1, math.sqrt((0.01 + 0.01 + 1) / 3)), rel=1e-12)


def test_a_class_that_nobody_timed_takes_the_spread_of_all(
    measured_of: Callable[..., Measured],
) -> None:
    measured = measured_of({}, {"x": ["conv 8x16x16 -> 8x16x16 k3"], "y": ["linear 10 -> 10"]})
    found = estimate(measured, {"x": 0.2, "y": 0.4})
    assert found.networks == (2, 2)
    assert found.spread[0] == found.spread[1]


def test_no_spread_is_below_the_digits_of_timings(measured_of: Callable[..., Measured]) -> None:
    found = estimate(measured_of({}, nets("a", "b")), {"a": 0.0, "b": 0.0})
    assert found.spread == (LEAST_SPREAD, LEAST_SPREAD)


def test_the_hull_spans_the_timed_networks(measured_of: Callable[..., Measured]) -> None:
    measured = measured_of({}, nets("a", "b", "c"))
    found = estimate(measured, {"a": 0.1, "b": 0.1, "c": 0.1})
    logs = np.log([hull_sums(measured, name)[3:] for name in ("a", "c")])
    assert np.array(found.hull) == pytest.approx(logs.T, rel=1e-12)
    assert not any(bool(found.outside(hull_sums(measured, name))) for name in "abc")


def test_held_out_errors_are_those_of_a_fit_without_the_design(
    measured_of: Callable[..., Measured],
) -> None:
    names = [f"{letter}_{width}" for letter in "abcde" for width in ("0.5", "1.0")]
    target = "iphone-13/ane@coreml-ios16"
    latency_ms = {target: {name: 1.0 + 0.2 * i for i, name in enumerate(names)}}
    measured = measured_of(latency_ms, nets(*names))
    fits = held_out_fits("ane-ios16", measured)
    assert set(fits) == set("abcde")
    errors = held_out_errors([target], measured, fits)[target]
    assert set(errors) == set(names)
    model = fits["b"][target]
    assert errors["b_1.0"] == pytest.approx(
        math.log(model.predict([measured.ops["b_1.0"]])[0] / latency_ms[target]["b_1.0"])
    )
    inside = {n: ms for n, ms in latency_ms[target].items() if not n.startswith("b_")}
    assert len(inside) == 8
    assert model == fit_family("ane-ios16", measured_of({target: inside}, nets(*names)))[target]


def test_an_uncertainty_comes_back_from_json(shipped: dict[str, LatencyPredictor]) -> None:
    for predictor in shipped.values():
        known = predictor.uncertainty_
        assert Uncertainty.from_dict(json.loads(json.dumps(known.to_dict()))) == known
