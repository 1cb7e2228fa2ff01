"""Xcode's performance reports: what they tell of a model, and nothing of whose phone it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palmette.latency.foreign.forms import import_files
from palmette.latency.foreign.reports import read_report
from palmette.space import InputError
from tests.latency.foreign.conftest import DEVICE_ID, NAME, SERIAL, Answers, report, structure

INFO = {
    "modelName": "iPhone 15 Pro",
    "osNameAndVersionWithoutBuildNumber": "iOS 18.1",
    "deviceID": DEVICE_ID,
    "serialNumber": SERIAL,
    "displayName": NAME,
}


def test_a_report_is_a_timing(tmp_path: Path) -> None:
    found = import_files([report(tmp_path)], subject="mobilenet_v2")
    assert found.rows.iloc[0].to_dict() == {
        "subject_kind": "network",
        "subject": "mobilenet_v2",
        "target": "iphone-15-pro/ane@coreml-ios18",
        "latency_ms": "0.6",
        "source": "Xcode performance report, iPhone 15 Pro, 18.1",
        "requested_units": "cpuAndNeuralEngine",
        "placement": "ane 2, cpu 1",
        "repeats": "5",
        "p10_ms": "0.588",
        "p90_ms": "0.668",
        "burst_ms": "0.6",
        "flags": "no passport",
    }
    assert found.taken == found.without_passport == 1 and not found.left_out


def test_reports_of_a_suite_are_known_by_their_models_names(
    answers: Answers, tmp_path: Path
) -> None:
    other = report(tmp_path, "b.mlperf", modelMetadata={"fileName": "p6.mlmodelc"})
    stranger = report(tmp_path, "c.mlperf", modelMetadata={"fileName": "holiday.mlpackage"})
    found = import_files([report(tmp_path), other, stranger], suite=answers.suite)
    assert found.rows["subject"].tolist() == ["mobilenet_v2", "mobilenet_v1"]
    (bad,) = found.left_out
    assert bad.reason == "package 'holiday.mlpackage' is not in manifest.csv"


def test_a_report_without_a_model_s_name_is_known_by_its_own(
    answers: Answers, tmp_path: Path
) -> None:
    path = report(tmp_path, "p6.mlperf", modelMetadata={})
    assert import_files([path], suite=answers.suite).rows["subject"].tolist() == ["mobilenet_v1"]


def test_a_report_need_not_say_where_ops_ran(tmp_path: Path) -> None:
    results = {"predict": {"samples": [0.001]}, "modelStructure": {}}
    result, placement = read_report(report(tmp_path, deviceResults=results))
    assert placement is None and result.median_ms == 1.0 and result.n == 1


def test_a_report_whose_ops_ran_elsewhere_is_of_that_unit(tmp_path: Path) -> None:
    results = {"predict": {"samples": [0.001]}, **structure(["cpu", "cpu", "neuralEngine"])}
    found = import_files([report(tmp_path, deviceResults=results)], subject="mobilenet_v2")
    assert found.rows["target"].tolist() == ["iphone-15-pro/cpu@coreml-ios18"]
    assert found.rows["flags"].tolist() == ["ran on cpu no passport"]


@pytest.mark.parametrize(
    ("number", "units"),
    list(enumerate(["cpuOnly", "cpuAndGPU", "all", "cpuAndNeuralEngine"])),
)
def test_units_are_those_of_their_number(tmp_path: Path, number: int, units: str) -> None:
    assert read_report(report(tmp_path, computeUnit=number))[0].units == units


@pytest.mark.parametrize(
    ("model", "system", "target"),
    [
        ("iPhone SE (3rd generation)", "iOS 17.0", "iphone-se-3/ane@coreml-ios17"),
        ("iPad Air 11-inch (M2)", "iPadOS 18.7.8", "ipad-air-11-inch-m2/ane@coreml-ios18"),
        ("MacBook Pro", "macOS 15.1", "macbook-pro/ane@coreml-macos15"),
    ],
)
def test_phones_are_known_by_what_they_are_sold_as(
    tmp_path: Path, model: str, system: str, target: str
) -> None:
    info = {**INFO, "modelName": model, "osNameAndVersionWithoutBuildNumber": system}
    found = import_files([report(tmp_path, deviceInfo=info)], subject="mobilenet_v2")
    assert found.rows["target"].tolist() == [target]


BROKEN: list[dict[str, Any]] = [
    {"computeUnit": 4},
    {"computeUnit": None},
    {"deviceInfo": {**INFO, "modelName": None}},
    {"deviceInfo": {**INFO, "osNameAndVersionWithoutBuildNumber": NAME}},
    {"deviceResults": {"load": {"samples": [1]}}},
    {"deviceResults": {"predict": {"samples": []}}},
    {"deviceResults": {"predict": {"samples": [0.001, -1]}}},
    {"deviceResults": {"predict": {"samples": [0.001, SERIAL]}}},
    {"deviceResults": {"predict": {"samples": [float("nan")]}}},
    {"deviceResults": {"predict": {"samples": [0.0001, 0.5]}}},
    {"modelMetadata": SERIAL},
    {"deviceResults": {"predict": {"samples": [0.001]}, **structure(["npu"])}},
]


@pytest.mark.parametrize("change", BROKEN)
def test_a_bad_report_is_left_out_by_itself(tmp_path: Path, change: dict[str, Any]) -> None:
    good, bad = report(tmp_path), report(tmp_path, "bad.mlperf", **change)
    found = import_files([bad, good], subject="mobilenet_v2")
    assert len(found.rows) == len(found.left_out) == 1
    assert found.left_out[0].file == str(bad) and found.left_out[0].row == 1


def test_a_folder_half_copied_and_one_that_is_no_json_are_left_out(tmp_path: Path) -> None:
    empty, torn = tmp_path / "empty.mlperf", report(tmp_path, "torn.mlperf")
    empty.mkdir()
    text = (torn / "report.json").read_text()
    (torn / "report.json").write_text(text[: len(text) // 2])
    paths = [empty, torn, tmp_path / "none.mlperf", report(tmp_path)]
    found = import_files(paths, subject="mobilenet_v2")
    assert [bad.reason for bad in found.left_out] == [
        "report.json is missing; was the folder copied whole?",
        f"{torn}/report.json: not valid JSON",
        "a report is a folder; no such folder",
    ]
    with pytest.raises(InputError, match="none is good"):
        import_files([empty], subject="mobilenet_v2")


@pytest.mark.parametrize("of_suite", [False, True])
@pytest.mark.parametrize("change", [{}, *BROKEN])
def test_whose_phone_it_was_is_nowhere(
    answers: Answers, tmp_path: Path, change: dict[str, Any], of_suite: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    named = {"modelMetadata": {"fileName": f"{SERIAL}.mlpackage"}}
    paths = [
        report(folder, f"net_{NAME}.mlperf", **change),
        report(folder, "other.mlperf", **named),
        report(folder, "good.mlperf"),
    ]
    suite = answers.suite if of_suite else None
    found = import_files(paths, suite=suite, subject="" if of_suite else "mobilenet_v2")
    out = tmp_path / "out"
    found.write(out / "table.csv")
    found.write_left_out(out / "left.csv")
    texts = [path.read_text() for path in out.iterdir()]
    texts += [str(found.rows.to_dict()), str(found.left_out), str(found.notes)]
    for secret in (SERIAL, DEVICE_ID, NAME):
        assert not any(secret in text for text in texts), secret


def test_an_error_says_nothing_of_whose_phone_it_was(tmp_path: Path) -> None:
    path = report(tmp_path, f"{NAME}.mlperf", deviceResults={SERIAL: 1})
    with pytest.raises(InputError) as caught:
        import_files([path], subject="mobilenet_v2")
    assert SERIAL not in str(caught.value) and NAME not in str(caught.value)
    assert json.loads((path / "report.json").read_text())["deviceInfo"]["displayName"] == NAME
