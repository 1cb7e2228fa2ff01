"""What the app writes while it runs a suite: `results.csv`, one timing a row, in this form alone.

A row is a package, the compute units asked for, and a way of calling:

    burst      calls back to back, after warming up, from a phone that was idle
    sustained  the last part of calls back to back for long enough that the phone throttles
    paced      calls 30 times a second

`file` and `sha256` are the manifest's, `position` is that of its row. A timing that failed has an
`error` and no milliseconds.
"""

from __future__ import annotations

from pathlib import Path

MODES = ("burst", "sustained", "paced")
PACED_HZ = 30
REQUESTED_UNITS = ("cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine", "all")
THERMAL_STATES = ("nominal", "fair", "serious", "critical")
UNKNOWN = "unknown"
"""A thermal state or a unit of a later system, for which the app had no name: reads as untold."""

COLUMNS = (
    *("position", "file", "sha256", "units", "mode"),
    *("machine", "os_version", "os_build"),
    *("load_ms", "n", "median_ms", "p10_ms", "p90_ms", "min_ms", "mean_ms"),
    *("thermal_start", "thermal_end", "low_power", "battery"),
    *("ops_ane", "ops_gpu", "ops_cpu", "started_at", "error"),
)
"""Of the file, in order.

`machine` is what `uname` says (`iPhone12,1`), `os_version` such as 18.1; `low_power` is 0 or 1;
`battery` is the share of the charge from 0 to 1; `ops_*` count the ops that prefer each unit by the
compute plan, blank if there is none; `started_at` is ISO 8601 in UTC. What a device does not say is
blank.
"""
KEY = ("position", "file", "units", "mode")
"""Of a timing: what tells whether it is done."""
PLACEMENT = "placement.csv"
PLACEMENT_COLUMNS = (
    *("file", "units", "place", "operator", "output", "preferred", "supported", "cost"),
)
"""Of `placement.csv` beside it, an op of a compute plan a row: `place` counts them from 0,
`preferred` is cpu, gpu or ane, `supported` such as `cpu;ane`, `cost` the estimated share of the
time, blank if there is none."""


def placement_beside(results: Path) -> Path:
    """Where the compute plans of a file of results lie: two files in a folder have two of them."""
    name = PLACEMENT if results.name == "results.csv" else f"{results.stem}.{PLACEMENT}"
    return results.with_name(name)
