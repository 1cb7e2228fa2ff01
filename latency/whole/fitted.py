"""Everything that is fitted to the timings of a family: prices, intervals, effects, what is known.

The rules of what a table must hold for that are here too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from palmette.latency import uncertainty as spreads
from palmette.latency.effects import Effect, Support, effects, support
from palmette.latency.op_lists import network_ops
from palmette.latency.passports import doubtful_subjects, typical_ms
from palmette.latency.per_op.op_timed import OpTimedModel
from palmette.latency.quantity import LATENCY
from palmette.latency.targets import TARGETS, USUAL_PRIORS, Target, parse_target
from palmette.latency.uncertainty import Uncertainty
from palmette.latency.whole.forms import FAMILIES, family_of
from palmette.latency.whole.model import Fits, Measured, TargetModel, fit_family
from palmette.space import OpTable
from palmette.space.errors import expect

MIN_DESIGNS = 4


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is fitted to a target's timings: a predictor's attributes of the same names."""

    model: TargetModel | OpTimedModel
    uncertainty: Uncertainty
    support: Support
    effects: tuple[Effect, ...]
    held_out_errors: Mapping[str, float]
    timings_hash: str
    compared: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    far_off: tuple[str, ...] = ()
    """Lines on timings far from those of the prior, of `palmette.latency.doubts`."""
    prior: str = ""
    """Full name of the target whose prices were carried over; blank: fitted by itself."""
    quantity: str = LATENCY
    """Which milliseconds were fitted, of `palmette.latency.quantity.QUANTITIES`."""
    timed: Mapping[str, str] = field(default_factory=dict)
    """Hash of each held-out network's milliseconds, by name; see `marks`."""
    timed_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds of every network that was timed on the target, by name; see `rounded`."""


def measured_networks(
    timings: pd.DataFrame, family: str, fits: Fits | None = None, alone: Target | None = None
) -> Measured:
    """Whole-network timings of a family and of those it falls back to; duplicates are averaged.

    Args:
        timings: as `read_timings` gives them.
        family: of `FAMILIES`.
        fits: what other families of the same table have fitted so far, to share it.
        alone: a target that is in no family; only its timings are taken then.
    """
    families = {family, *(other for _, other in FAMILIES[family].fallback)}
    kin = {name for name, target in TARGETS.items() if target.family in families}
    wanted = {str(alone)} if alone else kin
    latency_ms: dict[str, dict[str, float]] = {}
    networks = timings[timings["subject_kind"] == "network"]
    for (target, subject), rows in networks.groupby(["target", "subject"], sort=True):
        if target in wanted:
            latency_ms.setdefault(str(target), {})[str(subject)] = typical_ms(rows)
    names = sorted({name for rows in latency_ms.values() for name in rows})
    ops = {name: OpTable.of(network_ops(name)) for name in names}
    doubtful = {
        target: doubtful_subjects(networks[networks["target"] == target]) for target in latency_ms
    }
    return Measured(latency_ms, ops, fits={} if fits is None else fits, doubtful=doubtful)


def fit_parts(measured: Measured, family: str) -> dict[str, Fitted]:
    """Everything that is fitted, of all targets of a family that have timings: target -> parts.

    Raises:
        InputError: fewer than `MIN_DESIGNS` networks to learn from on one of the targets.
    """
    targets = [n for n in measured.latency_ms if family_of(parse_target(n)) == family]
    if not targets:
        return {}
    _expect_enough(measured, family, targets)
    fits = spreads.held_out_fits(family, measured)
    errors = spreads.held_out_errors(targets, measured, fits)
    digest = timings_digest(measured.latency_ms)
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
            timed=marks({network: measured.latency_ms[name][network] for network in errors[name]}),
            timed_ms=rounded(measured.latency_ms[name]),
        )
    return parts


def timings_digest(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Hash of timings, 16 hexadecimal digits; rounded, as means of logs differ between machines."""
    texts = {t: {n: f"{ms:.9g}" for n, ms in rows.items()} for t, rows in latency_ms.items()}
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]


def rounded(latency_ms: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds to nine digits, as means of logs differ between machines."""
    return {name: float(f"{ms:.9g}") for name, ms in latency_ms.items()}


def marks(latency_ms: Mapping[str, float]) -> dict[str, str]:
    """A short hash of each network's milliseconds, by name: whether a timing is the fitted one.

    Not the milliseconds themselves, since third-party timings may be fitted but not shipped.
    Rounded to six digits, as means of logs differ between machines.
    """
    hashes = {name: hashlib.sha256(f"{ms:.6g}".encode()) for name, ms in latency_ms.items()}
    return {name: found.hexdigest()[:8] for name, found in hashes.items()}


def _expect_enough(measured: Measured, family: str, targets: list[str]) -> None:
    """Two designs can be held out at once, one for the error and one for its interval."""
    for name, rows in measured.latency_ms.items():
        own = family_of(parse_target(name))
        count = len({spreads.design(n) for n in rows if measured.trains(n, own)})
        expect(
            count >= MIN_DESIGNS,
            f"target '{name}': {count} networks timed that its unit runs itself, in whatever width"
            f" and resolution; at least {MIN_DESIGNS} are needed, or a known phone as the prior"
            f" (--like {USUAL_PRIORS[parse_target(name).unit]})",
        )
    timed = {(t.device, t.family) for t in map(parse_target, measured.latency_ms)}
    for name in targets:
        for feature, other in FAMILIES[family].fallback:
            expect(
                (parse_target(name).device, other) in timed,
                f"target '{name}': networks with {feature} fall back to a unit of which the table"
                f" has no timings; it also needs those of {_unit(name, other)}",
            )


def _unit(name: str, family: str) -> str:
    """Target of a family on the device of another target."""
    device = parse_target(name).device
    return next(n for n, t in TARGETS.items() if (t.device, t.family) == (device, family))
