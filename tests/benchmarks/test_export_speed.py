"""The benchmark of exports: its suite holds different networks, and bad input is one line."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from palmette.export._coremltools import coremltools
from palmette.space import Architecture


def test_the_packages_of_the_suite_are_of_different_networks(benchmark: ModuleType) -> None:
    networks = benchmark.suite(benchmark.PACKAGES)
    assert len({network.id for network in networks}) == benchmark.PACKAGES
    assert all(network.ops() for network in networks)


def test_both_sides_make_a_package_of_the_same_network(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    network = Architecture.from_text("32x32 stem_k3_s2_c8_relu | cn_r1_k3_s1_c8_relu | head_n4")
    for side in benchmark.SIDES.values():
        side(network, tmp_path)
    specs = [
        coremltools().utils.load_spec(str(tmp_path / f"{name}.mlpackage"))
        for name in benchmark.SIDES
    ]
    sizes = [spec.description.input[0].type.imageType.height for spec in specs]
    assert sizes == [32, 32] and specs[0].specificationVersion == specs[1].specificationVersion


def test_a_bad_count_is_one_line(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["export_speed.py", "--rounds", "0"])
    assert benchmark.main() == 2
    assert capsys.readouterr().err == "error: --rounds: must be 1 or more\n"
