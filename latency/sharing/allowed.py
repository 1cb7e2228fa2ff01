"""What the cells of a shared table may hold, column by column; everything else is left out.

Columns in which anything may stand are where names, paths and serial numbers end up. So they are
not searched for what is bad, but read for what is known: units, states, builds, tools, flags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from palmette.latency.phones import machines
from palmette.latency.suite.results import THERMAL_STATES
from palmette.latency.targets import TARGETS, parse_target

FLAGS = (
    *("digitised", "oddly fast", "incomplete", "lower-quartile", "spread", "drift", "low power"),
    *("no passport", "warm", "anchor", "ran on ane", "ran on gpu", "ran on cpu"),
)
"""Flags that palmette and its importers write."""
_FLAG = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(FLAGS, key=len, reverse=True)))})(?![\w-])"
)
TOOLS = (
    *("palmette suite", "palmette latency measure", "coremltools benchmark"),
    *("Xcode performance report",),
)
"""Sources: what took the time."""
_VERSION = r"\d{1,2}(?:\.\d{1,3}){0,2}"
_BUILD = r"\d{2}[A-Z]\d{1,5}[a-z]?"
_SYSTEM = rf"(?:iOS|iPadOS|macOS|tvOS|visionOS|watchOS) {_VERSION}"
_MACHINE = r"(?:iPhone|iPad|iPod|Mac|MacBookPro|MacBookAir|Macmini)\d{1,2},\d{1,2}"
_DATE = r"\d{4}-\d{2}-\d{2}"
_PLACED = r"(?:ane|gpu|cpu)(?: \d{1,6}(?: of \d{1,6})?)?"
_PRECISION = r"(?i:(?:fp|float|bf|bfloat|u?int)(?:4|8|16|32)|w\d{1,2}a\d{1,2})"
_RUNTIME = (
    rf"coreml-(?:ios|ipados|macos|tvos|visionos)\d{{1,2}}(?:\.\d{{1,3}}){{0,2}}"
    rf"|(?:tflite|onnxruntime|executorch|torch|mlx)(?:-(?:eager|compile))?(?:-{_VERSION})?"
)
_MACHINE_DEVICE = r"(?:iphone|ipad|ipod|mac|macbookpro|macbookair|macmini)-?\d{1,2}-\d{1,2}"

Cleaned = Callable[[str], str]


def _whole(pattern: str) -> Cleaned:
    """The text if all of it is of a pattern, else nothing."""
    known = re.compile(pattern)
    return lambda text: text.strip() if known.fullmatch(text.strip()) else ""


def _parts(pattern: str) -> Cleaned:
    """Those parts of a text with commas that are of a pattern."""
    known = re.compile(pattern)
    return lambda text: ", ".join(part for part in _split(text) if known.fullmatch(part))


def _split(text: str) -> Iterator[str]:
    yield from (part.strip() for part in re.split(r"[,;|]\s+", text) if part.strip())


def _flags(text: str) -> str:
    """Flags as whole words, if a cell holds nothing else: `not warm` must not become `warm`."""
    found = _FLAG.findall(text)
    return (
        " ".join(dict.fromkeys(found)) if not re.sub(r"[\s,;|]+", "", _FLAG.sub("", text)) else ""
    )


CLEANED: dict[str, Cleaned] = {
    "placement": _parts(_PLACED),
    "precision": _whole(_PRECISION),
    "thermal_before": _whole("|".join(THERMAL_STATES)),
    "thermal_after": _whole("|".join(THERMAL_STATES)),
    "power_mode": _whole("normal|low"),
    "os_build": _whole(rf"{_BUILD}|{_SYSTEM}(?: \(?{_BUILD}\)?)?"),
    "flags": _flags,
}
"""Column in which anything may stand -> what is left of a cell. Names have rules of their own."""

tool_of = _parts(rf"{'|'.join(TOOLS)}|{_MACHINE}|{_VERSION}(?: {_BUILD})?|{_BUILD}|{_DATE}")
"""What a source says of the tool, the machine, the system and the day."""


def unknown_target(name: str) -> str:
    """Why a target can't be shared, in words; blank if it can."""
    target = parse_target(name)
    known = {one.phone for one in machines()} | {one.device for one in TARGETS.values()}
    if target.device not in known and not re.fullmatch(_MACHINE_DEVICE, target.device):
        return (
            f"device '{target.device}' is no known model of phone or Mac; name the model, such as"
            " iphone-15-pro or mac-15-6: a device's own name stays at home"
        )
    if not re.fullmatch(_RUNTIME, target.runtime):
        return f"runtime '{target.runtime}' is not a known one with its version"
    return ""
