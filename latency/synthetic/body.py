"""The synthetic phone's body: its clock and its heat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from palmette.latency.synthetic.truth import Cost, slowed
from palmette.latency.synthetic.units import HEAT

STEP_S = 1.0
"""Longest time over which the heat is taken to change nothing else."""


@dataclass(slots=True)
class Body:
    """Seconds since the run began, and the heat."""

    seconds: float = 0.0
    heat: float = 0.0

    @property
    def state(self) -> str:
        """Thermal state as the system tells it."""
        return HEAT.state(self.heat)

    @property
    def factor(self) -> float:
        """On busy time, now."""
        return float(slowed(np.array(self.heat)))

    def rest(self, seconds: float) -> None:
        """Do nothing."""
        self._near(0.0, seconds)

    def cool(self) -> None:
        """Wait until the thermal state is nominal."""
        least = min(least for _, least in HEAT.states)
        if self.heat >= least:
            self.rest(HEAT.tau_s * math.log(self.heat / least) + 1e-6)

    def call(self, cost: Cost, seconds: float, pace_ms: float = 0.0) -> None:
        """Call something over and over for some time, each call `pace_ms` after the last."""
        extra_ms = cost.wake_ms if pace_ms else 0.0
        left = seconds
        while left > 0:
            step = min(left, STEP_S)
            busy_ms = cost.busy_ms * self.factor
            every_ms = max(cost.idle_ms + extra_ms + busy_ms, pace_ms)
            self._near(busy_ms / every_ms, step)
            left -= step

    def _near(self, heat: float, seconds: float) -> None:
        """Near a heat for some time."""
        self.heat = heat + (self.heat - heat) * math.exp(-seconds / HEAT.tau_s)
        self.seconds += seconds
