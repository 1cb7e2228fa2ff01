"""Do intervals hold on networks that a search selected? Model against model: no phone is here.

A search hands out the networks that a predictor finds fast, and so prefers those whose time it
underestimates. How much that costs is measured where the truth is known, because it was made:

1. The truth is a form, any of `FORMS`, fitted to the real timings of a family of targets.
2. Timings of the same networks are made from it. Each design gets the errors that the truth leaves
   of another, randomly drawn design of its class, the same one on all chips.
3. The family's own forms are fitted to the made timings, intervals and supported choices included,
   as `palmette latency fit` would.
4. In a search space without the barred choices, networks are bred that have the most MACs and
   weights (a stand-in for accuracy) in each band of predicted milliseconds, taken at the upper end.
5. The truth says what these take, and what random networks of the same bands take. Each may also be
   off by any of the errors of step 2: a part that no predictor sees and no selection can use.

What a selection exploits is left: wrong prices and wrong forms. Real phones may be wrong in ways
that none of the forms knows, so the shares are a bound on optimism, not a promise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from palmette.latency.effects import support
from palmette.latency.uncertainty import (
    class_index,
    design,
    estimate,
    held_out_errors,
    held_out_fits,
    hull_sums,
)
from palmette.latency.validation.breeding import BANDS, Judge, Shares, allowed_choices, bred, sample
from palmette.latency.validation.held_out import Timed
from palmette.latency.whole.fitting import Design, fit_prices
from palmette.latency.whole.forms import FORMS
from palmette.latency.whole.model import Component, Measured, State, TargetModel, fit_family
from palmette.space import CompiledSpace

RANDOM = 2048
SPAN = (0.02, 0.9)
"""Quantiles of random networks' milliseconds between which the bands lie."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One made truth on one target."""

    target: str
    truth: str
    selected: Shares
    random: Shares


def selections(families: Sequence[Timed], compiled: CompiledSpace, seed: int = 0) -> list[Outcome]:
    """Outcomes of all targets, with each form as the truth in turn.

    Args:
        families: timings, as `timed_families` gives them.
        compiled: the search space.
        seed: of the made timings and of the breeding.
    """
    outcomes = []
    for index, timed in enumerate(families):
        for number, form in enumerate(FORMS):
            rng = np.random.default_rng((seed, index, number))
            outcomes += _outcomes(timed.measured, timed.family, form, compiled, rng)
    return outcomes


def summary(outcomes: list[Outcome]) -> dict[str, float | None]:
    """Metrics: means over targets and truths."""
    kinds = {"selected": [o.selected for o in outcomes], "random": [o.random for o in outcomes]}
    found: dict[str, float | None] = {}
    for kind, shares in kinds.items():
        for name, values in (
            ("coverage_80", [s.inside for s in shares]),
            ("upper_80", [s.below for s in shares]),
        ):
            found[f"{name}_{kind}"] = float(np.mean(values)) if values else None
    return found


def _outcomes(
    measured: Measured, family: str, form: str, compiled: CompiledSpace, rng: np.random.Generator
) -> list[Outcome]:
    truths = _truths(measured, family, form)
    errors = _errors(measured, truths)
    made = _made(measured, family, truths, errors, rng)
    models = fit_family(family, made)
    left_out = held_out_errors(list(models), made, held_out_fits(family, made))
    outcomes = []
    for target, model in models.items():
        allowed = allowed_choices(compiled.space, support(target, model, made))
        if not all(len(choices) for choices in allowed):
            continue  # a search refuses such a space
        judge = Judge.of(compiled, model, estimate(made, left_out[target]), truths[target])
        mobile = [e for n, e in errors[target].items() if _class(measured, n) == 0]
        pool = np.array(mobile or list(errors[target].values()))
        random = sample(allowed, RANDOM, rng)
        upper_ms, _ = judge.rate(random)
        low, high = np.quantile(upper_ms, SPAN).tolist()
        edges = np.geomspace(low, high, BANDS + 1)
        within = random[(upper_ms > edges[0]) & (upper_ms <= edges[-1])]
        selected = bred(judge, allowed, random, edges, rng)
        shares = judge.shares(selected, pool), judge.shares(within, pool)
        outcomes.append(Outcome(target, form, *shares))
    return outcomes


def _truths(measured: Measured, family: str, form: str) -> dict[str, TargetModel]:
    """Models of a family's targets with another form in the unit's own state."""
    models = fit_family(family, measured)
    names = list(measured.ops)
    targets = [model.target for model in models.values()]
    floors = np.array([[measured.floor_ms(name, t) for name in names] for t in targets])
    latency_ms = np.array(
        [[measured.latency_ms[str(t)].get(name, math.nan) for name in names] for t in targets]
    )
    latency_ms[:, [not measured.trains(name, family) for name in names]] = math.nan
    matrices = [measured.matrix(name, FORMS[form]) for name in names]
    prices = fit_prices(Design.of(FORMS[form], matrices, floors), latency_ms)
    truths = {}
    for target, (constant, *others) in zip(targets, prices.tolist(), strict=True):
        own = State("", (Component(FORMS[form], constant, tuple(others), target),))
        truths[str(target)] = replace(
            models[str(target)], states=(*models[str(target)].states[:-1], own)
        )
    return truths


def _errors(measured: Measured, truths: Mapping[str, TargetModel]) -> dict[str, dict[str, float]]:
    """Log of measured over true: target -> network -> error."""
    return {
        target: {
            name: math.log(ms / measured.predict(name, truth))
            for name, ms in measured.latency_ms[target].items()
        }
        for target, truth in truths.items()
    }


def _made(
    measured: Measured,
    family: str,
    truths: Mapping[str, TargetModel],
    errors: Mapping[str, Mapping[str, float]],
    rng: np.random.Generator,
) -> Measured:
    """Timings made from the truth; those of other families stay as they are."""
    made = dict(measured.latency_ms)
    designs = sorted({design(name) for name in measured.ops})
    donors = {name: rng.permutation(designs).tolist() for name in designs}

    def error(target: str, name: str) -> float:
        """Of the first donor that was timed there and is of the network's class."""
        order, own = donors[design(name)], _class(measured, name)
        like = [other for other in errors[target] if _class(measured, other) == own]
        return errors[target][min(like, key=lambda other: order.index(design(other)))]

    for target, truth in truths.items():
        made[target] = {
            name: measured.predict(name, truth) * math.exp(error(target, name))
            for name in measured.latency_ms[target]
        }
    same = {key: models for key, models in measured.fits.items() if key[0] != family}
    return Measured(made, measured.ops, fits=same, matrices=measured.matrices)


def _class(measured: Measured, network: str) -> int:
    return int(class_index(hull_sums(measured, network)))
