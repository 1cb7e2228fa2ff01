"""Targets: names, aliases and their table."""

import pytest

from palmette.latency import TARGETS, find_target
from palmette.latency.targets import parse_target
from palmette.space import InputError


def test_ten_targets_of_published_timings_three_of_anchors_and_one_of_timings_per_op() -> None:
    assert len([target for target in TARGETS.values() if target.family]) == 10
    anchored = [target for target in TARGETS.values() if target.like]
    assert [t.device for t in anchored] == ["iphone-14", "iphone-14-pro", "iphone-15-pro"]
    for target in anchored:
        assert not target.family and TARGETS[target.like].unit == target.unit
    others = [str(t) for t in TARGETS.values() if not (t.family or t.like)]
    assert others == ["iphone-xs/gpu@tflite-2.10"]
    for name, target in TARGETS.items():
        assert name == str(target) == f"{target.device}/{target.unit}@{target.runtime}"
        assert target.unit in ("cpu", "gpu", "ane")
        assert target.peak_tmacs > 0


def test_a_target_answers_to_its_name_and_its_alias() -> None:
    for name, target in TARGETS.items():
        assert find_target(name) is target
        assert find_target(target.alias) is target
    assert len({target.alias for target in TARGETS.values()}) == len(TARGETS)


@pytest.mark.parametrize("name", ["", "iphone-99/ane", "my-phone/gpu@coreml-ios18"])
def test_an_unknown_target_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError) as caught:
        find_target(name)
    assert all(t.alias in str(caught.value) for t in TARGETS.values())
    assert "(palmette targets)" in str(caught.value) and len(str(caught.value)) < 350
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*TARGETS, "my-phone/ane@coreml-ios26", "host/cpu@torch-eager"])
def test_any_well_formed_name_is_a_target_with_floors(name: str) -> None:
    target = parse_target(name)
    assert str(target) == name
    assert 0 < target.mac_floor_ms < 0.01


def test_a_known_name_gives_the_known_target() -> None:
    for name, target in TARGETS.items():
        assert parse_target(name) is target
        assert parse_target(target.alias) is target


@pytest.mark.parametrize(
    "name", ["", "iphone-99/ane", "a/xpu@b", "a/cpu@", "../x/cpu@y", "iPhone-99/ANE"]
)
def test_a_malformed_name_is_no_target(name: str) -> None:
    with pytest.raises(InputError, match="must be device/unit@runtime"):
        parse_target(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("iPhone-15/ane@coreml-ios18", "iphone-15/ane@coreml-ios18"),
        ("iPhone 15/NPU@coreml-iOS18", "iphone-15/ane@coreml-ios18"),
        ("iphone-15/neural-engine@coreml-ios18", "iphone-15/ane@coreml-ios18"),
        ("iPhone-13/ANE", "iphone-13/ane"),
        ("iphone-13/npu", "iphone-13/ane"),
    ],
)
def test_capitals_and_other_names_of_a_unit_are_asked_about_without_a_list(
    name: str, meant: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse_target(name)
    assert str(caught.value) == (
        f"target '{name}' is unknown; did you mean {meant}? a target is device/unit@runtime, in"
        " lower case, with the unit cpu, gpu or ane"
    )


@pytest.mark.parametrize("name", ["iphone13/ane", "iphone-13/ane@coreml-ios15", "iPhone-13/ane"])
def test_a_name_that_is_nearly_one_is_asked_about(name: str) -> None:
    with pytest.raises(InputError, match="did you mean iphone-13/ane"):
        find_target(name)


def test_the_short_name_of_a_phone_belongs_to_its_core_ml_target() -> None:
    assert str(find_target("iphone-xs/gpu")) == "iphone-xs/gpu@coreml-ios13"
