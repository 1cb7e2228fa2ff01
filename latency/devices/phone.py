"""A phone beside this Mac as a place to time packages, through coremltools' remote device API.

coremltools builds a small app of its own, installs it, and sends it each call as files through
`devicectl`: seconds a call, of which only the time inside of the app counts. So it suits a handful
of packages, and bursts alone: calls seconds apart keep no pace.

Its paths stand without quotes in command lines, so none may hold a space; it looks for `devicectl`
on the PATH, where Xcode does not put it; it waits without end.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from palmette.latency.devices.children import descendants, end_since
from palmette.latency.devices.place import Lost, Place
from palmette.latency.suite.manifest import Entry
from palmette.space.errors import InputError, expect

MOST_PACKAGES = 10
MODES = ("burst",)
LIST_S = 60.0
PREPARE_S = 900.0
"""Building the app takes minutes."""
CALL_S = 600.0
"""Of ten calls at most, or of one load with all its copies."""
LOADS = 3
"""A first load compiles for the phone and may take longer than coremltools waits; the phone goes on
compiling and keeps what it made."""
OLD_XCODE = "a devicectl of an Xcode older than the phone's iOS hangs: update Xcode"


def expect_few(entries: Sequence[Entry]) -> None:
    """Refuse a suite that would take days; raises InputError."""
    files = len({entry.file for entry in entries})
    expect(
        files <= MOST_PACKAGES,
        f"--on: every call goes to a phone as files, seconds each: at most {MOST_PACKAGES}"
        f" packages, got {files}; time more with the app (palmette latency app)",
    )


def expect_bursts(modes: Sequence[str]) -> None:
    """Refuse ways of calling that calls seconds apart cannot keep; raises InputError."""
    others = [mode for mode in modes if mode not in MODES]
    expect(
        not others,
        f"--mode: {', '.join(others)}: calls of a phone from here are seconds apart; only"
        f" {', '.join(MODES)} is possible, for the others use the app (palmette latency app)",
    )


def expect_no_spaces() -> None:
    """Refuse folders whose names coremltools would break in two; raises InputError."""
    import coremltools

    for path in (Path(tempfile.gettempdir()).resolve(), Path(coremltools.__file__).resolve()):
        expect(
            not re.search(r"\s", str(path)),
            f"--on: '{path}': coremltools needs paths without spaces; set TMPDIR, or install it"
            " elsewhere",
        )


@contextmanager
def devicectl_on_path() -> Iterator[None]:
    """`devicectl` of the chosen Xcode first on the PATH; raises InputError without one."""
    found = _run(["xcrun", "-f", "devicectl"])
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(found.strip()).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before


def find_device(name: str) -> tuple[Any, str]:
    """coremltools' `Device` of a phone, and its machine identifier (`iPhone14,5`).

    Args:
        name: identifier, UDID or name of a phone that is connected.

    Raises:
        InputError: there is none, several have that name, or it is not connected.
    """
    from coremltools.models.ml_program.experimental.remote_device import Device, DeviceState

    products = _products()  # first: it does not wait without end
    found = [
        device
        for device in Device.get_devices()
        if name in (device.identifier, device.udid, device.name)
    ]
    expect(
        len(found) > 0,
        f"--on: no device '{name}'; give the identifier or name that 'xcrun devicectl list devices'"
        " shows, or mac",
    )
    expect(len(found) == 1, f"--on: {len(found)} devices are called '{name}'; give the identifier")
    (device,) = found
    expect(
        device.state == DeviceState.CONNECTED,
        f"--on: '{device.name}' is {device.state.value}, not connected; plug it in, unlock it, and"
        " turn on Developer Mode",
    )
    machine = products.get(device.identifier, "")
    expect(machine != "", f"--on: devicectl does not say what machine '{device.name}' is")
    return device, machine


def _products() -> dict[str, str]:
    """Identifier of each device -> what the device calls itself."""
    with tempfile.TemporaryDirectory(prefix="palmette-devices-") as folder:
        answer = Path(folder) / "devices.json"
        _run(["xcrun", "devicectl", "list", "devices", "-j", str(answer)])
        try:
            devices = json.loads(answer.read_text("utf-8"))["result"]["devices"]
            return {
                device["identifier"]: device["hardwareProperties"].get("productType", "")
                for device in devices
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"devicectl: its list of devices cannot be read ({error})") from None


def _run(command: list[str]) -> str:
    line = " ".join(command[:4])
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=LIST_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"{line}: no answer within {LIST_S:g} s; {OLD_XCODE}") from None
    except OSError as error:
        raise InputError(f"{line}: cannot be run ({error}); install Xcode") from None
    expect(
        found.returncode == 0,
        f"{line}: failed ({' '.join(found.stderr.split()[-40:])}); it needs Xcode 15 or later",
    )
    return found.stdout


@asynccontextmanager
async def opened_phone(name: str, team: str) -> AsyncIterator[Place]:
    """A phone with coremltools' app running on it, which is ended afterwards.

    Args:
        name: as in `find_device`.
        team: development team that signs the app.

    Raises:
        InputError: as in `find_device`; no team; the app is not built, installed or launched.
    """
    from coremltools.models.ml_program.experimental.remote_device import AppSigningCredentials

    expect(team != "", "--team: name the development team that signs coremltools' app")
    expect_no_spaces()
    before = descendants()
    with devicectl_on_path(), tempfile.TemporaryDirectory(prefix="palmette-phone-") as folder:
        found, machine = find_device(name)
        try:
            device = await asyncio.wait_for(
                found.prepare_for_model_debugging(
                    credentials=AppSigningCredentials(development_team=team),
                    working_directory=Path(folder),
                ),
                PREPARE_S,
            )
        except TimeoutError:
            end_since(before)
            raise InputError(
                f"--on: '{name}': its app is not ready within {PREPARE_S:g} s; {OLD_XCODE}"
            ) from None
        except Exception as error:  # coremltools raises what it likes
            raise InputError(
                f"--on: '{name}': coremltools' app is not built or launched ({_line(error)})"
            ) from None
        try:
            yield Place(
                machine=machine,
                os_version=device.os_version,
                os_build=device.os_build_number,
                modes=MODES,
                device=device,
                loads=LOADS,
                call_s=CALL_S,
                is_alive=device.session.is_alive,
            )
        finally:
            _end(device.session, before)


def _end(session: Any, before: set[int]) -> None:
    """End the app, and whatever else was started; coremltools leaves the pipes open."""
    end_since(before)  # first: a child whose parent ended is no longer ours to find
    session.stop()
    with suppress(subprocess.TimeoutExpired):
        session._process.communicate(timeout=LIST_S)


async def within(place: Place, awaited: Awaitable[Any]) -> Any:
    """What is awaited, or `Lost` after the place's limit."""
    if place.call_s is None:
        return await awaited
    before = descendants()
    try:
        return await asyncio.wait_for(awaited, place.call_s)
    except TimeoutError:
        end_since(before)  # else the thread that waits for devicectl would keep us here
        raise Lost(
            f"the phone did not answer within {place.call_s:g} s; unlock it and run the same"
            " command again"
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
