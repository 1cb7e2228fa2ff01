"""Every value of a report and of measurements, replaced by odd ones: one line, or a timing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palmette.latency.foreign.device_rows import device_rows
from palmette.latency.foreign.measurements import read_measurements
from palmette.latency.foreign.reports import read_report
from palmette.latency.foreign.subjects import Subject
from palmette.space import InputError
from tests.latency.foreign.conftest import DEVICE_ID, NAME, SERIAL, report
from tests.latency.foreign.test_measurements import PLAN, write

ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**400, float("nan"), float("inf"), 1e-320),
    *("", "x", "../../etc", "\ud800", "\x00\n,", [], [[]], {}, {"cpu": 3}, SERIAL),
)


def replaced(data: Any) -> Iterator[Any]:
    """The data with each of its values in turn replaced by each odd one."""
    for path in paths(data):
        for value in ODD:
            changed = copy.deepcopy(data)
            *way, last = path
            place = changed
            for key in way:
                place = place[key]
            place[last] = value
            yield changed


def paths(data: Any, start: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items)[:3] if isinstance(data, list) else items:
        yield (*start, key)
        if isinstance(value, dict | list):
            yield from paths(value, (*start, key))


def said_of(path: Path) -> str:
    """What is said of a file: timings and reasons, which any table can hold."""
    try:
        if path.suffix == ".json":
            results, placements, bad = read_measurements(path)
        else:
            result, placement = read_report(path)
            results, bad = [result], []
            placements = {(result.package, result.units): placement} if placement else {}
        made = device_rows(results, placements, Subject.of("conv 8x8x8 -> 8x8x8"), "a test")
    except InputError as error:
        said = [str(error)]
    else:
        assert len(made.rows) + len(made.left_out) == len(results)
        said = [*map(str, made.rows), *map(str, [*bad, *made.left_out])]
    assert all(text.isprintable() for text in said), said
    return "\n".join(said)


@pytest.mark.parametrize("kind", ["report", "measurements"])
def test_no_odd_value_brings_an_importer_down(tmp_path: Path, kind: str) -> None:
    if kind == "report":
        path = report(tmp_path)
        file = path / "report.json"
    else:
        path = file = write(tmp_path, {"plan": PLAN, "statistics": {"median": 0.6}, "sha256": ""})
    data = json.loads(file.read_text("utf-8"))
    count = 0
    for changed in replaced(data):
        file.write_text(json.dumps(changed), "utf-8")
        said = said_of(path)
        assert kind == "measurements" or not any(
            secret in said for secret in (SERIAL, DEVICE_ID, NAME) if knows(changed, secret)
        )
        count += 1
    assert count > 300


def knows(report: Any, secret: str) -> bool:
    """Whether a report says that this is the phone's."""
    info = report.get("deviceInfo")
    names = ("serialNumber", "deviceID", "displayName")
    return isinstance(info, dict) and secret in [info.get(name) for name in names]
