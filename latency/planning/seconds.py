"""How long a thing is timed on a device: loading it, warming up, calls.

A phone: load the package, call for a second and ten times at least, then 50 to 200 calls. This
machine: every thing in 24 rounds of three calls, and about as many again to warm up; before each
call of an op or a chain the caches are swept.
"""

from __future__ import annotations

from palmette.latency.targets import Target

LOAD_S = 1.5
"""Loading a package for the first time, specialisation included: 0.3 to 3 s."""
WARM_S, WARM_CALLS = 1.0, 10
LEAST_CALLS, MOST_CALLS, CALLS_S = 50, 200, 1.0
HOST_CALLS, SWEEP_MS = 90, 3.0
HOST = "host"
"""Device of this machine's targets."""


def timing_seconds(target: Target, kind: str, ms: float) -> float:
    """Seconds on a target for one timing of something that takes `ms`.

    Args:
        target: what it is timed on.
        kind: of subject, as in a plan.
        ms: what a call is thought to take.
    """
    if target.device == HOST:
        return 1e-3 * HOST_CALLS * (ms + (0.0 if kind == "network" else SWEEP_MS))
    calls = min(max(CALLS_S / (1e-3 * ms), LEAST_CALLS), MOST_CALLS)
    return LOAD_S + max(WARM_S, 1e-3 * ms * WARM_CALLS) + 1e-3 * ms * calls
