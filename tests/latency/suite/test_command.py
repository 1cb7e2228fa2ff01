"""`palmette latency suite` and `palmette latency probes`: what they print, and their exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from palmette import cli
from palmette.latency.chains import Chain
from palmette.latency.suite.manifest import read_manifest
from palmette.latency.suite.probes import series

TARGET = "my-phone/ane@coreml-ios18"
BLOCK = "(ir_r1_k3_s1_e2_c8_relu6)@16x16x8"
Palmette = Callable[..., tuple[int, str, str]]


@pytest.fixture
def palmette(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Palmette:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")  # of the terminal

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["palmette", "latency", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert isinstance(end.value.code, int)
        return (end.value.code, *capsys.readouterr())

    return call


def write_plan(*rows: str) -> None:
    header = "subject_kind,subject,role,target,seconds"
    Path("plan.csv").write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.sweep
def test_a_suite_is_made_and_what_is_left_out_is_said(palmette: Palmette) -> None:
    good, bad = "act 4x6x6 -> 4x6x6 relu", "other 4x6x6 -> 4x6x6"
    write_plan(f"op,{good},op,{TARGET},1", f"op,{bad},op,{TARGET},1")
    code, out, err = palmette("suite", "plan.csv", "--out", "bench", "--processes", "1", "--json")
    assert code == 0
    assert json.loads(out) == {
        "suite": "bench",
        "packages": 1,
        "made": 1,
        "kept": 0,
        "left_out": 1,
        "timings": 1,
        "anchors": 0,
        "units": ["cpuAndNeuralEngine"],
        "seconds": 1.0,
    }
    assert f"left out: op {bad}: " in err and "the plan has no anchors" in err
    assert [entry.subject for entry in read_manifest(Path("bench"))] == [good]
    again = ("suite", "plan.csv", "--out", "bench", "--processes", "1", "--mode", "paced")
    code, out, err = palmette(*again)
    assert out == (
        "bench: 1 packages (1 were there), 1 timings on cpuAndNeuralEngine in about 0 minutes,"
        " 1 left out\n"
        "next: palmette latency app --out timer (the source of the app that times them, for a"
        " Mac)\n"
        "next: palmette latency import results.csv --suite bench --out table.csv (of what the app"
        " wrote)\n"
    )
    assert "bench/settings.json was there and stays" in err
    code, _, err = palmette(*again[:-1], "fast")
    assert code == 2 and "--mode: must be of burst, sustained, paced, got 'fast'" in err


def test_nothing_that_can_be_made_and_no_plan_are_errors_of_one_line(palmette: Palmette) -> None:
    write_plan(f"op,other 4x6x6 -> 4x6x6,op,{TARGET},1")
    code, out, err = palmette("suite", "plan.csv", "--out", "bench", "--processes", "1")
    assert (code, out) == (1, "") and err.startswith("error: no package could be made")
    write_plan("op,act 4x6x6 -> 4x6x6 relu,op,host/cpu@torch-eager,1")
    code, _, err = palmette("suite", "plan.csv", "--out", "other")
    assert code == 2 and "runs no Core ML packages" in err and err.count("\n") == 1
    code, _, err = palmette("suite", "nowhere.csv", "--out", "other")
    assert code == 2 and "nowhere.csv" in err and not Path("other").exists()


def write_table(rows: list[tuple[str, str, float]]) -> None:
    lines = [f"{kind},{subject},{TARGET},{ms:.6g},me" for kind, subject, ms in rows]
    header = "subject_kind,subject,target,latency_ms,source"
    Path("table.csv").write_text("\n".join([header, *lines]) + "\n")


def test_floors_blocks_changes_of_unit_and_drift_are_printed(palmette: Palmette) -> None:
    rows = [("chain", f"{depth}*{BLOCK}", 0.2 + 0.05 * depth) for depth in (4, 16)]
    for probe in series(Chain.from_text(f"8*{BLOCK}")):
        rows.append(("probe", probe.to_text(), 0.6 + 0.01 * probe.count + 0.3 * probe.transfers))
    rows += [("network", "mobilenet_v2", ms) for ms in (1.0, 1.0, 1.08)]
    write_table(rows)
    code, out, _ = palmette("probes", "table.csv", "--json")
    found = json.loads(out)
    assert code == 0
    ms = {key: [row["ms"] for row in found[key]] for key in ("floors", "blocks", "transfers")}
    assert ms == {
        "floors": [pytest.approx(0.2)],
        "blocks": [pytest.approx(0.05)],
        "transfers": [pytest.approx(0.3)],
    }
    assert found["floors"][0]["lower_ms"] < 0.2 < found["floors"][0]["upper_ms"]
    assert found["blocks"][0]["block"] == f"1*{BLOCK}"
    assert not found["transfers"][0]["with_op"]
    (moved,) = [one for one in found["drift"] if one["flagged"]]
    assert (moved["subject"], moved["largest"]) == ("mobilenet_v2", pytest.approx(1.08))
    code, out, _ = palmette("probes", "table.csv")
    assert code == 0 and "8.0 % drifted" in out


def test_an_interval_that_nothing_tells_is_no_number(palmette: Palmette) -> None:
    write_table([("chain", f"{depth}*{BLOCK}", 0.2 + 0.05 * depth) for depth in (4, 16)])
    found = json.loads(palmette("probes", "table.csv", "--json")[1])
    assert found["floors"][0]["lower_ms"] is None and found["drift"] == []
    assert "unknown" in palmette("probes", "table.csv")[1]
    write_table([("network", "mobilenet_v2", 1.0)])
    code, out, err = palmette("probes", "table.csv")
    assert (code, out) == (2, "") and "no chain at two depths" in err
