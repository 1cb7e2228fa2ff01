"""This Mac as a place to time packages."""

from __future__ import annotations

import platform
import subprocess
import sys

from palmette.latency.devices.place import Place
from palmette.space.errors import InputError, expect

OLDEST = (14, 4)
"""The first macOS that has compute plans."""


def require_mac(option: str) -> None:
    """Refuse to go on elsewhere than on a Mac that coremltools can time with.

    Args:
        option: what asked for it, such as `--on mac`.

    Raises:
        InputError: another system, an older macOS, or an Intel processor.
    """
    needs = f"{option}: needs macOS {'.'.join(map(str, OLDEST))} or later on Apple silicon"
    expect(sys.platform == "darwin", f"{needs}, this is {platform.system() or sys.platform}")
    version = platform.mac_ver()[0]
    expect(
        tuple(int(part) for part in version.split(".")[:2]) >= OLDEST,
        f"{needs}, this is macOS {version}",
    )
    expect(platform.machine() == "arm64", f"{needs}, this is {platform.machine()}")


def this_mac() -> Place:
    """This Mac, as it names itself.

    Raises:
        InputError: it does not say what it is.
    """
    return Place(_told("hw.model"), platform.mac_ver()[0], _told("kern.osversion"))


def _told(name: str) -> str:
    """What the kernel says under a name."""
    try:
        found = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"sysctl -n {name}: {error}") from None
    text = found.stdout.strip()
    expect(found.returncode == 0 and text != "", f"sysctl -n {name}: {found.stderr.strip()}")
    return text
