"""A suite of small things and what a phone would answer to it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from palmette.latency.suite.manifest import Entry, write_manifest
from palmette.latency.suite.results import COLUMNS, PLACEMENT_COLUMNS

THINGS = (
    ("op", "conv 32x56x56 -> 64x56x56 relu", "op"),
    ("network", "mobilenet_v2", "anchor"),
    ("op", "conv 64x28x28 -> 64x28x28 k3 s1", "op"),
    ("op", "mul 64x28x28 + 64x1x1 -> 64x28x28", "op"),
    ("network", "mobilenet_v2", "anchor"),
    ("network", "mobilenet_v1", "calibration"),
    ("network", "mobilenet_v2", "anchor"),
)
"""Kind, subject and role by position."""
MS = {"op": 0.2, "network": 0.6}
UNITS = "cpuAndNeuralEngine"


class Answers:
    """A suite's folder and a phone's results of it, a row of which can be changed."""

    def __init__(self, folder: Path) -> None:
        self.suite, self.results = folder / "suite", folder / "answers" / "results.csv"
        self.suite.mkdir()
        self.results.parent.mkdir()
        self.entries = []
        for position, (kind, subject, role) in enumerate(THINGS, start=1):
            number = [text for _, text, _ in THINGS].index(subject) + 1
            file = f"p{number}.mlpackage"
            (self.suite / file).mkdir(exist_ok=True)
            self.entries.append(
                Entry(
                    *(position, file, f"{number:064x}", kind, subject, role),
                    *("iphone-15-pro/ane@coreml-ios18", "x", "1x3x8x8", "mlprogram", "iOS17"),
                )
            )
        write_manifest(self.suite, self.entries)

    def row(self, position: int = 1, **changes: Any) -> dict[str, Any]:
        """A good burst of a position, changed."""
        entry = self.entries[position - 1]
        ms = MS[entry.subject_kind]
        return {
            **{"position": position, "file": entry.file, "sha256": entry.sha256},
            **{"units": UNITS, "mode": "burst", "machine": "iPhone16,1"},
            **{"os_version": "18.1", "os_build": "22B83", "load_ms": 210.5, "n": 100},
            **{"median_ms": ms, "p10_ms": 0.95 * ms, "p90_ms": 1.1 * ms},
            **{"min_ms": 0.9 * ms, "mean_ms": 1.02 * ms},
            **{"thermal_start": "nominal", "thermal_end": "nominal"},
            **{"low_power": 0, "battery": 0.8, "ops_ane": 52, "ops_gpu": 0, "ops_cpu": 3},
            **{"started_at": "2026-11-28T12:00:00Z", "error": ""},
            **changes,
        }

    def rows(self, units: str = UNITS, **changes: Any) -> list[dict[str, Any]]:
        """A good burst of every position."""
        return [self.row(entry.position, units=units, **changes) for entry in self.entries]

    def write(self, rows: Sequence[dict[str, Any]]) -> Path:
        with self.results.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return self.results

    def write_placement(self, rows: Sequence[dict[str, Any]]) -> None:
        blank = dict.fromkeys(PLACEMENT_COLUMNS, "") | {"units": UNITS}
        with (self.results.parent / "placement.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, PLACEMENT_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows({**blank, **row} for row in rows)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path)


SERIAL, DEVICE_ID, NAME = "F2LX9QSECRET", "00008130-000A1B2C3D4E5F60", "Ann's little phone"


def report(folder: Path, name: str = "p2.mlperf", **changes: Any) -> Path:
    """A performance report of the documented form, parts of it changed."""
    data: dict[str, Any] = {
        "computeUnit": 3,
        "modelMetadata": {"fileName": "p2.mlpackage", "size": 7000000},
        "deviceInfo": {
            "modelName": "iPhone 15 Pro",
            "osNameAndVersionWithoutBuildNumber": "iOS 18.1",
            "deviceID": DEVICE_ID,
            "serialNumber": SERIAL,
            "displayName": NAME,
        },
        "deviceResults": {
            "predict": {"samples": [0.0006, 0.00058, 0.00062, 0.0006, 0.0007], "numOperations": 3},
            "load": {"samples": [0.2]},
            "availableComputeDevices": [],
            **structure(["neuralEngine", "neuralEngine", "cpu"]),
        },
        **changes,
    }
    path = folder / name
    path.mkdir()
    (path / "report.json").write_text(json.dumps(data), "utf-8")
    return path


def structure(units: Sequence[str]) -> dict[str, Any]:
    """Part of a report that says where ops ran."""
    operations = [
        {"operatorName": "const", "outputs": [{"name": "w"}]},
        *(
            {
                "operatorName": "ios17.conv",
                "outputs": [{"name": f"op{at}"}],
                "cost": {"weight": 1 / len(units)},
                "deviceUsage": {"preferred": {"deviceType": {unit: {}}}},
            }
            for at, unit in enumerate(units)
        ),
    ]
    main = {"block": {"operations": operations}}
    return {"modelStructure": {"program": {"_0": {"functions": {"main": main}}}}}
