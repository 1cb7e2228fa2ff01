"""The benchmark of package sizes: errors of made packages, and the file of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from palmette.search.objectives.quantities import quantities_of
from palmette.space import SearchSpace, load, presets


def test_networks_are_the_first_references_and_one_of_each_preset(benchmark: ModuleType) -> None:
    (one, first), (other, second), *drawn = found = list(benchmark.networks(2, seed=7))
    assert (one, other) == ("mobilenet_v1", "mobilenet_v2")
    assert (first, second) == (load(one), load(other))
    assert [name for name, _ in drawn] == [f"{name}, random" for name in presets()]
    for (_, network), preset in zip(drawn, presets(), strict=True):
        space = SearchSpace.preset(preset)
        assert space.decode(space.encode(network)) == network
    assert list(benchmark.networks(2, seed=7)) == found
    assert list(benchmark.networks(0, seed=8)) != drawn


def test_errors_are_of_what_is_counted_against_what_was_written(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = load("mobilenet_v3_small")
    counted = {n: quantities_of(network, (n,))["package_mb"] for n in ("float16", "int8", "int4")}
    factors = {"float16": 1.0, "int8": 0.8, "int4": 1.25}
    sizes = {name: round(1e6 * mb * factors[name]) for name, mb in counted.items()}
    monkeypatch.setattr(benchmark, "networks", lambda count, seed: [("one", network)])
    monkeypatch.setattr(benchmark, "written", lambda network, folder: sizes)
    out = tmp_path / "figures.json"
    monkeypatch.setattr(sys, "argv", ["package_sizes.py", "--seed", "3", "--out", str(out)])
    benchmark.main()
    found = json.loads(out.read_text("utf-8"))
    assert found["command"] == "python benchmarks/package_sizes.py --networks 8 --seed 3"
    errors = {row["precision"]: row["error_percent"] for row in found["packages"]}
    assert errors == pytest.approx({"float16": 0.0, "int8": 25.0, "int4": -20.0}, abs=1e-3)
    assert found["package_mb_error_max_percent"] == pytest.approx(25.0, abs=1e-3)
    assert found["package_mb_error_max_percent_int4"] == pytest.approx(20.0, abs=1e-3)
