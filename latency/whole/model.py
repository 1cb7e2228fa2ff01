"""`TargetModel`: milliseconds of one target as sums over ops, and how a family is fitted.

A model turns ops into channels (one value per op and channel), which are summed over a network, and
combines the sums into milliseconds. A search space compiles the same channels into tables, so the
two paths cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.latency.passports import DOUBTFUL_COUNT
from palmette.latency.stored import listed, number, text
from palmette.latency.targets import ELEMENT_FLOOR_MS, TARGETS, Target, parse_target
from palmette.latency.whole.features import FEATURES
from palmette.latency.whole.fitting import Design, fit_prices
from palmette.latency.whole.forms import (
    FAMILIES,
    FEATURE_WORDS,
    FORMS,
    Form,
    family_of,
    floor_ms,
)
from palmette.space import OpTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Component:
    """A form with its prices: `constant_ms`, and milliseconds per unit of each feature."""

    form: Form
    constant_ms: float
    prices_ms: tuple[float, ...]
    target: Target
    """Whose physical floors hold; for a fallback, the unit that it falls back to."""

    def op_ms(self, ops: OpTable) -> Floats:
        """Milliseconds of each op, shape (ops,)."""
        cost: Floats = floor_ms(ops, self.target) + self.priced_ms(self.form.matrix(ops))
        return cost

    def priced_ms(self, matrix: Floats) -> Floats:
        """Milliseconds of ops beyond their floors, from the form's matrix (ops, features)."""
        prices = np.array(self.prices_ms)
        cost: Floats = self.form.active(matrix, prices) @ prices
        return cost


@dataclass(frozen=True, slots=True)
class State:
    """One way to run: components blended by the geometric mean, times a scale.

    `feature` names the op feature that brings a network into this state; empty for the state of
    networks that have none of the others.
    """

    feature: str
    components: tuple[Component, ...]
    scale: float = 1.0

    def combine(self, sums: Floats) -> Floats:
        """Milliseconds from the components' sums over ops, shape (..., components) to (...)."""
        log_ms = np.zeros(sums.shape[:-1])
        for index, component in enumerate(self.components):
            log_ms += np.log(sums[..., index] + component.constant_ms)
        ms: Floats = self.scale * np.exp(log_ms / len(self.components))
        return ms


@dataclass(frozen=True, slots=True)
class TargetModel:
    """Milliseconds of a target; a network is in the first state whose feature it shows."""

    target: Target
    states: tuple[State, ...]

    @property
    def name(self) -> str:
        """The forms that are blended where the unit itself runs a network."""
        return " x ".join(component.form.name for component in self.states[-1].components)

    @property
    def strict(self) -> bool:
        """Whether more work is never cheaper: always, as all prices are positive."""
        return True

    def channels(self, ops: OpTable, first: NDArray[np.int64] | None = None) -> Floats:
        """Values to be summed over a network's ops, shape (ops, channels).

        `first`, the ops that begin a network or block, changes nothing: order has no price here.
        """
        columns = []
        for state in self.states:
            columns += [FEATURES[state.feature](ops)] if state.feature else []
            columns += [component.op_ms(ops) for component in state.components]
        return np.stack(columns, axis=1)

    def combine(self, sums: Floats) -> Floats:
        """Milliseconds from channel sums, shape (..., channels) to (...)."""
        ms, index = self._states(sums)
        return np.take_along_axis(ms, index[..., None], axis=-1)[..., 0]

    def strays(self, sums: Floats) -> NDArray[np.bool_]:
        """Whether a network has shapes that were not timed: none, as whole networks were."""
        return np.zeros(sums.shape[:-1], dtype=np.bool_)

    def state_of(self, ops: OpTable) -> str:
        """Feature that decides a network's state; empty for the unit itself."""
        _, index = self._states(self.channels(ops).sum(axis=0))
        return self.states[int(index)].feature

    def placement_of(self, ops: OpTable) -> str:
        """What a network is assumed to run on: `native`, or `fallback: ...` to another unit."""
        feature = self.state_of(ops)
        if not feature:
            return "native"
        state = next(s for s in self.states if s.feature == feature)
        words = FEATURE_WORDS.get(feature, feature)
        return f"fallback: {words} put it on {state.components[0].target.alias}"

    def split(self, ops: OpTable) -> tuple[Floats, float]:
        """Milliseconds of each op of a network, shape (ops,), and of the network.

        The ops' add up to the network's less the constant. A geometric blend of forms is split by
        its tangent: each form gives an op the share that the op has in the form's own total, the
        constant's included; an op's share is the mean over the forms. The constant's share of a
        blend, which is missing from the sum, is thus the mean of the forms' own.
        """
        name = self.state_of(ops)
        state = next(s for s in self.states if s.feature == name)
        total = float(self.predict([ops])[0])
        parts = np.zeros(len(ops))
        for component in state.components:
            own = component.op_ms(ops)
            parts += own * total / (own.sum() + component.constant_ms) / len(state.components)
        return parts, total

    def predict(self, networks: Sequence[OpTable]) -> Floats:
        """Milliseconds of networks, shape (networks,)."""
        return np.array([float(self.combine(self.channels(ops).sum(axis=0))) for ops in networks])

    def to_dict(self) -> dict[str, Any]:
        """Plain values; see `from_dict`."""
        return {
            "target": str(self.target),
            "states": [
                {
                    "feature": state.feature,
                    "scale": state.scale,
                    "components": [
                        {
                            "form": component.form.name,
                            "unit_of": str(component.target),
                            "constant_ms": component.constant_ms,
                            "prices_ms": dict(
                                zip(component.form.features, component.prices_ms, strict=True)
                            ),
                        }
                        for component in state.components
                    ],
                }
                for state in self.states
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TargetModel:
        """Model from plain values; raises KeyError, TypeError or ValueError on malformed ones."""
        states = tuple(_state(state) for state in listed(data["states"]))
        if [bool(state.feature) for state in states] != [True] * (len(states) - 1) + [False]:
            raise ValueError("the last state, and it alone, must have no feature")
        return cls(parse_target(text(data["target"])), states)

    def _states(self, sums: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Milliseconds in every state, (..., states), and the index of the one that holds."""
        columns, shown, start = [], [], 0
        for state in self.states:
            if state.feature:
                shown.append(sums[..., start] > 0)
                start += 1
            else:
                shown.append(np.ones(sums.shape[:-1], dtype=np.bool_))
            end = start + len(state.components)
            columns.append(state.combine(sums[..., start:end]))
            start = end
        return np.stack(columns, axis=-1), np.argmax(np.stack(shown, axis=-1), axis=-1)


Fits = dict[tuple[str, frozenset[str], frozenset[str]], dict[str, TargetModel]]
"""Models of a timing table by family, networks known and networks held out: target -> model."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Whole-network timings of the targets of several families.

    `latency_ms[target][network]` in ms; `ops` holds every network's columns. `held_out` and `fits`
    keep track of what was left out and of the models fitted so far, shared by all that `without`
    makes; `matrices` of the features computed so far. `doubtful[target]` are networks whose timings
    are marked down beside others of the target (`palmette.latency.passports`).
    """

    latency_ms: Mapping[str, Mapping[str, float]]
    ops: Mapping[str, OpTable]
    held_out: frozenset[str] = frozenset()
    fits: Fits = field(default_factory=dict)
    matrices: dict[tuple[str, str], Floats] = field(default_factory=dict)
    doubtful: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def weights(self, target: str, networks: Sequence[str]) -> Floats:
        """What each network's timing counts in a fit, (networks,)."""
        doubtful = self.doubtful.get(target, frozenset())
        return np.array([DOUBTFUL_COUNT if name in doubtful else 1.0 for name in networks])

    def without(self, networks: frozenset[str]) -> Measured:
        """The same timings without some networks, on every target; their features stay known."""
        kept = {
            target: {n: ms for n, ms in rows.items() if n not in networks}
            for target, rows in self.latency_ms.items()
        }
        held_out = self.held_out | networks
        return Measured(kept, self.ops, held_out, self.fits, self.matrices, self.doubtful)

    def total(self, network: str, feature: str) -> float:
        """Sum of a feature over a network's ops."""
        key = (network, feature)
        if key not in self.matrices:
            self.matrices[key] = FEATURES[feature](self.ops[network]).sum(keepdims=True)
        return float(self.matrices[key][0])

    def matrix(self, network: str, form: Form) -> Floats:
        """Features of a form for each op of a network, (ops, features)."""
        key = (network, form.name)
        if key not in self.matrices:
            self.matrices[key] = form.matrix(self.ops[network])
        return self.matrices[key]

    def floor_ms(self, network: str, target: Target) -> float:
        """Physical floor of a network."""
        moved = self.total(network, "traffic") + self.total(network, "weights")
        return self.total(network, "macs") * target.mac_floor_ms + moved * ELEMENT_FLOOR_MS

    def trains(self, network: str, family: str) -> bool:
        """Whether a network teaches a family its prices: its unit runs it, and all has a price."""
        spec = FAMILIES[family]
        apart = (*spec.unpriced, *(feature for feature, _ in spec.fallback))
        return not any(self.total(network, feature) for feature in apart)

    def predict(self, network: str, model: TargetModel) -> float:
        """Milliseconds of a network by a model: `TargetModel.predict` on the kept features."""
        sums: list[float] = []
        for state in model.states:
            sums += [self.total(network, state.feature)] if state.feature else []
            for component in state.components:
                priced = component.priced_ms(self.matrix(network, component.form)).sum()
                sums.append(self.floor_ms(network, component.target) + float(priced))
        return float(model.combine(np.array(sums)))


def fit_family(family: str, measured: Measured) -> dict[str, TargetModel]:
    """Models of all targets of a family that have timings, fitted together.

    Networks in a fallback's state do not train the unit; neither do those with ops that no form has
    a price for.
    """
    key = (family, frozenset(measured.ops), measured.held_out)
    if key not in measured.fits:
        measured.fits[key] = _fit_family(family, measured)
    return measured.fits[key]


def _fit_family(family: str, measured: Measured) -> dict[str, TargetModel]:
    spec = FAMILIES[family]
    timed = [parse_target(name) for name, rows in measured.latency_ms.items() if rows]
    order = list(TARGETS)
    targets = [t for t in timed if family_of(t) == family]
    targets.sort(key=lambda t: order.index(str(t)) if str(t) in TARGETS else len(order))
    names = list(measured.ops)
    trains = np.array([measured.trains(name, family) for name in names])
    components: dict[str, list[Component]] = {str(target): [] for target in targets}
    floors = np.array([[measured.floor_ms(name, t) for name in names] for t in targets])
    rows = [measured.latency_ms[str(target)] for target in targets]
    latency_ms = np.array([[row.get(name, math.nan) for name in names] for row in rows])
    latency_ms[:, ~trains] = math.nan
    weights = np.array([measured.weights(str(target), names) for target in targets])
    for form_name in spec.forms:
        form = FORMS[form_name]
        matrices = [measured.matrix(name, form) for name in names]
        prices = fit_prices(Design.of(form, matrices, floors), latency_ms, weights=weights)
        for target, (constant, *others) in zip(targets, prices.tolist(), strict=True):
            components[str(target)].append(Component(form, constant, tuple(others), target))
    fallbacks = _fallbacks(family, targets, measured)
    return {
        str(t): TargetModel(t, (*fallbacks[str(t)], State("", tuple(components[str(t)]))))
        for t in targets
    }


def _fallbacks(
    family: str, targets: list[Target], measured: Measured
) -> dict[str, tuple[State, ...]]:
    """States in which another unit of the phone runs the network."""
    states: dict[str, tuple[State, ...]] = {str(target): () for target in targets}
    earlier: list[str] = []
    for feature, other_family in FAMILIES[family].fallback:
        others = fit_family(other_family, measured)
        scale = _fallback_scale(feature, earlier, targets, others, measured)
        for target in targets:
            other = next(m for m in others.values() if m.target.device == target.device)
            states[str(target)] += (State(feature, other.states[-1].components, scale),)
        earlier.append(feature)
    return states


def _fallback_scale(
    feature: str,
    earlier: list[str],
    targets: list[Target],
    others: Mapping[str, TargetModel],
    measured: Measured,
) -> float:
    """Geometric mean of a target's time over the other unit's, of the networks in a state.

    Drawn towards 1 by one imaginary network.
    """
    ratios = []
    for target in targets:
        other = next(m.target for m in others.values() if m.target.device == target.device)
        unit_ms = measured.latency_ms.get(str(other), {})
        for name, ms in measured.latency_ms[str(target)].items():
            states = [f for f in (*earlier, feature) if measured.total(name, f)]
            if states[:1] == [feature] and name in unit_ms:
                ratios.append(math.log(ms / unit_ms[name]))
    return math.exp(sum(ratios) / (len(ratios) + len(targets)))


def _state(data: Mapping[str, Any]) -> State:
    feature, components = text(data["feature"]), []
    for item in listed(data["components"]):
        form = FORMS[item["form"]]
        if set(item["prices_ms"]) != set(form.features):
            raise ValueError(f"form {form.name!r} has prices of {', '.join(form.features)}")
        prices = tuple(number(item["prices_ms"][name], 0.0) for name in form.features)
        constant_ms = number(item["constant_ms"], 0.0)
        components.append(Component(form, constant_ms, prices, parse_target(text(item["unit_of"]))))
    if not components:
        raise ValueError("a state needs at least one component")
    if feature and feature not in FEATURES:
        raise ValueError(f"unknown feature {feature!r}")
    return State(feature, tuple(components), number(data["scale"], 1e-6))
