"""A new phone from a few timings: one scale, prices, states, intervals, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency import LatencyPredictor, Target
from palmette.latency import uncertainty as spreads
from palmette.latency.effects import CHANGES
from palmette.latency.targets import parse_target
from palmette.latency.uncertainty import hull_sums
from palmette.latency.validation.validate import monotonicity_violations
from palmette.latency.whole import few_shot as module
from palmette.latency.whole.few_shot import (
    OTHER_RUNTIME_SPREAD,
    SCALE_ROWS,
    TRANSFER_NETWORKS,
    TRANSFER_SPREAD,
    Known,
    adapt,
    transfer,
    transfer_uncertainty,
)
from palmette.latency.whole.fitted import Fitted, measured_networks
from palmette.latency.whole.model import Fits, Measured, TargetModel
from palmette.space import MOBILENET_LIKE, InputError, SearchSpace, compile_space

SOURCE = "iphone-13/ane@coreml-ios16"
NEW = Target("iphone-14", "ane", "coreml-ios16", "", "", 7.9)
"""With the peak rate of the source, so that floors are the same."""
THREE = ("mobilenet_v2", "efficientnet_b0", "mobilenet_v4_conv_medium")
EIGHT = (*THREE, "repvit_m1.0", "mobileone_s2", "fastvit_t12", "repnext_m3", "efficientnet_b1")
MOBILE = (*MOBILENET_LIKE, "ghostnet_1.0", "mixnet_m_as_timed")
OLD_ANE = "iphone-11/ane@coreml-ios13"


@pytest.fixture(scope="module")
def modern(timings: pd.DataFrame, fits: Fits) -> Measured:
    """Timings of the iPhones 13 and 12."""
    return measured_networks(timings, "ane-ios16", fits)


@pytest.fixture(scope="module")
def known(modern: Measured) -> Known:
    """The iPhone 13."""
    return Known.of(SOURCE, modern)


@pytest.fixture(scope="module")
def old(timings: pd.DataFrame, fits: Fits) -> Measured:
    """Timings of 2020, of all units."""
    return measured_networks(timings, "ane-2020", fits)


@pytest.fixture
def scaled(modern: Measured) -> Callable[..., Measured]:
    """Timings of the new phone: the iPhone 13's own times a factor, with some replaced."""

    def build(names: tuple[str, ...], factor: float = 1.3, **changed: float) -> Measured:
        rows = {name: modern.latency_ms[SOURCE][name] * factor for name in names}
        return Measured({str(NEW): {**rows, **changed}}, modern.ops)

    return build


# One scale


def test_three_timings_of_mobile_networks_give_one_scale(
    known: Known, modern: Measured, scaled: Callable[..., Measured]
) -> None:
    model = transfer(known, NEW, scaled(THREE))
    for network in modern.ops:
        ours, theirs = (modern.predict(network, m) for m in (model, known.model))
        assert ours == pytest.approx(1.3 * theirs, rel=1e-9)


def test_networks_that_the_known_phone_did_not_time_are_compared_with_its_model(
    modern: Measured,
) -> None:
    known = Known.of(SOURCE, modern.without(frozenset(THREE)))
    rows = {name: 0.8 * modern.predict(name, known.model) for name in THREE}
    model = transfer(known, NEW, Measured({str(NEW): rows}, modern.ops))
    assert model.states[0].scale == pytest.approx(0.8, rel=1e-9)


def test_milliseconds_of_a_wrong_size_are_fitted_and_doubted(
    modern: Measured, scaled: Callable[..., Measured]
) -> None:
    assert adapt(SOURCE, modern, NEW, scaled(THREE)).far_off == ()
    (line,) = adapt(SOURCE, modern, NEW, scaled(THREE, mobilenet_v2=730.0)).far_off
    assert "1 of 3 networks: more than 20 times slower than iphone-13/ane@coreml-ios16" in line
    assert "(mobilenet_v2: 730 ms, there 0.73 ms)" in line


def test_one_wild_timing_in_three_moves_the_scale_a_little(
    known: Known, modern: Measured, scaled: Callable[..., Measured]
) -> None:
    """Soft L1: two pull with x / 0.1 / sqrt(1 + (x / 0.1)^2) = 1 / 2, so x = 0.1 / sqrt(3)."""
    wild = scaled(THREE, 1.0, mobilenet_v2=100 * modern.latency_ms[SOURCE]["mobilenet_v2"])
    scale = transfer(known, NEW, wild).states[0].scale
    assert math.log(scale) == pytest.approx(0.1 / math.sqrt(3), rel=0.02)


# Prices


def slow_to_start(model: TargetModel, factor: float) -> TargetModel:
    """The model of a phone whose constant is longer."""
    (state,) = model.states
    (part,) = state.components
    slower = replace(part, constant_ms=factor * part.constant_ms)
    return replace(model, states=(replace(state, components=(slower,)),))


def test_eight_timings_find_a_price_that_changed(
    known: Known, modern: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = slow_to_start(known.model, 3.0)
    own = {n: ms / modern.predict(n, known.model) for n, ms in modern.latency_ms[SOURCE].items()}
    rows = {name: own[name] * modern.predict(name, truth) for name in EIGHT}
    timed = Measured({str(NEW): rows}, modern.ops)
    others = [n for n in modern.latency_ms[SOURCE] if n not in EIGHT and "_512" not in n]

    def error() -> float:
        model = transfer(known, NEW, timed)
        ratios = [modern.predict(n, model) / modern.predict(n, truth) for n in others]
        return float(np.mean(np.abs(np.log(ratios))))

    prices = error()
    monkeypatch.setattr(module, "SCALE_ROWS", len(EIGHT))
    assert prices < 0.6 * error()  # that of one scale


def test_more_than_three_timings_that_say_the_same_keep_the_known_prices(
    known: Known, modern: Measured, scaled: Callable[..., Measured]
) -> None:
    same = transfer(known, NEW, scaled(EIGHT, 1.0))
    slower = transfer(known, NEW, scaled(EIGHT, 1.3))
    assert slower.states[0].scale == 1.0  # it went into the prices
    for network in modern.ops:
        before, after = (modern.predict(network, model) for model in (known.model, same))
        assert after == pytest.approx(before, rel=1e-6)
    for network in EIGHT:  # near, as floors stay what they are
        before, after = (modern.predict(network, model) for model in (known.model, slower))
        assert after == pytest.approx(1.3 * before, rel=0.03)


def test_three_timings_with_one_of_another_class_fit_prices(
    known: Known, scaled: Callable[..., Measured]
) -> None:
    ms = {"resnet18_backbone_512": 9.0}
    timed = scaled(THREE[:2], 1.3, **ms)
    found = transfer(known, NEW, timed).states[0]
    assert found.scale == 1.0
    assert found.components != known.model.states[0].components


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.01, 1000), min_size=3, max_size=8))
def test_prices_stay_positive_whatever_was_timed(
    known: Known, modern: Measured, times: list[float]
) -> None:
    rows = dict(zip(EIGHT, times, strict=False))
    (state,) = transfer(known, NEW, Measured({str(NEW): rows}, modern.ops)).states
    (part,) = state.components
    assert all(0 < value < math.inf for value in (state.scale, part.constant_ms, *part.prices_ms))


# States and forms


def test_both_states_of_the_old_neural_engine_move_to_the_new_phone(old: Measured) -> None:
    target = parse_target("iphone-xr/ane@coreml-ios13")
    names = ("mobilenet_v2", "mobilenet_v3_large", "mnasnet_a1")
    rows = {name: 1.5 * old.latency_ms[OLD_ANE][name] for name in names}
    known = Known.of(OLD_ANE, old)
    model = transfer(known, target, Measured({str(target): rows}, old.ops))
    assert [state.feature for state in model.states] == ["moves", "gates", ""]
    units = [str(state.components[0].target) for state in model.states]
    assert units == [f"iphone-xr/{unit}@coreml-ios13" for unit in ("cpu", "gpu", "ane")]
    for name in ("mobilenet_v1", "efficientnet_b0", "shufflenet_v2_1.5"):
        ratio = old.predict(name, model) / old.predict(name, known.model)
        assert ratio == pytest.approx(1.5, rel=0.03)  # floors of an unknown chip


def test_a_state_with_many_timings_gets_prices_and_the_others_the_scale(old: Measured) -> None:
    target = parse_target("iphone-xr/ane@coreml-ios13")
    names = ("mobilenet_v1", "mobilenet_v2", "fbnet_c", "efficientnet_lite0", "mnasnet_a1")
    assert len(names) - 1 > SCALE_ROWS
    rows = {name: 1.5 * old.latency_ms[OLD_ANE][name] for name in names}
    known = Known.of(OLD_ANE, old)
    model = transfer(known, target, Measured({str(target): rows}, old.ops))
    before = {state.feature: state.scale for state in known.model.states}
    after = {state.feature: state.scale for state in model.states}
    assert after[""] == before[""]
    assert after["gates"] == pytest.approx(1.5 * before["gates"], rel=0.05)  # floors


@pytest.mark.parametrize(("unit", "forms"), [("cpu", ["cpu_linear"]), ("gpu", ["gpu_roofline"])])
def test_the_forms_are_those_that_predict_the_known_phone_best(
    timings: pd.DataFrame, unit: str, forms: list[str]
) -> None:
    name = f"iphone-11/{unit}@coreml-ios13"
    measured = measured_networks(timings[timings["target"] == name], f"{unit}-2020")
    known = Known.of(name, measured)
    assert [c.form.name for c in known.model.states[-1].components] == forms
    blends = spreads.held_out_fits(f"{unit}-2020", measured)
    errors = spreads.held_out_errors([name], measured, blends)[name]
    blended = np.mean([abs(error) for n, error in errors.items() if n in MOBILE])
    assert known.mobile_error < blended


# Everything that is fitted


@pytest.fixture(scope="module")
def fitted(modern: Measured) -> Fitted:
    """A phone that no table knows, from three timings."""
    rows = {name: 0.9 * modern.latency_ms[SOURCE][name] for name in THREE}
    target = parse_target("my-phone/ane@coreml-ios18")
    return adapt(SOURCE, modern, target, Measured({str(target): rows}, modern.ops))


def test_a_phone_of_ones_own_is_fitted_in_full(fitted: Fitted) -> None:
    assert isinstance(fitted.model, TargetModel)
    assert str(fitted.model.target) == "my-phone/ane@coreml-ios18"
    assert set(fitted.held_out_errors) == set(THREE)
    assert [effect.name for effect in fitted.effects] == list(CHANGES)
    assert all(effect.low <= effect.change <= effect.high for effect in fitted.effects)
    assert fitted.support.squeeze_excitation and 5 in fitted.support.kernels
    assert len(fitted.timings_hash) == 16


def test_its_predictor_is_stored_compiled_and_rises_with_the_work(fitted: Fitted) -> None:
    fresh = LatencyPredictor("my-phone/ane@coreml-ios18")._take(fitted)
    predictor = LatencyPredictor.from_json(json.dumps(fresh.to_dict()), "memory")
    assert predictor.model_ == fitted.model and predictor.uncertainty_ == fitted.uncertainty
    compiled = compile_space(SearchSpace.preset("mnasnet"))
    codes = compiled.space.sample(3, np.random.default_rng(0))
    traced = predictor.predict([compiled.space.decode(code) for code in codes])
    assert predictor.compile(compiled).ms(codes) == pytest.approx(traced, rel=1e-9)
    assert monotonicity_violations(predictor, compiled, 2000, seed=0) == 0


def test_a_held_out_error_knows_nothing_of_its_network(modern: Measured) -> None:
    target = parse_target("my-phone/ane@coreml-ios18")
    held = THREE[0]
    errors = []
    for known_factor, new_factor in ((1.0, 1.0), (5.0, 2.0)):
        table = {t: dict(rows) for t, rows in modern.latency_ms.items()}
        rows = {name: table[SOURCE][name] for name in THREE}
        for own in table.values():
            own.update({n: known_factor * ms for n, ms in own.items() if held in n})
        rows[held] *= new_factor
        measured = Measured(table, modern.ops)
        fit = adapt(SOURCE, measured, target, Measured({str(target): rows}, modern.ops))
        errors.append(fit.held_out_errors[held])
    assert errors[0] - errors[1] == pytest.approx(math.log(2), abs=1e-6)


# Intervals


def test_the_interval_adds_the_known_phones_errors_and_the_transfers(
    known: Known, scaled: Callable[..., Measured]
) -> None:
    """Three ratios that agree, and three imaginary networks of spread 0.1."""
    own = known.uncertainty
    found = transfer_uncertainty(known, NEW, scaled(THREE))
    between = TRANSFER_NETWORKS * TRANSFER_SPREAD**2 / (2 + TRANSFER_NETWORKS)
    model_part = own.spread[0] ** 2 * (1 + 1 / own.networks[0])
    chip_part = between * (1 + 1 / 3)
    freedom = (model_part + chip_part) ** 2 / (
        model_part**2 / own.networks[0] + chip_part**2 / (2 + TRANSFER_NETWORKS)
    )
    assert found.networks[0] == int(freedom)
    total = found.spread[0] ** 2 * (1 + 1 / found.networks[0])
    assert total == pytest.approx(model_part + chip_part, rel=1e-6)


def test_two_anchors_do_and_the_prior_tells_how_far_they_may_be_off(
    known: Known, modern: Measured
) -> None:
    """Little is seen of a spread with two: what is imagined of it rules, and more for a runtime."""
    rows = {name: 0.7 * modern.latency_ms[SOURCE][name] for name in THREE[:2]}
    spreads = []
    for runtime in ("coreml-ios16", "coreml-ios17"):
        target = parse_target(f"my-phone/ane@{runtime}")
        found = adapt(SOURCE, modern, target, Measured({str(target): rows}, modern.ops))
        assert found.prior == SOURCE and set(found.held_out_errors) == set(rows)
        spreads.append(found.uncertainty.spread[0])
    own = known.uncertainty.spread[0]
    assert own < spreads[0] < spreads[1]
    assert spreads[1] > OTHER_RUNTIME_SPREAD * math.sqrt(TRANSFER_NETWORKS / 4)


def test_ratios_that_disagree_widen_the_interval_and_more_that_agree_narrow_it(
    known: Known, modern: Measured, scaled: Callable[..., Measured]
) -> None:
    ms = modern.latency_ms[SOURCE]["mobilenet_v2"]
    sums = hull_sums(modern, "mobilenet_v2")
    factors = [
        float(transfer_uncertainty(known, NEW, timed).factor(sums, 0.8))
        for timed in (
            scaled(EIGHT),
            scaled(THREE),
            scaled(THREE, 1.3, mobilenet_v2=2.0 * ms),
        )
    ]
    assert float(known.uncertainty.factor(sums, 0.8)) < factors[0] < factors[1] < factors[2]


def test_networks_new_to_the_known_phone_show_its_models_error_too(modern: Measured) -> None:
    """Ratios as wide as that error say nothing against the transfer, but blur the scale."""
    strange = Known.of(SOURCE, modern.without(frozenset(THREE)))
    spread = strange.uncertainty.spread[0]
    rows = {
        name: modern.predict(name, strange.model) * math.exp(sign * spread * 0.9)
        for name, sign in zip(THREE, (-1, 0, 1), strict=True)
    }
    own = strange.uncertainty
    found = transfer_uncertainty(strange, NEW, Measured({str(NEW): rows}, modern.ops))
    between = TRANSFER_NETWORKS * TRANSFER_SPREAD**2 / (2 + TRANSFER_NETWORKS)
    expected = spread**2 * (1 + 1 / own.networks[0] + 1 / 3) + between * (1 + 1 / 3)
    assert found.spread[0] ** 2 * (1 + 1 / found.networks[0]) == pytest.approx(expected, rel=1e-6)


def test_the_hull_holds_the_networks_of_both_phones(old: Measured) -> None:
    known = Known.of(OLD_ANE, old)
    names = frozenset(n for n in old.ops if n != "mobilenet_v3_small")
    small = Known.of(OLD_ANE, old.without(frozenset(old.ops) - names))
    target = parse_target("iphone-xr/ane@coreml-ios13")
    timed = Measured({str(target): {"mobilenet_v3_small": 9.0}}, old.ops)
    sums = hull_sums(old, "mobilenet_v3_small")
    assert small.uncertainty.outside(sums) and not known.uncertainty.outside(sums)
    assert not transfer_uncertainty(small, target, timed).outside(sums)


# What is refused


@pytest.mark.parametrize(
    ("source", "target", "rows", "said"),
    [
        (SOURCE, "x/gpu@coreml-ios16", THREE, "name a gpu"),
        ("iphone-15/ane@coreml-ios18", "x/ane@coreml-ios18", THREE, "no timings to start from"),
        (SOURCE, "x/ane@coreml-ios16", (), "0 networks timed"),
        (SOURCE, "x/ane@coreml-ios16", ("mobilenet_v2", "mobilenet_v2_1.4"), "1 networks timed"),
    ],
)
def test_what_cannot_be_transferred_is_refused(
    modern: Measured, source: str, target: str, rows: tuple[str, ...], said: str
) -> None:
    times = {target: dict.fromkeys(rows, 1.0)}
    with pytest.raises(InputError, match=said):
        adapt(source, modern, parse_target(target), Measured(times, modern.ops))


def test_networks_with_ops_that_have_no_price_do_not_count(modern: Measured, old: Measured) -> None:
    target = parse_target("my-phone/ane@coreml-ios18")
    rows = dict.fromkeys(("mobilenet_v2", "shufflenet_v2_1.5", "espnet_v2_2.0"), 1.0)
    with pytest.raises(InputError, match="1 networks timed, of those whose ops all have a price"):
        adapt(SOURCE, modern, target, Measured({str(target): rows}, old.ops))
