"""Models: states of the old Neural Engine, sums by hand, folds, JSON there and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor, find_target
from palmette.latency.whole.fitted import measured_networks
from palmette.latency.whole.forms import FORMS, floor_ms
from palmette.latency.whole.model import Component, Fits, Measured, State, TargetModel, fit_family
from palmette.space import Op, OpTable, load
from tests.sweep import sweep

ANE = find_target("iphone-11/ane")
GPU = find_target("iphone-11/gpu")
CONV = "conv 100x10x10 -> 100x10x10"  # 1 M MACs, 0.02 M elements, 0.0101 M weights
GATE = "mul 100x10x10 + 100x1x1 -> 100x10x10"
SHUFFLE = "permute 100x10x10 -> 100x10x10"
OPS = load("mobilenet_v2").ops()


def native(constant_ms: float = 2.0) -> Component:
    return Component(FORMS["ane_native_ios13"], constant_ms, (0.5, 10.0, 0.25), ANE)


def on_gpu() -> Component:
    prices = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Component(FORMS["gpu_linear"], 5.0, prices, GPU)


@pytest.fixture
def two_states() -> TargetModel:
    """Gated networks take twice what the GPU takes."""
    return TargetModel(ANE, (State("gates", (on_gpu(),), 2.0), State("", (native(),))))


def test_a_network_costs_a_constant_its_floors_and_its_prices(
    ops_of_texts: Callable[..., OpTable],
) -> None:
    model = TargetModel(ANE, (State("", (native(),)),))
    ops = ops_of_texts(CONV, CONV)
    floor = 1 / 3000 + (0.02 + 0.0101) * 0.002
    expected = 2.0 + 2 * (floor + 0.5 * 1 + 10 * 0.02 + 0.25)
    assert model.predict([ops])[0] == pytest.approx(expected, rel=1e-12)


def test_blended_forms_meet_in_their_geometric_mean(ops_of_texts: Callable[..., OpTable]) -> None:
    ops = ops_of_texts(CONV)
    alone = [TargetModel(ANE, (State("", (native(c),)),)).predict([ops])[0] for c in (1.0, 7.0)]
    both = TargetModel(ANE, (State("", (native(1.0), native(7.0)), 1.5),))
    assert both.predict([ops])[0] == pytest.approx(1.5 * math.sqrt(alone[0] * alone[1]), rel=1e-12)


def test_one_gate_moves_the_whole_network(
    two_states: TargetModel, ops_of_texts: Callable[..., OpTable]
) -> None:
    free, gated = ops_of_texts(CONV, CONV), ops_of_texts(CONV, CONV, GATE)
    assert two_states.state_of(free) == "" and two_states.state_of(gated) == "gates"
    layers = 3 + floor_ms(gated, GPU).sum()
    assert two_states.predict([gated])[0] == pytest.approx(2.0 * (5.0 + layers), rel=1e-12)
    assert two_states.predict([free, gated])[0] == two_states.predict([free])[0]


def test_the_first_state_that_a_network_shows_holds(ops_of_texts: Callable[..., OpTable]) -> None:
    states = (State("moves", (native(100.0),)), State("gates", (on_gpu(),)), State("", (native(),)))
    model = TargetModel(ANE, states)
    assert model.state_of(ops_of_texts(CONV, GATE, SHUFFLE)) == "moves"
    assert model.state_of(ops_of_texts(CONV, GATE)) == "gates"
    assert model.predict([ops_of_texts(CONV, SHUFFLE)])[0] > 100


def test_combine_takes_batches_of_any_shape(
    two_states: TargetModel, ops_of_texts: Callable[..., OpTable]
) -> None:
    tables = [ops_of_texts(CONV), ops_of_texts(CONV, GATE)]
    sums = np.array([two_states.channels(ops).sum(axis=0) for ops in tables])
    flat = two_states.combine(sums)
    assert flat.tolist() == two_states.predict(tables).tolist()
    assert two_states.combine(sums.reshape(2, 1, -1)).tolist() == [[flat[0]], [flat[1]]]


# The shipped models


def test_a_gated_network_on_the_old_neural_engine_takes_its_gpu_time(
    shipped: dict[str, LatencyPredictor],
) -> None:
    for phone in ("iphone-11", "iphone-xs"):
        ane, gpu = shipped[f"{phone}/ane@coreml-ios13"], shipped[f"{phone}/gpu@coreml-ios13"]
        scale = next(s.scale for s in ane.model_.states if s.feature == "gates")
        assert 0.8 < scale < 1.1
        for network in ("mobilenet_v3_large", "efficientnet_b0", "mnasnet_a1", "mixnet_m_as_timed"):
            assert ane.model_.state_of(OpTable.of(ops_named(network))) == "gates"
            assert ane.predict([network])[0] == pytest.approx(
                scale * gpu.predict([network])[0], rel=1e-9
            )


def test_a_shuffled_network_on_the_old_neural_engine_takes_its_cpu_time(
    shipped: dict[str, LatencyPredictor],
) -> None:
    for phone in ("iphone-11", "iphone-xs"):
        ane, cpu = shipped[f"{phone}/ane@coreml-ios13"], shipped[f"{phone}/cpu@coreml-ios13"]
        scale = next(s.scale for s in ane.model_.states if s.feature == "moves")
        for network in ("shufflenet_v2_1.5", "condensenet_74_g4"):
            assert ane.predict([network])[0] == pytest.approx(
                scale * cpu.predict([network])[0], rel=1e-9
            )


def test_networks_without_gates_or_moves_stay_on_the_old_neural_engine(
    shipped: dict[str, LatencyPredictor],
) -> None:
    model = shipped["iphone-11/ane@coreml-ios13"].model_
    for network in ("mobilenet_v2", "efficientnet_lite0", "fbnet_c", "resnet50"):
        assert model.state_of(OpTable.of(ops_named(network))) == ""


def test_other_targets_have_one_state(shipped: dict[str, LatencyPredictor]) -> None:
    for name, predictor in shipped.items():
        wanted = 3 if "ane@coreml-ios13" in name else 1
        assert len(predictor.model_.states) == wanted


def test_a_model_comes_back_from_json(
    shipped: dict[str, LatencyPredictor], all_networks: dict[str, tuple[Op, ...]]
) -> None:
    tables = [OpTable.of(ops) for ops in all_networks.values()]
    for predictor in shipped.values():
        model = predictor.model_
        again = TargetModel.from_dict(json.loads(json.dumps(model.to_dict())))
        assert again == model
        assert again.predict(tables) == pytest.approx(model.predict(tables), rel=1e-12)


# Timings


def test_kept_features_predict_as_ops_do(
    timings: pd.DataFrame, shipped: dict[str, LatencyPredictor]
) -> None:
    measured = measured_networks(timings, "ane-2020")
    for name in ("iphone-11/ane@coreml-ios13", "iphone-11/cpu@coreml-ios13"):
        model = shipped[name].model_
        for network, ops in measured.ops.items():
            assert measured.predict(network, model) == pytest.approx(
                model.predict([ops])[0], rel=1e-12
            )


def test_a_network_left_out_is_left_out_on_every_target(timings: pd.DataFrame) -> None:
    measured = measured_networks(timings, "ane-2020")
    inside = measured.without(frozenset({"mobilenet_v2"})).without(frozenset({"fbnet_c"}))
    assert inside.held_out == {"mobilenet_v2", "fbnet_c"}
    for target, rows in inside.latency_ms.items():
        assert set(measured.latency_ms[target]) - set(rows) == {"mobilenet_v2", "fbnet_c"}
    assert inside.ops is measured.ops


def test_networks_in_a_fallback_or_without_a_price_teach_nothing(timings: pd.DataFrame) -> None:
    measured = measured_networks(timings, "ane-2020")
    assert measured.trains("mobilenet_v2", "ane-2020")
    assert not measured.trains("mobilenet_v3_large", "ane-2020")  # on the GPU
    assert not measured.trains("shufflenet_v2_1.5", "ane-2020")  # on the CPU
    assert not measured.trains("shufflenet_v2_1.5", "ane-ios16")  # permutes
    for family in ("cpu-2020", "gpu-2020"):
        for network in ("mobilenet_v3_large", "shufflenet_v2_1.5", "espnet_v2_2.0"):
            assert measured.trains(network, family)


def test_a_shuffle_takes_the_old_cpu_by_its_size_and_the_old_gpu_by_the_number(
    shipped: dict[str, LatencyPredictor],
) -> None:
    small = (*OPS, Op.from_text(SHUFFLE))
    large = (*OPS, Op.from_text("permute 100x20x20 -> 100x20x20"))
    cpu, gpu = shipped["iphone-11/cpu@coreml-ios13"], shipped["iphone-11/gpu@coreml-ios13"]
    base, once, big = cpu.predict([OPS, small, large])
    assert big - base == pytest.approx(4 * (once - base), rel=0.1)
    base, once, big = gpu.predict([OPS, small, large])
    assert 0.5 < once - base < 2 and big - once < 0.1 * (once - base)


def test_a_dilated_convolution_costs_the_old_cpu_more_than_a_plain_one(
    shipped: dict[str, LatencyPredictor],
) -> None:
    plain = Op.from_text("conv 64x28x28 -> 64x28x28 k3 g64")
    wide = Op.from_text("conv 64x28x28 -> 64x28x28 k3 d2 g64")
    cpu = shipped["iphone-11/cpu@coreml-ios13"]
    base, one, other = cpu.predict([OPS, (*OPS, plain), (*OPS, wide)])
    assert other - base > 2 * (one - base)


# the second runs on the GPU, the third on the CPU
@pytest.mark.parametrize(
    "network",
    sweep(("mobilenet_v2", "mobilenet_v3_large", "shufflenet_v2_1.5"), ["mobilenet_v3_large"]),
)
def test_a_fold_does_not_know_what_it_leaves_out(timings: pd.DataFrame, network: str) -> None:
    """Also not through the units that the old Neural Engine falls back to."""
    altered = timings.assign(
        latency_ms=timings["latency_ms"].where(timings["subject"] != network, 10 * 7.3)
    )
    models = [
        fit_family("ane-2020", measured_networks(t, "ane-2020").without(frozenset({network})))
        for t in (timings, altered)
    ]
    assert models[0] == models[1]


def test_families_of_one_table_share_their_fits(timings: pd.DataFrame) -> None:
    fits: Fits = {}
    cpu = fit_family("cpu-2020", measured_networks(timings, "cpu-2020", fits))
    inside = measured_networks(timings, "ane-2020", fits)
    assert fit_family("cpu-2020", inside) is cpu


def test_the_scale_of_a_fallback_is_drawn_to_one_by_one_network(
    measured_of: Callable[..., Measured],
) -> None:
    """Ratio e on each of two gated networks and two phones: (4 * 1 + 2 * 0) / (4 + 2)."""
    shapes = [(16, 20), (40, 12), (24, 40), (64, 9), (8, 30), (50, 15)]
    ops = {
        f"net{i}": [f"conv {c}x{s}x{s} -> {c}x{s}x{s} k3", f"conv {c}x{s}x{s} -> {2 * c}x{s}x{s}"]
        for i, (c, s) in enumerate(shapes)
    }
    for name in ("net4", "net5"):
        ops[name].append("mul 8x30x30 + 8x1x1 -> 8x30x30")
    ms = {name: 5.0 + i for i, name in enumerate(ops)}
    gated = {name: ms[name] * (math.e if name in ("net4", "net5") else 0.5) for name in ms}
    targets = {
        f"{phone}/{unit}@coreml-ios13": gated if unit == "ane" else ms
        for phone in ("iphone-11", "iphone-xs")
        for unit in ("cpu", "gpu", "ane")
    }
    models = fit_family("ane-2020", measured_of(targets, ops))
    for model in models.values():
        assert [state.feature for state in model.states] == ["moves", "gates", ""]
        assert model.states[0].scale == 1.0  # no network with moves was timed
        assert model.states[1].scale == pytest.approx(math.exp(4 / 6), rel=1e-12)


def ops_named(name: str) -> tuple[Op, ...]:
    from palmette.latency.op_lists import network_ops

    return network_ops(name)
