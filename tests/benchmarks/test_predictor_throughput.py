"""The throughput benchmark: its ways agree, its figures are ratios, its input is checked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from palmette.latency import load_predictor
from palmette.space import InputError, SearchSpace, compile_space

TABLES = 40


def test_both_numpy_references_sum_the_rows_of_a_table(benchmark: ModuleType) -> None:
    compiled = compile_space(SearchSpace.preset("mnasnet"))
    table = load_predictor("iphone-11/ane").compile(compiled).table
    codes = compiled.space.sample(TABLES, np.random.default_rng(0))
    rows = table.rows(codes)
    expected = [sum(table.values[row] for row in code) for code in rows]
    for way in (benchmark.gather, benchmark.gather_per_slot):
        assert way(table, rows) == pytest.approx(np.array(expected), rel=1e-12)
        assert way(table, rows) == pytest.approx(table.sums(codes), rel=1e-12)


def test_compiled_predictions_keep_up_with_numpy_and_leave_traces_behind(
    benchmark: ModuleType,
) -> None:
    # a test beside this one may hold the memory's bandwidth for a while: one of some tries counts
    tries = (benchmark.measure("iphone-13/ane", "mnasnet", codes=5000, repeats=3) for _ in range(5))
    metrics = next((one for one in tries if one["ratio_to_numpy"] >= 0.2), None)
    assert metrics is not None
    assert metrics["ratio_to_numpy_one_gather"] >= metrics["ratio_to_numpy"]
    assert metrics["ratio_to_traced"] > 1000
    assert metrics["candidates_per_second"] > metrics["traced_per_second"]
    assert 0 < metrics["compile_seconds_cached"] < metrics["compile_seconds"]
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    benchmark.show(metrics)


def test_paths_that_disagree_end_the_benchmark(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = SearchSpace.preset("mnasnet")
    latency = load_predictor("iphone-13/ane").compile(compile_space(space))
    slow = benchmark.traced

    def wrong(*arguments: object) -> object:
        found = slow(*arguments)
        return type(found)(found.ms, found.lower_ms, found.upper_ms * (1 + 1e-6))

    monkeypatch.setattr(benchmark, "traced", wrong)
    with pytest.raises(AssertionError, match="compiled and traced upper_ms disagree"):
        benchmark.take_turns(latency, space, 10, 2, seed=7)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"target": "iphone-99/ane"}, "target 'iphone-99/ane' is unknown"),
        ({"space_name": "nowhere"}, "space 'nowhere' is unknown"),
        ({"codes": 2}, "--codes: needs"),
        ({"repeats": 0}, "--repeats: needs"),
    ],
)
def test_bad_input_is_refused(benchmark: ModuleType, values: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        benchmark.measure(**values)


def test_an_unknown_target_is_one_line_and_code_2(
    benchmark: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "it.json"
    arguments = ["predictor_throughput.py", "--target", "iphone-99/ane", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert benchmark.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1 and "target 'iphone-99/ane'" in said.err
    assert not out.exists()
