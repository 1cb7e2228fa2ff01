"""The per-op benchmark: planted phones, its input, and its claims on real timings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from palmette.space import InputError

OP_COLUMNS = (
    *("framework", "device", "processor", "precision", "network", "op_index", "op"),
    *("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel", "stride", "groups"),
    *("n_inputs", "act", "fused", "latency_ms", "unit"),
)
NETWORK_COLUMNS = ("device", "processor", "network", "latency_ms", "unit")
FAMILY_COLUMNS = ("network", "family")
PASSPORT = {"framework": "lite", "device": "made", "processor": "gpu", "precision": "fp16"}


def op_row(network: str, index: int, random: np.random.Generator) -> dict[str, Any]:
    """A timed convolution; 1e-9 ms a MAC, 1e-8 ms an element, 0.01 ms to start."""
    size, read = int(random.choice([7, 14, 28, 56])), int(random.integers(2, 60)) * 4
    depthwise = bool(random.integers(2))
    written = read if depthwise else int(random.integers(2, 60)) * 4
    kernel = int(random.choice([3, 5])) if depthwise else 1
    macs = size**2 * written * (kernel**2 if depthwise else read)
    ms = 0.01 + 1e-9 * macs * (10 if depthwise else 1) + 1e-8 * size**2 * (read + written)
    return {
        **PASSPORT,
        **{"network": network, "op_index": index, "op": "dwconv" if depthwise else "conv"},
        **{"in_h": size, "in_w": size, "in_c": read, "out_h": size, "out_w": size},
        **{"out_c": written, "kernel": kernel, "stride": 1, "groups": read if depthwise else 1},
        **{"n_inputs": "", "act": "relu", "fused": "relu", "unit": "ms"},
        "latency_ms": ms * float(np.exp(random.normal(0, 0.02))),
    }


def write(path: Path, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Path:
    lines = [",".join(columns), *(",".join(str(row[c]) for c in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A made phone: 24 networks of 8 families, each 1.2 times its sum and 0.8 ms."""
    folder, random = tmp_path_factory.mktemp("phone"), np.random.default_rng(0)
    names = [f"net{at}" for at in range(24)]
    ops = [op_row(name, at, random) for name in names for at in range(int(random.integers(6, 40)))]
    sums = {n: sum(row["latency_ms"] for row in ops if row["network"] == n) for n in names}
    networks = [
        {**PASSPORT, "network": n, "latency_ms": 1.2 * ms + 0.8, "unit": "ms"}
        for n, ms in sums.items()
    ]
    families = [{"network": n, "family": f"family{at // 3}"} for at, n in enumerate(names)]
    return {
        "ops": write(folder / "ops.csv", OP_COLUMNS, ops),
        "networks": write(folder / "networks.csv", NETWORK_COLUMNS, networks),
        "families": write(folder / "families.csv", FAMILY_COLUMNS, families),
    }


@pytest.fixture(scope="module")
def metrics(benchmark: ModuleType, files: dict[str, Path]) -> dict[str, Any]:
    """All metrics of the made phone, with few draws."""
    found: dict[str, Any] = benchmark.measure(benchmark.read(**files), draws=5)
    return found


@pytest.mark.slow
def test_a_planted_phone_is_found(metrics: dict[str, Any]) -> None:
    assert metrics["mape_a"] < 2 and metrics["mape_a_p90"] < 2.5
    assert metrics["mape_b"] < 4 and metrics["within10_b"] > 0.9
    assert metrics["mape_raw_sum"] > 20  # the planted bias
    assert metrics["mape_macs"] > metrics["mape_b"]
    assert metrics["coverage_90_p"] > 0.01 and 1 < metrics["interval_factor_90"] < 1.2


@pytest.mark.slow
def test_models_and_baselines_stand_in_one_table(metrics: dict[str, Any]) -> None:
    assert {"chosen", "trees", "power", "parametric", "macs", "parameters", "raw_sum"} < set(
        metrics["table"]
    )
    assert metrics["networks"] == 24 and len(metrics["chosen"]) == 6


def test_a_bad_row_leaves_its_network_out_and_is_listed(
    benchmark: ModuleType, files: dict[str, Path], tmp_path: Path
) -> None:
    lines = files["ops"].read_text("utf-8").splitlines()
    lines[3] = lines[3].removesuffix(",ms") + ",us"
    ops = tmp_path / "ops.csv"
    ops.write_text("\n".join(lines) + "\n", "utf-8")
    loaded = benchmark.read(ops, files["networks"], files["families"])
    assert len(loaded.names) == 23 and "net0" not in loaded.names
    assert "row 4: unit must be ms, got 'us'" in loaded.put_aside[0]
    assert loaded.put_aside[1].startswith("network 'net0' ")
    assert "is incomplete: row 4: unit must be ms" in loaded.put_aside[1]


def test_networks_that_a_file_lacks_are_named(
    benchmark: ModuleType, files: dict[str, Path], tmp_path: Path
) -> None:
    networks, families = tmp_path / "networks.csv", tmp_path / "families.csv"
    text = files["networks"].read_text("utf-8")
    networks.write_text(text.replace(",net5,", ",unknown,"), "utf-8")
    text = files["families"].read_text("utf-8")
    families.write_text(text.replace("net7,", "other,"), "utf-8")
    loaded = benchmark.read(files["ops"], networks, families)
    assert len(loaded.names) == 22
    unknown, *no_partner, net5, net7 = loaded.put_aside
    assert "row 7: subject: network 'unknown' is unknown" in unknown
    assert all("has no row for" in note and "'net7'" in note for note in no_partner)
    assert (net5, net7) == ("net5: left out: no ms", "net7: left out: no family")


def test_two_devices_and_few_families_are_refused(
    benchmark: ModuleType, files: dict[str, Path], tmp_path: Path
) -> None:
    networks, families = tmp_path / "networks.csv", tmp_path / "families.csv"
    networks.write_text(files["networks"].read_text("utf-8").replace("made", "other"), "utf-8")
    with pytest.raises(InputError, match="is of device 'made', .* of 'other'"):
        benchmark.read(files["ops"], networks, files["families"])
    rows = [{"network": f"net{at}", "family": f"family{at % 3}"} for at in range(24)]
    write(families, FAMILY_COLUMNS, rows)
    with pytest.raises(InputError, match="6 folds need as many families, got 3"):
        benchmark.read(files["ops"], files["networks"], families)


def test_a_missing_file_ends_the_script_with_2(benchmark: ModuleType) -> None:
    done = subprocess.run(
        [sys.executable, benchmark.__file__, "--ops", "nowhere.csv"], capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: nowhere.csv: no such file\n"


@pytest.mark.slow
def test_the_claims_hold_on_the_real_timings(benchmark: ModuleType, tmp_path: Path) -> None:
    if not all(path.is_file() for path in benchmark.DEFAULTS.values()):
        pytest.skip("the third-party timings are not part of the repository")
    done = subprocess.run(
        [sys.executable, benchmark.__file__, "--json", "--out", str(tmp_path / "found.json")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["mape_a"] <= 4.5 and found["mape_a_p90"] <= 6
    assert found["mape_b"] <= 5.5 and found["within10_b"] >= 0.85
    assert found["coverage_90_p"] > 0.05
