"""The table of proofs covers every head in every form, and goes on where it was stopped."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from palmette.space import ZOO, InputError


def test_a_detector_has_a_row_for_each_form_of_its_format(benchmark: ModuleType) -> None:
    rows = benchmark.cases([], ["ssdlite", "lraspp"], benchmark.TARGETS, [])
    assert [(row.task, row.kind, row.nms, row.system) for row in rows] == [
        ("ssdlite", "mlprogram", "pipeline", ""),
        ("ssdlite", "mlprogram", "none", ""),
        ("ssdlite", "mlprogram", "program", "iOS16"),
        ("ssdlite", "mlprogram", "program", "iOS17"),
        ("ssdlite", "neuralnetwork", "pipeline", ""),
        ("ssdlite", "neuralnetwork", "none", ""),
        ("lraspp", "mlprogram", "", ""),
        ("lraspp", "neuralnetwork", "", ""),
    ]


def test_every_network_head_and_scheme_is_asked_for_by_default(benchmark: ModuleType) -> None:
    rows = benchmark.cases(list(ZOO), benchmark.HEADS, benchmark.TARGETS, benchmark.EVERY_SCHEME)
    assert {row.network for row in rows} == set(ZOO)
    assert {row.task for row in rows} == {"", *benchmark.HEADS}
    assert {row.scheme for row in rows} == {"", *benchmark.EVERY_SCHEME}


@pytest.mark.parametrize(
    ("names", "tasks", "schemes"),
    [(["mobilenet_v9"], [], []), ([], ["poses"], []), ([], [], ["zip"])],
)
def test_unknown_names_are_refused(
    benchmark: ModuleType, names: list[str], tasks: list[str], schemes: list[str]
) -> None:
    with pytest.raises(InputError, match="known: "):
        benchmark.cases(names, tasks, benchmark.TARGETS, schemes)


def test_only_rows_that_passed_with_the_same_code_are_kept(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    row = benchmark.Row("a", "", "t", "", "", "", "mlprogram", True, code=benchmark.code_state())
    rows = [row, replace(row, network="b", passed=False), replace(row, network="c", code="old")]
    benchmark.write(tmp_path / "table.csv", rows)
    assert benchmark.earlier(tmp_path / "table.csv") == [row]
    assert benchmark.earlier(tmp_path / "none.csv") == []


def test_a_network_that_fails_is_a_row_with_its_reason(benchmark: ModuleType) -> None:
    case = benchmark.Case("mobilenet_v2", "ssdlite", "iphone-11/ane@coreml-ios13", nms="program")
    row = benchmark.proof(case, 1, "state")
    assert not row.passed and row.reason.startswith("InputError: nms: 'program' is an op of ML")


@pytest.mark.slow
def test_the_script_verifies_a_network_and_prints_its_metrics(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    out = tmp_path / "proofs.csv"
    words = ["--network", "mobilenet_v3_small", "--task", "--scheme", "--images", "1", "--json"]
    script = [sys.executable, benchmark.__file__, *words, "--processes", "1", "--out", str(out)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout.splitlines()[-1])
    assert metrics["packages"] == metrics["passed"] == 2
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["format"] for row in rows] == ["mlprogram", "neuralnetwork"]
    assert all(float(row["graph_error"]) < 1e-5 for row in rows)
    # the bias of the image and the cast of the output are ops of an ML Program alone
    assert [int(row["ops"]) for row in rows] == [162, 160]
