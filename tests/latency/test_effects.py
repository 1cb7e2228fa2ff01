"""Effects of one change, and which choices a target's timings tell apart."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from palmette.latency import TARGETS, LatencyPredictor
from palmette.latency.effects import CHANGES, NO_PRICE, Support
from palmette.latency.op_lists import network_ops
from palmette.space import Architecture, DepthwiseSeparable, InvertedResidual, load

BASE = load("mobilenet_v2")
WHOLE = [name for name, target in TARGETS.items() if target.family]
"""Targets that are fitted to whole networks."""
OLD = [name for name in WHOLE if "ios16" not in name]
NEW = [name for name in WHOLE if name not in OLD]


def changed(name: str) -> Architecture:
    return CHANGES[name][1](BASE)


def blocks(architecture: Architecture) -> list[Any]:
    return [block for stage in architecture.stages for block in stage]


@pytest.mark.parametrize(("name", "kernel"), [("kernel 3->5", 5), ("kernel 3->7", 7)])
def test_a_kernel_changes_in_every_block_and_nothing_else_does(name: str, kernel: int) -> None:
    text = changed(name).to_text()
    assert text == BASE.to_text().replace("_k3_", f"_k{kernel}_").replace(
        f"stem_k{kernel}", "stem_k3"
    )


def test_halving_the_expansion_spares_the_block_without_one() -> None:
    found = blocks(changed("expansion 6->3"))
    assert isinstance(found[0], DepthwiseSeparable)
    assert changed("expansion 6->3").to_text() == BASE.to_text().replace("_e6_", "_e3_")


@pytest.mark.parametrize(("name", "factor"), [("width -25%", 0.75), ("width +25%", 1.25)])
def test_a_width_changes_all_channels_to_multiples_of_eight(name: str, factor: float) -> None:
    network = changed(name)
    before = BASE.stem.channels
    for block, old in zip(blocks(network), blocks(BASE), strict=True):
        assert block.channels % 8 == 0
        assert abs(block.channels - factor * old.channels) <= 4
        if isinstance(block, InvertedResidual):
            assert block.expanded == 6 * before
        before = block.channels
    assert network.stem.channels == round(32 * factor / 8) * 8
    assert network.head == BASE.head and network.resolution == BASE.resolution


def test_one_more_block_in_every_stage() -> None:
    network = changed("depth +1 per stage")
    for stage, old in zip(network.stages, BASE.stages, strict=True):
        assert stage[:-1] == old
        last: Any = stage[-1]
        assert last.stride == 1 and last.channels == old[-1].out_channels
    assert network.total_stride == BASE.total_stride


def test_gates_squeeze_to_a_quarter_of_the_input() -> None:
    found = blocks(changed("SE in every block"))
    assert found[0].se == 0
    assert [block.se for block in found[1:4]] == [4, 6, 6]  # after 16, 24 and 24 channels
    assert changed("SE in every block").params() > BASE.params()


@pytest.mark.parametrize("act", ["relu", "hswish"])
def test_an_activation_changes_everywhere(act: str) -> None:
    assert changed(f"relu6->{act}").to_text() == BASE.to_text().replace("relu6", act)


def test_resolutions_change_alone() -> None:
    for side in (192, 256):
        assert changed(f"resolution 224->{side}") == BASE.with_resolution(side)


# What the shipped predictors say of them


@pytest.mark.parametrize("target", WHOLE)
def test_more_work_costs_more_and_less_work_less(
    shipped: dict[str, LatencyPredictor], target: str
) -> None:
    found = {effect.name: effect for effect in shipped[target].effects_}
    assert set(found) == set(CHANGES)
    for name in ("kernel 3->5", "kernel 3->7", "width +25%", "depth +1 per stage"):
        assert found[name].low > 0, name
    for name in ("resolution 224->256", "SE in every block"):
        assert found[name].low > 0, name
    for name in ("expansion 6->3", "width -25%", "resolution 224->192"):
        assert found[name].low > -1 and found[name].high < 0, name
    assert found["kernel 3->7"].change > found["kernel 3->5"].change
    assert found["relu6->relu"].change <= 0 <= found["relu6->hswish"].change


@pytest.mark.parametrize("target", WHOLE)
def test_an_effect_lies_in_its_interval_and_is_that_of_the_predictor(
    shipped: dict[str, LatencyPredictor], target: str
) -> None:
    predictor = shipped[target]
    reference = predictor.predict([BASE])[0]
    for effect in predictor.effects_:
        assert effect.low <= effect.change <= effect.high
        ratio = predictor.predict([changed(effect.name)])[0] / reference - 1
        assert effect.change == pytest.approx(ratio, rel=1e-6, abs=1e-9)
        untold = predictor.support_.untold(CHANGES[effect.name][0], effect.change != 0)
        assert effect.identified == (not untold)


@pytest.mark.parametrize("choices", [("kernel:3",), ("kernel:7", "kernel:3"), ("kernel:7",) * 2])
def test_a_change_is_told_if_both_its_sides_were_timed_and_it_has_a_price(
    choices: tuple[str, ...],
) -> None:
    known = Support((3, 5), ("relu",), True, (192, 256))
    missing = ["kernel:7"] if "kernel:7" in choices else []
    assert known.untold(choices, priced=True) == missing
    assert known.untold(choices, priced=False) == [*missing, NO_PRICE]
    assert known.untold((), priced=True) == []


@pytest.mark.parametrize("target", [name for name in WHOLE if "/ane" in name])
def test_a_neural_engine_without_a_price_for_activations_knows_nothing_of_them(
    shipped: dict[str, LatencyPredictor], target: str
) -> None:
    found = {effect.name: effect for effect in shipped[target].effects_}
    for name in ("relu6->relu", "relu6->hswish"):
        assert found[name].low == found[name].change == found[name].high == 0
        assert not found[name].identified
    # on both sides of the one, two designs were timed: what lacks there is the price
    both = shipped[target].support_.has("activation:relu6")
    untold = shipped[target].support_.untold(CHANGES["relu6->relu"][0], priced=False)
    assert untold == ([NO_PRICE] if both else ["activation:relu6", NO_PRICE])


def test_spelt_out_activations_cost_on_the_2020_units_only(
    shipped: dict[str, LatencyPredictor],
) -> None:
    for name, predictor in shipped.items():
        effect = {e.name: e.change for e in predictor.effects_}["relu6->relu"]
        spelt_out = "coreml-ios1" in name and ("/cpu" in name or "/gpu" in name)
        assert (effect < -0.1) if spelt_out else abs(effect) < 1e-9, name


# What is identified


@pytest.mark.parametrize("target", OLD)
def test_a_kernel_of_seven_is_not_known_of_2020(
    shipped: dict[str, LatencyPredictor], target: str
) -> None:
    known = shipped[target].support_
    assert known.has("kernel:3") and known.has("kernel:5")
    assert not known.has("kernel:7") and not known.has("kernel:11")


def test_a_kernel_of_seven_is_known_of_ios_16(shipped: dict[str, LatencyPredictor]) -> None:
    assert all(shipped[target].support_.has("kernel:7") for target in NEW)
    assert not any(shipped[target].support_.has("kernel:9") for target in WHOLE)


def test_hard_swish_is_unknown_where_no_native_network_has_it(
    shipped: dict[str, LatencyPredictor],
) -> None:
    for phone in ("iphone-11", "iphone-xs"):
        known = shipped[f"{phone}/ane@coreml-ios13"].support_
        assert not known.has("activation:hswish") and not known.has("activation:swish")
        assert known.has("activation:relu6") and known.has("activation:relu")
        assert shipped[f"{phone}/gpu@coreml-ios13"].support_.has("activation:hswish")


def test_widths_of_one_design_tell_no_more_than_one_of_them(
    timings: pd.DataFrame, shipped: dict[str, LatencyPredictor]
) -> None:
    """MobileNetV3-Large, in two widths, has the only hard-swishes of the iPhone 13."""
    timed = timings.loc[timings["target"] == "iphone-13/ane@coreml-ios16", "subject"]
    having = [name for name in timed if any(op.act == "hswish" for op in network_ops(name))]
    assert sorted(having) == ["mobilenet_v3_large", "mobilenet_v3_large_0.75"]
    assert not any(shipped[target].support_.has("activation:hswish") for target in NEW)


def test_gates_are_known_everywhere(shipped: dict[str, LatencyPredictor]) -> None:
    assert all(predictor.support_.has("se:1") for predictor in shipped.values())


def test_resolutions_reach_a_quarter_beyond_the_timed_ones(
    shipped: dict[str, LatencyPredictor],
) -> None:
    known = shipped["iphone-11/cpu@coreml-ios13"].support_
    assert known.resolutions == (179, 320)  # 224 / 1.25 and 256 * 1.25
    for side, expected in ((160, False), (178, False), (179, True), (320, True), (321, False)):
        assert known.has(f"resolution:{side}") is expected


def test_a_choice_without_a_rule_counts_as_work() -> None:
    none = Support((), (), False, (224, 224))
    assert none.has("kernel:1") and not none.has("kernel:3")
    assert not none.has("se:1") and not none.has("activation:relu")
    assert none.has("resolution:224") and not none.has("resolution:225")
