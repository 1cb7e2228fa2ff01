"""How long a thing is timed on a device: loading it, warming up, calls.

A phone: as a suite's settings say, in bursts. This machine: every thing in 24 rounds of three
calls, and about as many again to warm up; before each call of an op or a chain the caches are
swept.
"""

from __future__ import annotations

from collections.abc import Iterable

from palmette.latency.planning.plan import Planned
from palmette.latency.suite.settings import Settings
from palmette.latency.targets import Target

LOAD_S = 1.5
"""Loading a package for the first time, specialisation included: 0.3 to 3 s."""
HOST_CALLS, SWEEP_MS = 90, 3.0
HOST = "host"
"""Device of this machine's targets."""
DEFAULT = Settings()


def timing_seconds(target: Target, kind: str, ms: float) -> float:
    """Seconds on a target for one timing of something that takes `ms`: a burst on one unit.

    Args:
        target: what it is timed on.
        kind: of subject, as in a plan.
        ms: what a call is thought to take.
    """
    if target.device == HOST:
        return 1e-3 * HOST_CALLS * (ms + (0.0 if kind == "network" else SWEEP_MS))
    call_s = 1e-3 * ms
    calls = min(max(DEFAULT.timed_s / call_s, DEFAULT.least_calls), DEFAULT.most_calls)
    warm_s = max(DEFAULT.warmup_s, call_s * DEFAULT.warmup_calls)
    return LOAD_S + warm_s + call_s * calls


def suite_seconds(rows: Iterable[Planned], kinds: Iterable[str], settings: Settings) -> float:
    """Seconds that a suite takes: bursts as planned, on every unit; other modes by the settings.

    Args:
        rows: of the plan that have a package; a subject that is planned on several units has a
            row for each, and an anchor's has the seconds of its repeats.
        kinds: of subjects, one for each timing of the manifest.
        settings: of the suite.
    """
    shares: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        own = shares.setdefault((row.kind, row.subject), {})
        own[row.target] = own.get(row.target, 0.0) + row.seconds
    found = sum(sum(own.values()) / len(own) for own in shares.values())
    lengths = {"sustained": settings.sustained_s, "paced": settings.paced_s}
    for kind in kinds:
        for mode, seconds in lengths.items():
            if kind in settings.modes.get(mode, ()):
                found += LOAD_S + settings.warmup_s + seconds
    return found * len(settings.units)
