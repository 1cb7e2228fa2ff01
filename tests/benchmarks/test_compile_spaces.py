"""The benchmark of compiling: a real space, and the file of made ones."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from palmette.space import SearchSpace, compile_space


def test_a_real_space_is_compiled(benchmark: ModuleType) -> None:
    found = benchmark.compilation("fbnet")
    wanted = compile_space(SearchSpace.preset("fbnet"))
    assert (found.name, found.blocks) == ("fbnet", len(wanted.block_params))
    assert min(found.first_s, found.first_process_s, found.cached_s) > 0


def test_the_slowest_preset_is_written_with_its_command(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = {
        "mnasnet": benchmark.Compilation("mnasnet", 7, 3.0, 2.5, 0.1),
        "mobilenet_v2": benchmark.Compilation("mobilenet_v2", 9, 2.0, 1.5, 0.2),
    }
    monkeypatch.setattr(benchmark, "compilation", made.__getitem__)
    out = tmp_path / "figures.json"
    benchmark.main(["--space", "mobilenet_v2", "--space", "mnasnet", "--out", str(out), "--json"])
    found = json.loads(out.read_text("utf-8"))
    assert found["command"].endswith("compile_spaces.py --space mobilenet_v2 --space mnasnet")
    assert (found["slowest_s"], found["slowest_process_s"]) == (3.0, 2.5)
    assert [row["name"] for row in found["spaces"]] == ["mobilenet_v2", "mnasnet"]
    assert found["spaces"][0]["cached_s"] == 0.2 and found["cores"] > 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed.items() <= found.items()
