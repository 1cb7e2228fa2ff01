"""What coremltools' real benchmarker gave on a Mac goes through the importer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from palmette.latency.devices import measure
from palmette.latency.devices.place import Place
from palmette.latency.foreign.forms import import_files
from palmette.latency.suite.manifest import read_manifest, write_manifest
from palmette.latency.suite.settings import Settings

MAC = Place("Mac15,6", "15.1", "24B83")
OPS = {"conv.mlpackage": "conv 3x8x8 -> 4x8x8 relu", "add.mlpackage": "add 3x8x8 + 3x8x8 -> 3x8x8"}
QUICK = Settings(
    units=("cpuOnly", "cpuAndNeuralEngine", "all"),
    modes={"burst": ("op",), "sustained": ("op",)},
    warmup_calls=1,
    warmup_s=0,
    least_calls=5,
    most_calls=5,
    timed_s=0,
    sustained_s=0,
)


def test_rows_of_a_mac_are_timings_of_it(suite_of: Callable[..., Path], wrapper: Any) -> None:
    suite = suite_of("conv", "add", "conv")
    entries = [
        replace(one, subject_kind="op", subject=OPS[one.file]) for one in read_manifest(suite)
    ]
    write_manifest(suite, entries)
    out = suite.parent / "results.csv"
    finished = asyncio.run(
        measure.run(suite, out, MAC, entries, QUICK, lambda what, done, of: None)
    )
    found = import_files([out], suite=suite)
    assert finished.rows == 18 == found.taken + len(found.left_out)
    # without a compute plan nobody knows where `all` ran
    assert {bad.reason for bad in found.left_out} == {
        "units 'all' without a compute plan do not tell which unit ran"
    }
    assert set(found.rows["target"]) == {
        *("mac-15-6/cpu@coreml-macos15", "mac-15-6/ane@coreml-macos15")
    }
    assert set(found.rows["subject"]) == set(OPS.values())
    assert set(found.rows["sustained_ms"]) == {"2"} and len(found.rows) == 6
    assert found.without_passport == 6 and set(found.rows["os_build"]) == {"24B83"}
