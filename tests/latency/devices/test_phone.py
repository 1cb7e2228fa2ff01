"""A phone through coremltools' real remote device API: its commands, files and messages.

Stand-ins for `xcrun`, `devicectl` and `xcodebuild` play the phone and the app on it; coremltools'
compiler, which only macOS has, copies the package. All else is coremltools 9.0's own.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from coremltools.models import utils
from coremltools.models.ml_program.experimental import async_wrapper, remote_device
from coremltools.models.ml_program.experimental.remote_device import Device, _DeviceCtl

from palmette.latency.devices import measure, phone
from palmette.latency.devices.place import Lost
from palmette.latency.suite.manifest import read_manifest
from palmette.latency.suite.settings import Settings
from palmette.space.errors import InputError

TOOLS = Path(__file__).with_name("fake_tools")
UDID = "00008110-000A1B2C3D4E5F60"
QUICK = Settings(
    units=("cpuOnly",), warmup_calls=1, warmup_s=0, least_calls=2, most_calls=2, timed_s=0
)


def device(name: str, identifier: str, **properties: str) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "deviceProperties": {"name": name, "osVersionNumber": "18.1", "osBuildUpdate": "22B83"},
        "hardwareProperties": {
            "deviceType": "iPhone",
            "udid": UDID if identifier == "A" else f"udid-{identifier}",
            "productType": "iPhone14,5",
        },
        "connectionProperties": {"tunnelState": properties.get("state", "connected")},
    }


DEVICES = [
    device("mine", "A"),
    device("twin", "B"),
    device("twin", "C"),
    device("away", "D", state="unavailable"),
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the stand-ins and of what they note; their phone is a folder in it."""
    fake = tmp_path / "fake"
    (fake / "bin").mkdir(parents=True)
    for tool in TOOLS.iterdir():
        text = tool.read_text("utf-8")
        if not text.startswith("#!"):
            text = f"#!{sys.executable} -SE\n" + text
        (fake / "bin" / tool.name).write_text(text)
        (fake / "bin" / tool.name).chmod(0o755)
    # only these two are on the PATH that a user has: Xcode keeps devicectl elsewhere
    (fake / "path").mkdir()
    for name in ("xcrun", "xcodebuild"):
        (fake / "path" / name).symlink_to(fake / "bin" / name)
    (fake / "devices.json").write_text(json.dumps(DEVICES))
    (fake / "modelrunner" / "ModelRunner.xcworkspace").mkdir(parents=True)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake / 'path'}:{os.environ['PATH']}")
    monkeypatch.setattr(_DeviceCtl, "_validation_done", False)
    with (
        mock.patch.object(
            remote_device._ModelRunnerAppBuilder,
            "_get_project_path",
            return_value=fake / "modelrunner",
        ),
        mock.patch.object(async_wrapper, "compile_model", autospec=True, side_effect=_compile),
        mock.patch.object(utils, "compile_model", autospec=True, side_effect=_compile),
    ):
        yield fake


def _compile(model: str, destination_path: str) -> str:
    shutil.copytree(model, destination_path)
    return destination_path


def calls(desk: Path) -> list[str]:
    return (desk / "calls").read_text("utf-8").splitlines()


# Finding it


def test_coremltools_finds_devices_only_with_devicectl_on_the_path(desk: Path) -> None:
    with pytest.raises(ValueError, match="'devicectl' command is required"):
        Device.get_devices()
    before = os.environ["PATH"]
    with phone.devicectl_on_path():
        assert [found.name for found in Device.get_devices()] == ["mine", "twin", "twin", "away"]
    assert os.environ["PATH"] == before


@pytest.mark.parametrize("name", ["A", UDID, "mine"])
def test_a_phone_is_found_by_identifier_udid_or_name(desk: Path, name: str) -> None:
    with phone.devicectl_on_path():
        found, machine = phone.find_device(name)
    assert (found.identifier, found.os_version, found.os_build_number) == ("A", "18.1", "22B83")
    assert machine == "iPhone14,5"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "no device 'other'; give the identifier or name"),
        ("twin", "2 devices are called 'twin'; give the identifier"),
        ("away", "'away' is unavailable, not connected; plug it in"),
    ],
)
def test_a_phone_that_cannot_be_used_is_refused(desk: Path, name: str, message: str) -> None:
    with phone.devicectl_on_path(), pytest.raises(InputError, match=message):
        phone.find_device(name)


def test_a_devicectl_that_hangs_is_not_waited_for(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIST_S", "30")
    monkeypatch.setattr(phone, "LIST_S", 0.3)
    with pytest.raises(InputError, match=r"no answer within 0.3 s; a devicectl of an Xcode older"):
        phone.find_device("mine")


def test_without_xcode_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="xcrun -f devicectl: cannot be run"), _opened():
        pass


def _opened() -> Any:
    return phone.devicectl_on_path()


def test_a_list_that_is_no_json_is_refused(desk: Path) -> None:
    (desk / "devices.json").write_text('"none"')
    with pytest.raises(InputError, match="its list of devices cannot be read"):
        phone.find_device("mine")


# What is refused before


def test_more_than_a_handful_of_packages_are_refused_with_the_reason() -> None:
    entries = [mock.Mock(file=f"{at}.mlpackage") for at in (*range(10), *range(10))]
    phone.expect_few(entries)  # anchors count once
    with pytest.raises(InputError, match=r"at most 10 packages, got 11; time more with the app"):
        phone.expect_few([*entries, mock.Mock(file="one more")])


def test_paths_with_spaces_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phone.expect_no_spaces()
    (tmp_path / "my files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "my files"))
    with pytest.raises(InputError, match="needs paths without spaces; set TMPDIR"):
        phone.expect_no_spaces()


# Timing on it


def time_on(desk: Path, suite: Path, name: str = "mine") -> measure.Finished:
    entries = read_manifest(suite)
    tell = lambda what, done, of: None  # noqa: E731
    return asyncio.run(
        measure._on_phone(name, "TEAM", suite, suite.parent / "r.csv", entries, QUICK, tell)
    )


def rows(suite: Path) -> list[dict[str, str]]:
    with (suite.parent / "r.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def still_running(desk: Path) -> bool:
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True)
    return str(desk) in listed.stdout


def test_packages_are_timed_through_coremltools_app_and_it_is_ended(
    desk: Path, suite_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "failing_loads").write_text("1")  # the first is still compiling
    suite = suite_of("conv")
    with monkeypatch.context() as patch:
        # no waiting for the failed load: coremltools asks every half second
        patch.setattr(remote_device._DeviceCtlRemoteService.__init__, "__defaults__", (0.01, 20))
        assert time_on(desk, suite) == measure.Finished(1, 0)
    (row,) = rows(suite)
    assert (row["machine"], row["os_version"], row["os_build"]) == ("iPhone14,5", "18.1", "22B83")
    assert (row["load_ms"], row["median_ms"], row["n"]) == ("7.000000", "1.500000", "2")
    assert row["ops_cpu"] == ""  # plans need macOS
    sent = [json.loads(line) for line in (desk / "inputs").read_text("utf-8").splitlines()]
    assert sent == [[{"x": "Float16"}, 2 * 3 * 8 * 8]] * 3  # one to warm up
    (built,) = [line for line in calls(desk) if line.startswith("xcodebuild")]
    assert f"platform=iOS,id={UDID}" in built and "DEVELOPMENT_TEAM=TEAM" in built
    launched = [line for line in calls(desk) if "process launch" in line]
    assert launched == ["devicectl device process launch --console -d A app"]
    assert not still_running(desk)


def test_an_app_that_ended_is_noticed_and_rows_stay(
    desk: Path, suite_of: Callable[..., Path]
) -> None:
    (desk / "crash").touch()
    suite = suite_of("conv")

    async def late() -> None:
        async with phone.opened_phone("mine", "TEAM") as place:
            while place.is_alive():
                await asyncio.sleep(0.05)
            entries = read_manifest(suite)
            await measure.run(suite, suite.parent / "r.csv", place, entries, QUICK, lambda *_: None)

    with pytest.raises(Lost, match="the phone's app has ended; run the same command again"):
        asyncio.run(late())
    assert rows(suite) == []


def test_an_app_that_is_not_built_is_told_on_one_line(
    desk: Path, suite_of: Callable[..., Path]
) -> None:
    (desk / "bin" / "xcodebuild").write_text("#!/bin/bash\nexit 65\n")
    with pytest.raises(InputError, match=r"coremltools' app is not built or launched \(.*65"):
        time_on(desk, suite_of("conv"))


def test_a_phone_that_does_not_answer_is_left_and_what_hangs_is_ended(
    desk: Path, suite_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk / "deaf").touch()
    monkeypatch.setattr(phone, "CALL_S", 0.5)
    suite = suite_of("conv")
    start = time.monotonic()
    with pytest.raises(Lost, match="the phone did not answer within 0.5 s; unlock it"):
        time_on(desk, suite)
    assert time.monotonic() - start < 30  # the stand-in hangs for a minute
    assert rows(suite) == [] and not still_running(desk)
