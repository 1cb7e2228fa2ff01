"""A new target from a few timings, with a related target that is known as the prior.

What a model gets wrong about a network it gets wrong on every chip: between networks the errors of
one unit differ far more than between the chips of a network. So a timing is compared with the known
target's own timing of that network where there is one, and otherwise with its model:

    typical = new * model(network) / known     is what an ordinary network of that kind would take

Up to `SCALE_ROWS` timings of mobile networks give one scale, the robust mean of typical over the
model. More, or other networks, fit the prices of every state that has more than `SCALE_ROWS` of
them, maximum a posteriori by `fit_prices`: the prior's middle is the known prices times the scale,
and a price deviates from what both targets share as any chip's does. States with fewer keep the
scale.

Where a family blends forms, the blend or the one form is taken that best predicts the known
target's mobile networks, each held out: chosen on the known target alone.

The interval is Student's t. Its variance adds the known target's held-out errors to the spread of
the transfer, which a few timings show badly: they count together with `TRANSFER_NETWORKS`
imaginary ones of spread `TRANSFER_SPREAD`, the spread between chips of one runtime. Between two
runtimes it is `OTHER_RUNTIME_SPREAD`, a choice of ours: the few published timings of iOS 17 scatter
about those of iOS 16 by a fifth and more. Degrees of freedom: Welch (1947), Satterthwaite (1946).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palmette.latency import uncertainty as spreads
from palmette.latency.doubts import far_from_kin
from palmette.latency.effects import effects, support
from palmette.latency.robust import Prior, fit_positive
from palmette.latency.targets import Target, parse_target
from palmette.latency.uncertainty import Uncertainty
from palmette.latency.whole.fitted import Fitted, marks, rounded, timings_digest
from palmette.latency.whole.fitting import (
    CHIP_SPREAD,
    DEVIATION_SPREAD,
    ROBUST_SCALE,
    Design,
    fit_prices,
)
from palmette.latency.whole.forms import FAMILIES, family_of
from palmette.latency.whole.model import Component, Measured, State, TargetModel, fit_family
from palmette.space.errors import InputError, expect

Floats = NDArray[np.float64]

MIN_DESIGNS = 2
SCALE_ROWS = 3
TRANSFER_SPREAD, OTHER_RUNTIME_SPREAD, TRANSFER_NETWORKS = 0.10, 0.25, 3
LEAST_PRICE_MS = 1e-12
METHOD = "Student-t on the known target's held-out log errors and the spread of the transfer"


@dataclass(frozen=True, slots=True)
class Known:
    """A known target: its timings, its model, and models and errors with designs held out.

    `held_out` has the model without each design; `errors` the log of predicted over measured of
    each timed network, itself held out. All are of the forms that predict mobile networks best.
    """

    name: str
    measured: Measured
    model: TargetModel
    held_out: Mapping[str, TargetModel]
    errors: Mapping[str, float]

    @classmethod
    def of(cls, name: str, measured: Measured) -> Known:
        """A target by its full name, from the timings of its family and its fallbacks.

        Raises:
            InputError: `measured` has no timings of the target.
        """
        if not measured.latency_ms.get(name):
            timed = ", ".join(measured.latency_ms)
            raise InputError(f"target '{name}' has no timings to start from; timed: {timed}")
        family = family_of(parse_target(name))
        model = fit_family(family, measured)[name]
        fits = spreads.held_out_fits(family, measured)
        found = []
        for forms in _choices(model):
            held_out = {held: _of_forms(f[name], forms) for held, f in fits.items() if name in f}
            models = {held: {name: fit} for held, fit in held_out.items()}
            errors = spreads.held_out_errors([name], measured, models)[name]
            found.append(cls(name, measured, _of_forms(model, forms), held_out, errors))
        return min(found, key=lambda known: known.mobile_error)

    @property
    def mobile_error(self) -> float:
        """Mean absolute log error of mobile networks, held out; of all if there are none."""
        mobile = [e for name, e in self.errors.items() if _is_mobile(self.measured, name)]
        return float(np.mean(np.abs(mobile or list(self.errors.values()))))

    @property
    def uncertainty(self) -> Uncertainty:
        """Of predictions of the known target."""
        return spreads.estimate(self.measured, self.errors)

    def ms(self, timed: Measured, network: str) -> float:
        """What a network takes on the known target: as timed there, else as its model says."""
        known_ms = self.measured.latency_ms[self.name].get(network)
        return timed.predict(network, self.model) if known_ms is None else known_ms

    def typical_ms(self, timed: Measured, network: str, ms: float, model: TargetModel) -> float:
        """What a network that took `ms` would have taken, were it as `model` says of this target.

        That is `ms` if this target did not time it.
        """
        known_ms = self.measured.latency_ms[self.name].get(network)
        return ms if known_ms is None else ms * timed.predict(network, model) / known_ms


def adapt(source: str, measured: Measured, target: Target, timed: Measured) -> Fitted:
    """All that is fitted to a target's few timings, with a known target as the prior.

    Args:
        source: full name of the known target.
        measured: timings of its family and of those it falls back to.
        target: the new target, of the same unit.
        timed: timings of the new target.

    Raises:
        InputError: another unit, no timings of the source, or fewer than `MIN_DESIGNS` designs of
            which every op has a price.
    """
    expect(
        target.unit == parse_target(source).unit,
        f"target '{target}': '{source}' is another unit and tells nothing of it; name a"
        f" {target.unit}",
    )
    rows = _rows(timed, target)
    designs = {spreads.design(name) for name in rows}
    expect(
        len(designs) >= MIN_DESIGNS,
        f"target '{target}': {len(designs)} networks timed, of those whose ops all have a price, in"
        f" whatever width and resolution; at least {MIN_DESIGNS} are needed",
    )
    known = Known.of(source, measured)
    model = transfer(known, target, timed)
    every = {str(target): {**measured.latency_ms[source], **rows}}
    shown = support(str(target), model, Measured(every, {**measured.ops, **timed.ops}))
    members = [transfer(replace(known, model=m), target, timed) for m in known.held_out.values()]
    errors = {name: e for d in sorted(designs) for name, e in _errors_of(d, known, target, timed)}
    return Fitted(
        model,
        transfer_uncertainty(known, target, timed),
        shown,
        effects(model, members, shown),
        errors,
        timings_digest({**measured.latency_ms, str(target): rows}),
        far_off=far_from_kin(rows, {name: known.ms(timed, name) for name in rows}, source),
        prior=source,
        timed=marks({name: timed.latency_ms[str(target)][name] for name in errors}),
        timed_ms=rounded(timed.latency_ms[str(target)]),
    )


def transfer(known: Known, target: Target, timed: Measured) -> TargetModel:
    """Model of a new target from its few timings: one scale, or prices where they are enough."""
    model, rows = _moved(known.model, target), _rows(timed, target)
    scale = math.exp(_log_scale(_log_ratios(known, model, timed, rows)))
    states = []
    for place, state in enumerate(model.states):
        own = {name: ms for name, ms in rows.items() if _state(model, timed, name) == place}
        if len(own) > SCALE_ROWS or not all(_is_mobile(timed, name) for name in own):
            states.append(_priced(known, place, state, scale, timed, own))
        else:
            states.append(replace(state, scale=state.scale * scale))
    return replace(model, states=tuple(states))


def transfer_uncertainty(known: Known, target: Target, timed: Measured) -> Uncertainty:
    """Uncertainty of `transfer`: the known target's, the spread of the ratios, and their scale's.

    The ratios' spread is that about one scale, which is at least that about fitted prices. A
    network that the known target did not time shows its model's error too, which is taken off.
    """
    rows = _rows(timed, target)
    ratios = _log_ratios(known, _moved(known.model, target), timed, rows)
    scale, own = _log_scale(ratios), known.uncertainty
    sums = {name: spreads.hull_sums(timed, name) for name in rows}
    new = [name for name in rows if name not in known.measured.latency_ms[known.name]]
    squares = [
        max((ratio - scale) ** 2 - (float(own.log_spread(sums[n])) ** 2 if n in new else 0.0), 0.0)
        for n, ratio in ratios.items()
    ]
    freedom = len(rows) - 1 + TRANSFER_NETWORKS
    old = parse_target(known.name)
    # a family's runtimes are nearly one
    near = target.runtime == old.runtime or (old.family and target.family == old.family)
    imagined = TRANSFER_SPREAD if near else OTHER_RUNTIME_SPREAD
    between = (sum(squares) + TRANSFER_NETWORKS * imagined**2) / freedom
    parts = []
    for spread, count in zip(own.spread, own.networks, strict=True):
        model_part = spread**2 * (1 + 1 / count + len(new) / len(rows) ** 2)
        chip_part = between * (1 + 1 / len(rows))
        total = model_part + chip_part
        networks = max(1, int(total**2 / (model_part**2 / count + chip_part**2 / freedom)))
        parts.append((math.sqrt(total / (1 + 1 / networks)), networks))
    logs = np.log(np.array([total[3:] for total in sums.values()]))
    low, high = np.array(own.hull).T
    hull = zip(np.minimum(low, logs.min(0)), np.maximum(high, logs.max(0)), strict=True)
    (mobile, mobiles), (other, others) = parts
    ranges = tuple((float(a), float(b)) for a, b in hull)
    return Uncertainty((mobile, other), (mobiles, others), ranges, METHOD)


def _errors_of(
    held: str, known: Known, target: Target, timed: Measured
) -> Iterable[tuple[str, float]]:
    """Log errors of a design of the new target, itself held out on all targets."""
    inner = Known.of(known.name, known.measured.without(_of_design(known.measured, held)))
    names = _of_design(timed, held)
    model = transfer(inner, target, timed.without(names))
    for name, ms in _rows(timed, target).items():
        if name in names:
            yield name, math.log(timed.predict(name, model) / ms)


def _priced(
    known: Known, place: int, state: State, scale: float, timed: Measured, rows: Mapping[str, float]
) -> State:
    """A state with the prices of its components fitted to timings of networks that are in it."""
    components = []
    for index, component in enumerate(state.components):
        own = known.model.states[place]
        alone = replace(own, components=(own.components[index],))
        model = replace(known.model, states=(*known.model.states[:place], alone))
        typical = [known.typical_ms(timed, name, ms, model) for name, ms in rows.items()]
        components.append(
            _refit(component, scale, timed, list(rows), np.array(typical) / own.scale)
        )
    return replace(state, components=tuple(components))


def _refit(
    component: Component, scale: float, timed: Measured, names: list[str], ms: Floats
) -> Component:
    """A component with prices drawn from its own, times the scale, towards timings (networks,)."""
    prices = np.array([component.constant_ms, *component.prices_ms])
    middle = np.log(scale * np.maximum(prices, LEAST_PRICE_MS))
    floors = np.array([[timed.floor_ms(name, component.target) for name in names]])
    matrices = [timed.matrix(name, component.form) for name in names]
    design = Design.of(component.form, matrices, floors)
    prior = Prior(middle, np.full(len(middle), DEVIATION_SPREAD))
    weights = timed.weights(str(component.target), names)[None]
    constant, *others = fit_prices(design, ms[None], prior, weights)[0].tolist()
    return replace(component, constant_ms=constant, prices_ms=tuple(others))


def _log_ratios(
    known: Known, model: TargetModel, timed: Measured, rows: Mapping[str, float]
) -> dict[str, float]:
    """Log of typical over the moved model's milliseconds of each timed network."""
    return {
        name: math.log(known.typical_ms(timed, name, ms, known.model) / timed.predict(name, model))
        for name, ms in rows.items()
    }


def _log_scale(ratios: Mapping[str, float]) -> float:
    """Robust mean of log ratios, by the loss of the prices; its prior sits at their median."""
    values = np.exp(np.array(list(ratios.values())))
    prior = Prior(np.log(np.median(values, keepdims=True)), np.full(1, CHIP_SPREAD))
    found = fit_positive(np.ones((len(values), 1)), values, prior, ROBUST_SCALE)
    return math.log(found.coefficients[0])


def _moved(model: TargetModel, target: Target) -> TargetModel:
    """The model with the physical floors of a new target's units."""
    states = []
    for state in model.states:
        other = f"{target.device}/{state.components[0].target.unit}@{target.runtime}"
        unit = parse_target(other) if state.feature else target
        components = tuple(replace(c, target=unit) for c in state.components)
        states.append(replace(state, components=components))
    return TargetModel(target, tuple(states))


def _choices(model: TargetModel) -> list[tuple[int, ...]]:
    """Places of the forms to choose from: all blended, or each alone."""
    count = len(model.states[-1].components)
    return [tuple(range(count)), *((place,) for place in range(count) if count > 1)]


def _of_forms(model: TargetModel, forms: tuple[int, ...]) -> TargetModel:
    """The model with some of the forms of the unit's own state."""
    *others, own = model.states
    kept = replace(own, components=tuple(own.components[place] for place in forms))
    return replace(model, states=(*others, kept))


def _rows(timed: Measured, target: Target) -> dict[str, float]:
    """Timings of a target whose networks have only ops that a form has a price for."""
    rows, unpriced = timed.latency_ms.get(str(target), {}), FAMILIES[family_of(target)].unpriced
    return {n: ms for n, ms in rows.items() if not any(timed.total(n, f) for f in unpriced)}


def _of_design(measured: Measured, held: str) -> frozenset[str]:
    return frozenset(name for name in measured.ops if spreads.design(name) == held)


def _is_mobile(measured: Measured, network: str) -> bool:
    return bool(spreads.class_index(spreads.hull_sums(measured, network)) == 0)


def _state(model: TargetModel, timed: Measured, network: str) -> int:
    """Place of the state that a network is in."""
    shown = (not s.feature or timed.total(network, s.feature) > 0 for s in model.states)
    return list(shown).index(True)
