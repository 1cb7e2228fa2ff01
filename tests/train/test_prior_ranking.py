"""The ranking benchmark: its figures by hand, its input, and its claims on the real table."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from palmette.space import Architecture, InputError, SearchSpace, load

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "prior_ranking.py"
HEADER = "id,stage1,stage2,stage3,stage4,stage5,stage6,stage7,params_m,top1,top5"
B0 = "0,k3_e1_r1_se,k3_e6_r2_se,k5_e6_r2_se,k3_e6_r3_se,k5_e6_r3_se,k5_e6_r4_se,k3_e6_r1_se"
SMALL = "1,k3_e1_r1,k3_e1_r1,k3_e1_r1,k3_e1_r1,k3_e1_r1,k3_e1_r1,k3_e1_r1"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("prior_ranking", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def test_rows_are_architectures_of_the_preset(benchmark: ModuleType, tmp_path: Path) -> None:
    space = SearchSpace.preset("mnasnet")
    table = benchmark.read_table(write(tmp_path, f"{B0},5.29,70.1,90", f"{SMALL},1,50,70"), space)
    assert space.decode(table.codes[0]) == load("efficientnet_b0")
    assert table.params_m.tolist() == [5.29, 1.0] and table.top1.tolist() == [70.1, 50.0]
    text = space.decode(table.codes[1]).to_text()
    assert Architecture.from_text(text) == space.decode(table.codes[1])
    assert "ir" not in text


def test_regret_of_a_ranking_by_hand(benchmark: ModuleType) -> None:
    top1 = np.arange(60.0, 80.0)  # 20 networks
    assert benchmark.regret(top1, top1) == 0.0
    assert benchmark.regret(-top1, top1) == 10.0  # the ten worst: their best is 69
    assert benchmark.regret(-top1[:4], top1[:4]) == 0.0  # fewer than a shortlist: all are taken


def test_tau_and_regrets_of_rankings_by_hand(benchmark: ModuleType) -> None:
    top1, macs = np.arange(60.0, 80.0), np.linspace(210, 590, 20)
    perfect = benchmark.rank_quality(top1, top1, macs)
    assert (perfect["kendall_tau"], perfect["kendall_tau_top20"]) == (1.0, 1.0)
    assert perfect["regret_best_of_10"] == 0.0
    swapped = top1.copy()
    swapped[[18, 19]] = swapped[[19, 18]]  # one of 190 pairs, and one of the 6 of the best four
    found = benchmark.rank_quality(swapped, top1, macs)
    assert found["kendall_tau"] == pytest.approx(1 - 2 / 190)
    assert found["kendall_tau_top20"] == pytest.approx(1 - 2 / 6)
    assert list(found["regrets"]) == [250, 300, 350, 400, 500]  # nothing is under 200 M


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ((f"{B0},5,70,90",), HEADER, "at least two rows"),
        ((f"{B0},5,70,90",) * 2, HEADER.replace("top1", "acc"), "column 'top1' is missing"),
        ((f"{B0},5,70,90", f"{SMALL},1,nan,1"), HEADER, "line 3: top1 must be a positive"),
        ((f"{B0},5,-1,90", f"{SMALL},1,60,1"), HEADER, "line 2: top1 must be a positive"),
        ((f"{B0},5,70,90", f"{SMALL},,60,1"), HEADER, "line 3: params_m must be a positive"),
        ((f"{B0},5,70,90", SMALL), HEADER, "line 3: params_m must be a positive"),
        ((f"{B0},5,70,90", f"{SMALL},1,60,1".replace("k3", "3x3", 1)), HEADER, "stage1 must read"),
        (
            (f"{B0},5,70,90", f"{SMALL},1,60,1".replace("k3", "k7", 1)),
            HEADER,
            r"stage1.kernel must be one of \[3, 5\], got 7",
        ),
    ],
)
def test_bad_tables_are_refused(
    benchmark: ModuleType, tmp_path: Path, rows: tuple[str, ...], header: str, message: str
) -> None:
    path = write(tmp_path, *rows, header=header)
    with pytest.raises(InputError, match=message):
        benchmark.read_table(path, SearchSpace.preset("mnasnet"))


def test_a_missing_table_is_one_line_and_code_2(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--table", str(tmp_path / "no.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and "no.csv: cannot be read" in done.stderr


def test_claims_hold_on_the_published_table(benchmark: ModuleType) -> None:
    if not benchmark.DEFAULT_TABLE.exists():
        pytest.skip("the published table is not beside this repository")
    metrics = benchmark.measure(benchmark.DEFAULT_TABLE)
    assert metrics["kendall_tau"] >= 0.72
    assert metrics["kendall_tau_top20"] >= 0.42
    assert metrics["regret_best_of_10"] <= 0.5
    assert metrics["params_max_diff_m"] < 1e-6
    assert metrics["kendall_tau"] > metrics["rankings"]["params"]["kendall_tau"]
    assert json.loads(json.dumps(metrics))["rows"] == metrics["rows"]
    assert math.isfinite(metrics["guarded_share"])
