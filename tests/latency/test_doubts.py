"""Timings of a wrong size are doubted, in a line with both values; those of real phones are not."""

import math

from palmette.latency import LatencyPredictor
from palmette.latency.doubts import FAR, far_from_kin, far_from_others

KIN = {"a": 0.5, "b": 0.6, "c": 2.0, "d": 1.0, "e": 1.0}


def test_microseconds_and_seconds_are_asked_about_with_both_values() -> None:
    (line,) = far_from_kin({"a": 510.0, "b": 0.6, "c": 2100.0}, KIN, "iphone-13/ane")
    assert line.startswith("2 of 3 networks: more than 20 times slower than iphone-13/ane (c: 2100")
    assert "; a: 510 ms, there 0.5 ms)" in line and "are these microseconds" in line
    (line,) = far_from_kin({"a": 0.0005, "b": 0.6}, KIN, "iphone-13/ane")
    assert "1 of 2 networks: more than 20 times faster" in line and "are these seconds?" in line


def test_three_networks_are_named_and_more_are_counted() -> None:
    (line,) = far_from_kin({name: 1000 * ms for name, ms in KIN.items()}, KIN, "x")
    assert line.count(" there ") == 3 and "; 2 more)" in line


def test_a_phone_that_is_slower_by_less_than_the_bound_is_believed() -> None:
    assert far_from_kin({name: 0.99 * FAR * ms for name, ms in KIN.items()}, KIN, "x") == ()


def test_a_network_that_contradicts_the_others_is_named_and_they_are_not() -> None:
    timed = {**KIN, "f": 1000.0}
    errors = {**dict.fromkeys(KIN, 0.1), "f": -math.log(1000)}
    (line,) = far_from_others(timed, errors)
    assert line.startswith("1 of 6 networks contradict the others; farthest off, each left out: f:")
    assert "f: 1000 ms, predicted 1 ms; are" in line and "a:" not in line


def test_a_held_out_error_above_the_bound_is_told_with_the_farthest() -> None:
    (line,) = far_from_others(KIN, {"a": 2.0, "b": 1.0, "c": 0.5, "d": 0.1, "e": -0.1})
    assert line.startswith("the held-out error is 179 %, predictions say little; farthest off")
    assert "a: 0.5 ms, predicted 3.69 ms; b: " in line and "; c: " in line and "d: " not in line


def test_without_milliseconds_nothing_is_said() -> None:
    assert far_from_others({}, {"a": 9.0}) == ()


def test_no_published_target_is_doubted_unless_a_timing_is_a_thousand_times_too_long(
    refitted: dict[str, LatencyPredictor],
) -> None:
    for predictor in refitted.values():
        assert predictor.doubts_ == ()
        timed, errors = predictor.timed_ms_, dict(predictor.held_out_errors_)
        first = min(errors)
        moved = {**errors, first: errors[first] - math.log(1000)}
        assert f"{first}: " in far_from_others(timed, moved)[0]
