"""The benchmark of the synthetic phone: what it reads off a run, and what is stored."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "synthetic_phone.json"


def test_errors_of_a_run_are_within_five_percent(benchmark: ModuleType, tmp_path: Path) -> None:
    errors = benchmark.recovered(benchmark.time_on(benchmark.ladder(), tmp_path, 0))
    assert {name: len(values) for name, values in errors.items()} == {
        "floor": 1,
        "blocks": 8,
        "cliffs": 7,
        "transfer": 1,
    }
    assert 0 < max(max(values) for values in errors.values()) < benchmark.CLOSE


def test_slow_bursts_of_a_hot_phone_are_counted(benchmark: ModuleType, tmp_path: Path) -> None:
    found = benchmark.heat(1, tmp_path)
    assert found["slow_bursts"] >= 3 and found["slow_bursts_recognised"] == 1


def test_the_stored_figures_are_those_of_a_loop_that_works() -> None:
    stored = json.loads(RESULTS.read_text("utf-8"))
    assert stored["command"].startswith("python benchmarks/synthetic_phone.py --seeds 10 --loops 2")
    for name in ("floor", "blocks", "cliffs", "transfer"):
        assert stored[f"{name}_within_5_percent"] > 0.9
    assert stored["slow_bursts_recognised"] > 0.95
    for loop in ("latency_15min", "sustained_15min"):
        assert stored[f"{loop}_missing_after"] < stored[f"{loop}_missing_before"]
        assert stored[f"{loop}_over_budget_after"] < 0.2
