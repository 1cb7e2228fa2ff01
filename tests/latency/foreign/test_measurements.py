"""Measurements of coremltools: what its benchmarker gives, as JSON, becomes timings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from palmette.latency.foreign.forms import import_files
from palmette.latency.foreign.measurements import FORMAT
from palmette.space import InputError
from tests.latency.foreign.conftest import Answers

SAMPLES = [0.6, 0.58, 0.62, 0.6, 0.7]


def device(*names: str) -> dict[str, Any]:
    return {"preferred": {names[0]: {}}, "supported": [{name: {}} for name in names]}


PLAN = {
    "infos": [
        {
            "deviceUsage": device("neuralEngine", "cpu") if at < 2 else device("cpu"),
            "estimatedCost": 0.4 if at < 2 else 0.2,
            "path": {
                "components": [
                    {"program": {}},
                    {"programFunction": {"data": {"name": "main"}}},
                    {"programBlock": {"data": {"index": 0}}},
                    {"programOperation": {"data": {"outputName": f"op{at}"}}},
                ]
            },
        }
        for at in range(3)
    ]
}


def write(folder: Path, *changes: dict[str, Any], **others: Any) -> Path:
    entry = {"package": "p2.mlpackage", "units": "cpuAndNeuralEngine", "samples": SAMPLES}
    data = {
        **{"format": FORMAT, "machine": "iPhone16,1", "os_version": "18.1", "os_build": "22B83"},
        **{"measurements": [{**entry, **change} for change in changes]},
        **others,
    }
    path = folder / "timed.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_a_measurement_of_coremltools_is_a_timing(answers: Answers, tmp_path: Path) -> None:
    from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

    measured = MLModelBenchmarker.Measurement.from_samples(SAMPLES)
    path = write(tmp_path, {**dataclasses.asdict(measured), "plan": PLAN})
    found = import_files([path], suite=answers.suite)
    row = found.rows.iloc[0]
    assert row["latency_ms"] == "0.6" and row["placement"] == "ane 2, cpu 1"
    assert row["target"] == "iphone-15-pro/ane@coreml-ios18" and row["repeats"] == "5"
    assert row["source"] == "coremltools benchmark, iPhone16,1, 18.1 22B83"
    assert row["flags"] == "anchor no passport" and row["os_build"] == "22B83"


def test_a_plan_is_read_as_coremltools_reads_it() -> None:
    from coremltools.models.ml_program.experimental.remote_device import ComputePlan

    from palmette.latency.placement import from_plan

    theirs, ours = ComputePlan.from_dict(PLAN), from_plan(PLAN)
    assert theirs is not None and ours is not None
    names = {"NeuralEngineDevice": "ane", "CPUDevice": "cpu", "GPUDevice": "gpu"}
    for info, op in zip(theirs.infos.values(), ours.ops, strict=True):
        assert names[type(info.device_usage.preferred).__name__] == op.preferred
        assert [names[type(one).__name__] for one in info.device_usage.supported] == list(
            op.supported
        )
        assert info.estimated_cost == op.cost
        assert info.path.components[-1].output_name == op.output
    assert from_plan(theirs.to_dict()) == ours


def test_a_package_is_known_by_its_hash(answers: Answers, tmp_path: Path) -> None:
    sha256 = answers.entries[5].sha256
    path = write(tmp_path, {"package": "renamed.mlpackage", "sha256": sha256}, {"sha256": "0" * 64})
    found = import_files([path], suite=answers.suite)
    assert found.rows["subject"].tolist() == ["mobilenet_v1"]
    assert [bad.reason for bad in found.left_out] == [
        "sha256 000000000000.. is not in manifest.csv"
    ]


def test_a_mac_s_measurements_are_a_mac_s(answers: Answers, tmp_path: Path) -> None:
    path = write(tmp_path, {}, machine="Mac15,6", system="macos", os_version="15.1")
    found = import_files([path], suite=answers.suite)
    assert found.rows["target"].tolist() == ["mac-15-6/ane@coreml-macos15"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": []}, "samples must be a list of times, got []"),
        ({"samples": [0.6, None]}, "sample 2 must be a positive time, got None"),
        ({"samples": [True]}, "sample 1 must be a positive time"),
        ({"samples": [0.0006]}, "median_ms must be at least 0.005 ms"),
        ({"statistics": {"median": 0.0006}}, "statistics.median must be that of the samples, 0.6"),
        ({"statistics": []}, "statistics must be an object"),
        ({"units": "ALL"}, "units must be one of cpuOnly"),
        ({"package": 3}, "package must be a text, got 3"),
        ({"package": "holiday.mlpackage"}, "package 'holiday.mlpackage' is not in manifest.csv"),
        ({"plan": {}}, "the compute plan: 'infos' must be a list"),
        ({"plan": {"infos": [{}]}}, "entry 0: expected an object, got None"),
        (
            {"plan": {"infos": [{"deviceUsage": {"supported": [], "preferred": {"npu": {}}}}]}},
            "expected an object",
        ),
    ],
)
def test_a_bad_measurement_is_left_out_by_itself(
    answers: Answers, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    found = import_files([write(tmp_path, change, {})], suite=answers.suite)
    (bad,) = found.left_out
    assert reason in bad.reason and bad.row == 1 and len(found.rows) == 1


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"format": "palmette/measurements@2"}, "'format' must be 'palmette/measurements@1'"),
        ({"measurements": {}}, "'measurements' must be a list"),
        ({"machine": ""}, "machine must be the name of a machine"),
        ({"os_version": 18}, "os_version must be a text"),
        ({"system": "linux"}, "system must be ios or macos, got 'linux'"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    answers: Answers, tmp_path: Path, others: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        import_files([write(tmp_path, {}, **others)], suite=answers.suite)


def test_what_is_no_json_is_refused(answers: Answers, tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_text(path.read_text()[:-3])
    with pytest.raises(InputError, match="timed.json: row 1: not valid JSON"):
        import_files([path], suite=answers.suite)
