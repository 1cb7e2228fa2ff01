"""Performance reports of Xcode: a folder `NAME.mlperf` with `report.json`, one timing each.

The form is read off two independent public parsers; no report was made or held by us. Times are in
seconds, ops with their units may be missing. A report holds the serial number, the identifier and
the name of somebody's phone: only the fields named here are read, and what else it holds of the
phone is blotted out of every message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from palmette.latency.foreign.samples import figures_of
from palmette.latency.placement import Placement, from_operations
from palmette.latency.suite.answers import RULES, Result
from palmette.space.errors import InputError, expect

REPORT = "report.json"
UNITS = ("cpuOnly", "cpuAndGPU", "all", "cpuAndNeuralEngine")
"""By the number that a report gives, that of `MLComputeUnits`."""
SECOND_MS = 1000.0
MOST_BYTES = 200_000_000
PRIVATE = ("serialNumber", "deviceID", "displayName")
"""Keys of `deviceInfo` that say whose phone it was."""
BLOT = "..."
_SYSTEM = re.compile(r"(iOS|iPadOS|macOS) ([0-9]+(?:\.[0-9]+)*)")
_OPERATIONS = ("modelStructure", "program", "_0", "functions", "main", "block", "operations")


def is_report(path: Path) -> bool:
    """Whether a path is that of a report: by its name, or by what lies in the folder."""
    return path.suffix == ".mlperf" or (path.is_dir() and (path / REPORT).exists())


def read_report(path: Path) -> tuple[Result, Placement | None]:
    """Timing of a report, and where its ops ran if it says so.

    Raises:
        InputError: no such folder or file, not JSON, or another form; the message has nothing of
            the phone's owner.
    """
    data = _load(path)
    secrets = _secrets(data)
    try:
        return _read(data, blot(str(path), secrets))
    except InputError as error:
        raise InputError(blot(str(error), secrets)) from None


def blot(text: str, secrets: Sequence[str]) -> str:
    """A text without what is secret."""
    for secret in secrets:
        text = text.replace(secret, BLOT)
    return text


def secrets_of(path: Path) -> tuple[str, ...]:
    """What a report holds of its phone's owner; nothing if it cannot be read."""
    try:
        return _secrets(_load(path))
    except InputError:
        return ()


def _load(path: Path) -> Mapping[str, Any]:
    file = path / REPORT
    expect(path.is_dir(), f"{path}: a report is a folder; no such folder")
    expect(file.is_file(), f"{path}: {REPORT} is missing; was the folder copied whole?")
    try:
        expect(file.stat().st_size <= MOST_BYTES, f"{file}: larger than {MOST_BYTES} bytes")
        data = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({type(error).__name__})") from None
    except (ValueError, RecursionError):  # its words quote the file
        raise InputError(f"{file}: not valid JSON") from None
    expect(isinstance(data, dict), f"{file}: expected an object")
    found: Mapping[str, Any] = data
    return found


def _secrets(data: Mapping[str, Any]) -> tuple[str, ...]:
    info = data.get("deviceInfo")
    values = [info.get(name) for name in PRIVATE] if isinstance(info, Mapping) else []
    texts = {value for value in values if isinstance(value, str) and value.strip()}
    return tuple(sorted(texts, key=len, reverse=True))


def _read(data: Mapping[str, Any], file: str) -> tuple[Result, Placement | None]:
    where = f"{file}/{REPORT}"
    number = data.get("computeUnit")
    expect(
        type(number) is int and 0 <= number < len(UNITS),
        f"{where}: computeUnit must be a number from 0 to {len(UNITS) - 1}, got {number!r:.20}",
    )
    assert isinstance(number, int)
    device = _object(data, "deviceInfo", where)
    results = _object(data, "deviceResults", where)
    predict = _object(results, "predict", f"{where}: deviceResults")
    machine = device.get("modelName")
    rule, holds = RULES["machine"]
    expect(
        isinstance(machine, str) and holds(machine),
        f"{where}: deviceInfo.modelName must be {rule}, got {machine!r:.60}",
    )
    system = str(device.get("osNameAndVersionWithoutBuildNumber", ""))
    found = _SYSTEM.fullmatch(system)
    expect(found is not None, f"{where}: the system must be such as 'iOS 18.1', got {system!r:.40}")
    assert found is not None
    name = _object(data, "modelMetadata", where).get("fileName")
    result = Result(
        file=file,
        row=1,
        package=_one_line(name) if isinstance(name, str) and name.strip() else Path(file).name,
        units=UNITS[number],
        machine=str(machine),
        system="macos" if found[1] == "macOS" else "ios",
        os_version=found[2],
        **figures_of(predict.get("samples"), SECOND_MS, f"{where}: predict"),
    )
    return result, _placement(results, where)


def _placement(results: Mapping[str, Any], where: str) -> Placement | None:
    """Where ops ran; None where the report does not say, as some do not."""
    found: Any = results
    for name in _OPERATIONS:
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, list):
        return None
    try:
        return from_operations(found)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _one_line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())


def _object(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = data.get(key)
    expect(isinstance(value, Mapping), f"{where}: '{key}' is missing or no object")
    assert isinstance(value, Mapping)
    return value
