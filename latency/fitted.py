"""Everything that is fitted to the timings of a family: prices, intervals, effects, what is known.

The rules of what a table must hold for that are here too.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from palmette.latency import uncertainty as spreads
from palmette.latency.effects import Effect, Support, effects, support
from palmette.latency.forms import FAMILIES
from palmette.latency.model import Fits, Measured, TargetModel, fit_family
from palmette.latency.op_lists import network_ops
from palmette.latency.targets import TARGETS
from palmette.latency.uncertainty import Uncertainty
from palmette.space import OpTable
from palmette.space.errors import expect

MIN_DESIGNS = 4


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is fitted to a target's timings: a predictor's attributes of the same names."""

    model: TargetModel
    uncertainty: Uncertainty
    support: Support
    effects: tuple[Effect, ...]
    held_out_errors: Mapping[str, float]
    timings_hash: str


def measured_networks(timings: pd.DataFrame, family: str, fits: Fits | None = None) -> Measured:
    """Whole-network timings of a family and of those it falls back to; duplicates are averaged.

    Args:
        timings: as `read_timings` gives them.
        family: of `FAMILIES`.
        fits: what other families of the same table have fitted so far, to share it.
    """
    wanted = {family, *(other for _, other in FAMILIES[family].fallback)}
    latency_ms: dict[str, dict[str, float]] = {}
    networks = timings[timings["subject_kind"] == "network"]
    for (target, subject), rows in networks.groupby(["target", "subject"], sort=True):
        if TARGETS[str(target)].family in wanted:
            times = rows["latency_ms"].astype(float).tolist()
            # one timing stays as it is: a logarithm and back costs its last digit
            value = statistics.geometric_mean(times) if len(times) > 1 else times[0]
            latency_ms.setdefault(str(target), {})[str(subject)] = value
    names = sorted({name for rows in latency_ms.values() for name in rows})
    ops = {name: OpTable.of(network_ops(name)) for name in names}
    return Measured(latency_ms, ops, fits={} if fits is None else fits)


def fit_parts(measured: Measured, family: str) -> dict[str, Fitted]:
    """Everything that is fitted, of all targets of a family that have timings: target -> parts.

    Raises:
        InputError: fewer than `MIN_DESIGNS` networks to learn from on one of the targets.
    """
    targets = [name for name in measured.latency_ms if TARGETS[name].family == family]
    if not targets:
        return {}
    _expect_enough(measured, family, targets)
    fits = spreads.held_out_fits(family, measured)
    errors = spreads.held_out_errors(targets, measured, fits)
    digest = _digest(measured.latency_ms)
    parts = {}
    for name, model in fit_family(family, measured).items():
        known = support(name, model, measured)
        members = [fit[name] for fit in fits.values() if name in fit]
        parts[name] = Fitted(
            model,
            spreads.estimate(measured, errors[name]),
            known,
            effects(model, members, known),
            errors[name],
            digest,
        )
    return parts


def _digest(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Hash of timings, 16 hexadecimal digits; rounded, as means of logs differ between machines."""
    rounded = {t: {n: f"{ms:.9g}" for n, ms in rows.items()} for t, rows in latency_ms.items()}
    return hashlib.sha256(json.dumps(rounded, sort_keys=True).encode()).hexdigest()[:16]


def _expect_enough(measured: Measured, family: str, targets: list[str]) -> None:
    """Two designs can be held out at once, one for the error and one for its interval."""
    for name, rows in measured.latency_ms.items():
        own = TARGETS[name].family
        count = len({spreads.design(n) for n in rows if measured.trains(n, own)})
        expect(
            count >= MIN_DESIGNS,
            f"target '{name}': {count} networks timed that its unit runs itself, in whatever width"
            f" and resolution; at least {MIN_DESIGNS} are needed",
        )
    timed = {(TARGETS[name].device, TARGETS[name].family) for name in measured.latency_ms}
    for name in targets:
        for feature, other in FAMILIES[family].fallback:
            expect(
                (TARGETS[name].device, other) in timed,
                f"target '{name}': networks with {feature} fall back to a unit of which the table"
                f" has no timings; it also needs those of {_unit(name, other)}",
            )


def _unit(name: str, family: str) -> str:
    """Target of a family on the device of another target."""
    device = TARGETS[name].device
    return next(n for n, t in TARGETS.items() if (t.device, t.family) == (device, family))
