"""Where a suite is timed: a machine, what it calls itself, and what it can keep up with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from palmette.latency.suite.results import MODES
from palmette.space.errors import InputError


class Lost(InputError):
    """The machine answers no more: the run ends, and the same command goes on later."""


@dataclass(frozen=True, slots=True)
class Place:
    """A machine that times packages."""

    machine: str
    """As it calls itself, such as `Mac15,6` or `iPhone14,5`."""
    os_version: str
    os_build: str
    modes: tuple[str, ...] = MODES
    """Ways of calling that it can keep up."""
    device: Any = None
    """coremltools' `Device` with a session; None for this Mac."""
    loads: int = 1
    """How often a load is tried."""
    call_s: float | None = None
    """Longest wait for one call or one load of it; None where nothing can interrupt it."""
    is_alive: Callable[[], bool] = lambda: True
