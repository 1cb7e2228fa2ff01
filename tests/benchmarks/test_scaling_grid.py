"""The grid of widths and resolutions: figures by hand, and slopes of the shipped predictors."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from palmette.latency import load_predictor


def test_figures_of_a_made_grid(benchmark: ModuleType) -> None:
    widths, sides = np.array(benchmark.WIDTHS), np.array(benchmark.SIDES)
    macs = 1e6 * widths[:, None] ** 2 * sides**2
    found = benchmark.figures(macs, 3.0 * macs**0.5)
    assert found["elasticity_width"] == pytest.approx(0.5)
    assert found["elasticity_resolution"] == pytest.approx(0.5)
    assert found["tau_macs"] == pytest.approx(1) and found["falling_steps"] == 0
    assert found["ms"] == pytest.approx(3.0 * 1e3 * 224)
    ms = 3.0 * macs**0.5
    ms[2, 3] = ms[2, 2]
    assert benchmark.figures(macs, ms)["falling_steps"] == 1


@pytest.mark.parametrize("target", ["iphone-11/cpu", "iphone-xs/gpu", "iphone-x/cpu"])
def test_slopes_of_the_old_units_are_steep_but_not_steeper_than_the_work(
    benchmark: ModuleType, target: str
) -> None:
    """On the CPU twice the width is 2.5 times the time and more: it has little fixed cost."""
    found = benchmark.figures(*benchmark.grid("mobilenet_v1", load_predictor(target)))
    assert found["falling_steps"] == 0 and found["tau_macs"] > 0.95
    assert 0.65 < found["elasticity_width"] < 1
    assert 0.65 < found["elasticity_resolution"] < 1
    assert found["ms_small"] < 0.3 * found["ms"] < 0.3 * found["ms_large"]
