"""The benchmark of intervals on selected networks: means over draws, and its input is checked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from palmette.space import InputError


@pytest.mark.sweep
def test_figures_are_means_over_draws_with_their_standard_error(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {0: 0.7, 1: 0.8, 2: 0.9}
    monkeypatch.setattr(benchmark, "selections", lambda families, compiled, seed: seed)
    monkeypatch.setattr(
        benchmark, "summary", lambda seed: dict.fromkeys(benchmark.NAMES, shares[seed])
    )
    found = benchmark.measure(3, "mnasnet")
    for name in benchmark.NAMES:
        assert found[name] == pytest.approx(0.8)
        assert found[f"{name}_error"] == pytest.approx(0.1 / np.sqrt(3))


def test_one_draw_has_no_standard_error(benchmark: ModuleType) -> None:
    with pytest.raises(InputError, match="--draws: must be at least 2, got 1"):
        benchmark.measure(1, "mnasnet")


def test_the_means_are_written_with_their_command(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metrics = {name: 0.8 for name in benchmark.NAMES} | {f"{n}_error": 0.1 for n in benchmark.NAMES}
    monkeypatch.setattr(benchmark, "measure", lambda draws, space: {"draws": draws, **metrics})
    out = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["selected_coverage.py", "--draws", "3", "--out", str(out)])
    assert benchmark.main() == 0
    command = "python benchmarks/selected_coverage.py --draws 3 --space mobilenet_v2"
    assert json.loads(out.read_text("utf-8")) == {"command": command, "draws": 3, **metrics}
