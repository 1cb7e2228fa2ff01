"""Baselines: a line is found, offsets are not negative, neighbours are scaled by their MACs."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from palmette.latency.validation.baselines import BASELINES
from palmette.latency.whole.model import Measured


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
