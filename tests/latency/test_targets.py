"""Targets: names, aliases and their table."""

import pytest

from palmette.latency import TARGETS, find_target
from palmette.latency.targets import relatives
from palmette.space import InputError


def test_the_ten_targets_of_the_published_timings() -> None:
    assert len(TARGETS) == 10
    for name, target in TARGETS.items():
        assert name == str(target) == f"{target.device}/{target.unit}@{target.runtime}"
        assert target.unit in ("cpu", "gpu", "ane")
        assert target.peak_tmacs > 0


def test_a_target_answers_to_its_name_and_its_alias() -> None:
    for name, target in TARGETS.items():
        assert find_target(name) is target
        assert find_target(target.alias) is target
    assert len({target.alias for target in TARGETS.values()}) == len(TARGETS)


@pytest.mark.parametrize("name", ["", "iphone-11", "iphone-99/ane", "iphone-11/ane@coreml-ios16"])
def test_an_unknown_target_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError) as caught:
        find_target(name)
    assert all(known in str(caught.value) for known in TARGETS)
    assert "\n" not in str(caught.value)


def test_relatives_share_a_unit_and_an_era() -> None:
    for target in TARGETS.values():
        kin = relatives(target)
        assert target in kin
        assert {other.unit for other in kin} == {target.unit}
        assert {other.runtime > "coreml-ios15" for other in kin} == {
            target.runtime > "coreml-ios15"
        }
