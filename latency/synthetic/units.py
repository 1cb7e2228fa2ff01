"""What the synthetic phone is made of: its units and its heat, all of it data.

The numbers are invented. They are of the order of a recent phone's, so that what is learnt on it is
of use, and they have what real ones have: a floor under every call, widths and kernels at which the
cost jumps, ops that leave the Neural Engine, a price on every change of unit, and heat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BYTES = 2
"""Of a value: half precision."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A compute unit."""

    floor_ms: float
    """Of a call, whatever it runs."""
    start_ms: float
    """Of every kernel."""
    tmacs: Mapping[str, float]
    """Rate by sort of op (`SORTS` of `truth`), 10^12 multiply-accumulates a second."""
    gbytes: float
    """Rate of whatever is read and written, 10^9 bytes a second."""
    lanes: int
    """Channels are filled up to whole groups of these."""
    row: int
    """The width of a map is filled up to whole groups of these."""
    wake_ms: float
    """On top of a call that comes after a pause."""
    windows: tuple[tuple[int, int], ...] = ()
    """Of depthwise convolutions: (side, places): up to this side a window costs as many places.
    Beyond the last, and without any, it costs its own."""
    near_bytes: float = float("inf")
    """A kernel that reads and writes more spills: all its traffic is slower."""
    spill: float = 1.0
    """Factor on that traffic."""
    act_passes: Mapping[str, float] = field(default_factory=dict)
    """Activation -> times that the output is read or written once more."""
    refused_kinds: tuple[str, ...] = ()
    refused_acts: tuple[str, ...] = ()
    widest: int = 1_000_000
    """Side of the largest window that it takes."""


_SLOW = {"sigmoid": 1.0, "hsigmoid": 1.0, "hswish": 2.0, "swish": 1.0, "gelu": 1.5}

UNITS: Mapping[str, Unit] = {
    "ane": Unit(
        floor_ms=0.12,
        start_ms=0.002,
        tmacs={"dense": 4.0, "pointwise": 2.5, "grouped": 0.8, "depthwise": 0.2, "linear": 1.0},
        gbytes=120.0,
        lanes=16,
        row=8,
        wake_ms=0.15,
        windows=((3, 9), (5, 12), (7, 18)),
        near_bytes=2e6,
        spill=1.5,
        act_passes=_SLOW,
        refused_kinds=("gather", "norm", "other", "permute", "softmax"),
        refused_acts=("gelu",),
        widest=13,
    ),
    "gpu": Unit(
        floor_ms=0.5,
        start_ms=0.012,
        tmacs={"dense": 0.8, "pointwise": 0.6, "grouped": 0.3, "depthwise": 0.1, "linear": 0.4},
        gbytes=50.0,
        lanes=8,
        row=1,
        wake_ms=0.3,
        act_passes={"hswish": 0.5, "gelu": 0.5},
    ),
    "cpu": Unit(
        floor_ms=0.03,
        start_ms=0.003,
        tmacs={"dense": 0.3, "pointwise": 0.25, "grouped": 0.1, "depthwise": 0.06, "linear": 0.1},
        gbytes=30.0,
        lanes=4,
        row=1,
        wake_ms=0.05,
        act_passes=_SLOW,
    ),
}
TRANSFER_MS = 0.06
"""Of every change of unit between two ops."""
FALLBACK = {"ane": "cpu"}
"""Where the ops go that a unit refuses."""
UNIT_OF = {"cpuOnly": "cpu", "cpuAndGPU": "gpu", "cpuAndNeuralEngine": "ane", "all": "ane"}
"""Compute units asked for -> the unit that takes what it can."""


@dataclass(frozen=True, slots=True)
class Heat:
    """How the phone warms up and slows down. Heat 0 is at rest, 1 what a unit reaches that never
    pauses; it nears what the load would hold it at with the time constant `tau_s`."""

    tau_s: float = 10.0
    onset: float = 0.5
    """From here on busy units slow down."""
    slope: float = 1.5
    """Of the factor on busy time, by heat beyond the onset."""
    states: tuple[tuple[str, float], ...] = (("critical", 0.95), ("serious", 0.7), ("fair", 0.4))
    """Thermal states by the heat from which they hold, hottest first; below all: nominal."""

    def state(self, heat: float) -> str:
        """Thermal state as the system tells it."""
        return next((name for name, least in self.states if heat >= least), "nominal")


HEAT = Heat()
