"""The synthetic phone runs a suite: rows as our app writes them, with noise, heat and drift.

The clock is simulated, so hours pass in seconds. All that is random derives from the seed and a
row's place, and a run that goes on lives through the rows that are there already: stopped anywhere
and started again, it ends in the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.results import COLUMNS, MODES, PACED_HZ, REQUESTED_UNITS
from palmette.latency.synthetic import LABEL, MACHINE
from palmette.latency.synthetic.body import Body
from palmette.latency.synthetic.subjects import subject_truth
from palmette.latency.synthetic.truth import Cost
from palmette.latency.synthetic.units import UNIT_OF
from palmette.space.errors import InputError

Floats = NDArray[np.float64]
Row = dict[str, Any]
"""Column of `COLUMNS` -> its text or number."""

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
"""Of every run: no real phone has rows of then."""
WARM_UP_S = 1.0
CALLS = {"burst": 100, "sustained": 200, "paced": 150}
"""Timed in each mode."""
SUSTAINED_S = 60.0
"""Of calls without a pause before those that are timed."""
SETTLE_S = 60.0
"""Of calls at the pace before those that are timed."""
OS_VERSION = "0.0"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What disturbs the timings."""

    noise: float = 0.02
    """Standard deviation of the log of a call."""
    load_noise: float = 0.008
    """The same of all calls after one loading."""
    outliers: float = 0.03
    """Share of calls that something else holds up."""
    drift: float = 0.01
    """By how much the last package of the run is slower than it would be as the first."""
    patient: bool = True
    """Whether the app waits for the thermal state to be nominal."""


def run_suite(
    entries: Sequence[Entry],
    units: Sequence[str] = ("cpuAndNeuralEngine",),
    modes: Sequence[str] = MODES,
    seed: int = 0,
    conditions: Conditions | None = None,
) -> Iterator[Row]:
    """Rows of results, in the order of the run.

    Args:
        entries: of the suite's manifest.
        units: compute units that are asked for, of `REQUESTED_UNITS`.
        modes: of `MODES`.
        seed: of the noise.
        conditions: what disturbs the timings; by default a careful run's.
    """
    conditions = conditions or Conditions()
    body = Body()
    for entry in entries:
        slow = 1 + conditions.drift * (entry.position - 1) / max(len(entries) - 1, 1)
        for asked in units:
            try:
                cost = subject_truth(entry.subject_kind, entry.subject, UNIT_OF[asked])
            except InputError as error:
                yield _failed(entry, asked, modes[0], body, seed, str(error))
                continue
            key = (seed, entry.position, REQUESTED_UNITS.index(asked))
            load = slow * float(np.exp(conditions.load_noise * _rng(*key).standard_normal()))
            load_ms = 200 + 5 * len(cost.op_ms)
            body.rest(load_ms / 1e3)
            for mode in modes:
                rng = _rng(*key, MODES.index(mode))
                row = _timed(cost, mode, body, load, rng, conditions)
                yield {**_named(entry, asked, mode, seed), **row, "load_ms": load_ms, "error": ""}


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(list(key))


def _timed(
    cost: Cost, mode: str, body: Body, load: float, rng: np.random.Generator, about: Conditions
) -> Row:
    """What a row says of the calls, and of the phone before and after them."""
    if about.patient and mode != "sustained":
        body.cool()
    began, state = body.seconds, body.state
    pace_ms = 1e3 / PACED_HZ if mode == "paced" else 0.0
    before_s = {"burst": WARM_UP_S, "sustained": SUSTAINED_S, "paced": SETTLE_S}[mode]
    body.call(cost, before_s, pace_ms)
    woken_ms = cost.wake_ms if mode == "paced" else 0.0
    call_ms = cost.idle_ms + woken_ms + cost.busy_ms * body.factor
    body.call(cost, CALLS[mode] * max(call_ms, pace_ms) / 1e3, pace_ms)
    ms = call_ms * load * _noise(CALLS[mode], rng, about)
    p10, median, p90 = np.quantile(ms, (0.1, 0.5, 0.9))
    figures = {"median": median, "p10": p10, "p90": p90, "min": ms.min(), "mean": ms.mean()}
    return {
        "n": len(ms),
        **{f"{name}_ms": round(float(value), 6) for name, value in figures.items()},
        "thermal_start": state,
        "thermal_end": body.state,
        "started_at": _clock(began),
        **{f"ops_{unit}": cost.units.count(unit) for unit in ("ane", "gpu", "cpu")},
    }


def _noise(calls: int, rng: np.random.Generator, about: Conditions) -> Floats:
    """Factor on each of some calls."""
    factors: Floats = np.exp(about.noise * rng.standard_normal(calls))
    held_up = rng.random(calls) < about.outliers
    return np.asarray(factors * np.where(held_up, 1.2 + rng.exponential(0.5, calls), 1.0))


def _named(entry: Entry, units: str, mode: str, seed: int) -> Row:
    """What a row says of the package, and of the phone."""
    return {
        **dict.fromkeys(COLUMNS, ""),
        **{name: getattr(entry, name) for name in ("position", "file", "sha256")},
        "units": units,
        "mode": mode,
        "machine": MACHINE,
        "os_version": OS_VERSION,
        "os_build": build_of(seed),
        "low_power": 0,
        "battery": "1.00",
    }


def _failed(entry: Entry, units: str, mode: str, body: Body, seed: int, reason: str) -> Row:
    named = _named(entry, units, mode, seed)
    return {**named, "started_at": _clock(body.seconds), "error": " ".join(reason.split())}


def build_of(seed: int) -> str:
    """What the phone calls its system: runs of two seeds are two phones' runs."""
    return f"{LABEL}.{seed}"


def _clock(seconds: float) -> str:
    return (BEGIN + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")
