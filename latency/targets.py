"""Targets: a device, a compute unit and the runtime that its timings were taken with.

Milliseconds of one runtime say nothing of another's, so runtimes are never pooled. Targets of one
*family* have the same unit and nearly the same runtime on chips of neighbouring years: their prices
are fitted together, each chip drawn towards what its relatives agree on. A target of which only a
few networks were timed takes the prices of one that it is *like*.

The floors are physical upper bounds on what a chip can do, so that no op is ever free: peak MACs of
the unit (Neural Engine: half of Apple's operations a second; GPU: fp16 rate of the shader cores;
CPU: an assumed 1 TMAC/s for the matrix unit) and 1 TB/s of two-byte values for everything moved,
an on-chip rate far above the DRAM of these phones. Fitted prices come on top.

Timings of any other device, unit and runtime make a target of their own: `parse_target`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from palmette.space.errors import InputError
from palmette.space.spelling import did_you_mean

ELEMENT_FLOOR_MS = 0.002
"""Milliseconds per million elements or weights at 1 TB/s and two bytes each."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a search aims at. `str(target)` is its full name, `device/unit@runtime`."""

    device: str
    unit: str
    runtime: str
    chip: str
    family: str
    """Targets that are fitted together (see `FAMILIES` of `palmette.latency.whole.forms`); blank:
    fitted from timings per op, from those of a target that it is like, or not one of
    `TARGETS`."""
    peak_tmacs: float
    """Upper bound on the unit's rate, 10^12 multiply-accumulates a second."""
    like: str = ""
    """Full name of the target whose prices are carried over to this one, of which few networks were
    timed: its anchors (see `palmette.latency.whole.few_shot`)."""

    @property
    def alias(self) -> str:
        """Short name, `device/unit`; the full name of targets that are not of Core ML."""
        short = f"{self.device}/{self.unit}"
        return short if self.runtime.startswith("coreml") else f"{short}@{self.runtime}"

    @property
    def mac_floor_ms(self) -> float:
        """Milliseconds per million MACs at the peak rate."""
        return 1e6 / (self.peak_tmacs * 1e12) * 1e3

    def __str__(self) -> str:
        return f"{self.device}/{self.unit}@{self.runtime}"


_PRIOR = "iphone-13/ane@coreml-ios16"

TARGETS: dict[str, Target] = {
    str(target): target
    for target in (
        Target("iphone-11", "cpu", "coreml-ios13", "A13", "cpu-2020", 1.0),
        Target("iphone-xs", "cpu", "coreml-ios13", "A12", "cpu-2020", 1.0),
        Target("iphone-x", "cpu", "coreml-ios12", "A11", "cpu-2020", 1.0),
        Target("iphone-11", "gpu", "coreml-ios13", "A13", "gpu-2020", 0.69),
        Target("iphone-xs", "gpu", "coreml-ios13", "A12", "gpu-2020", 0.56),
        Target("iphone-x", "gpu", "coreml-ios12", "A11", "gpu-2020", 0.41),
        Target("iphone-11", "ane", "coreml-ios13", "A13", "ane-2020", 3.0),
        Target("iphone-xs", "ane", "coreml-ios13", "A12", "ane-2020", 2.5),
        # the table behind iphone-13 names neither system nor unit: read as iOS 16, Neural Engine,
        # by its dates and its milliseconds
        Target("iphone-13", "ane", "coreml-ios16", "A15", "ane-ios16", 7.9),
        Target("iphone-12", "ane", "coreml-ios16", "A14", "ane-ios16", 5.5),
        Target("iphone-14", "ane", "coreml-ios16", "A15", "", 7.9, _PRIOR),
        Target("iphone-14-pro", "ane", "coreml-ios17", "A16", "", 8.5, _PRIOR),
        Target("iphone-15-pro", "ane", "coreml-ios17", "A17 Pro", "", 17.5, _PRIOR),
        Target("iphone-xs", "gpu", "tflite-2.10", "A12", "", 0.56),
    )
}
"""Every target that palmette ships a predictor of."""

PEAK_TMACS = {"cpu": 2.0, "gpu": 10.0, "ane": 20.0}
"""Upper bounds for units of devices that are not in `TARGETS`: above every phone of today."""
USUAL_PRIORS = {"cpu": "iphone-11/cpu", "gpu": "iphone-11/gpu", "ane": "iphone-13/ane"}
"""Unit -> the known target that a phone with few timings starts from, if nothing is nearer."""
UNIT_WORDS = {
    **dict.fromkeys(("npu", "tpu", "neural-engine", "neuralengine", "neural"), "ane"),
    "metal": "gpu",
}
"""What others call a unit -> its name here."""
OWN = "device/unit@runtime, in lower case, with the unit cpu, gpu or ane"
_NAME = re.compile("([a-z0-9][a-z0-9._-]*)/(cpu|gpu|ane)@([a-z0-9][a-z0-9._-]*)")


def find_target(name: str) -> Target:
    """Target by its full name or its alias.

    Raises:
        InputError: unknown; the message asks about the nearest, or lists the known targets.
    """
    for target in TARGETS.values():
        if name in (str(target), target.alias):
            return target
    mended = _mended(name)
    if mended in _names():
        raise InputError(f"target '{name}' is unknown; did you mean {mended}? a target is {OWN}")
    raise InputError(f"target '{name}' is unknown; {_did_you_mean(mended)}{_known(mended)}")


def parse_target(name: str) -> Target:
    """Target by its name: one of `TARGETS`, by its alias too, or any `device/unit@runtime`.

    Raises:
        InputError: neither.
    """
    if name in _names():
        return find_target(name)
    found = _NAME.fullmatch(name)
    if found is not None:
        device, unit, runtime = found.groups()
        return Target(device, unit, runtime, "", "", PEAK_TMACS[unit])
    mended = _mended(name)
    if mended in _names() or _NAME.fullmatch(mended):
        raise InputError(f"target '{name}' is unknown; did you mean {mended}? a target is {OWN}")
    raise InputError(
        f"target '{name}' is unknown; {_did_you_mean(mended)}{_known(mended)}; one of your"
        f" own timings must be {OWN}, such as iphone-16/ane@coreml-ios18 (docs/timing.md)"
    )


def _names() -> list[str]:
    return [*TARGETS, *(target.alias for target in TARGETS.values())]


def _mended(name: str) -> str:
    """A name as it may have been meant: in lower case, with a unit that palmette knows."""
    device, slash, rest = name.strip().lower().replace(" ", "-").partition("/")
    unit, at, runtime = rest.partition("@")
    return f"{device}{slash}{UNIT_WORDS.get(unit, unit)}{at}{runtime}"


def _did_you_mean(name: str) -> str:
    """The known targets whose names are written nearly so, as a question."""
    return did_you_mean(name, _names(), lambda known: find_target(known).alias)


def _known(name: str) -> str:
    """Known targets of the device that a name begins with, or all."""
    device = name.partition("/")[0]
    own = [target.alias for target in TARGETS.values() if target.device == device]
    every = ", ".join(target.alias for target in TARGETS.values())
    listed = f"known of {device}: {', '.join(own)}" if own else f"known: {every}"
    return f"{listed} (palmette targets)"
