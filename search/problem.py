"""What a search optimises: estimated accuracy against predicted milliseconds, inside limits.

Objectives (both minimised): predicted ms, and minus the accuracy score (estimate - lambda * sigma).
A code is feasible if its time stays inside the budget at the chosen confidence, its parameters and
MACs inside their limits, its structure is one that the accuracy prior may judge, and no guard
withholds a reward from it; where that is asked for, none of its ops is one that the target's unit
refuses. Choices that a target's timings cannot identify are taken out of the space before the
search begins. Of several targets the time is their joined load (`search.objectives.joined`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from palmette.export.unit_rules import Era
from palmette.latency import CompiledLatency, Interval, LatencyPredictor
from palmette.latency.identified import unknown
from palmette.search.accuracy import Accuracy, Prior, PriorAccuracy
from palmette.search.code_map import CodeMap
from palmette.search.evolution import Evaluation
from palmette.search.exportable import AT_RISK, REFUSED, level_table, without_refused
from palmette.search.limits import Limits
from palmette.search.objectives.joined import JoinedTimes, columns_of
from palmette.search.objectives.precision import HALF, value_bytes
from palmette.search.objectives.quantities import QUANTITIES, CompiledQuantities
from palmette.search.objectives.reward import Reward
from palmette.search.start import NOTHING, Start
from palmette.space import Architecture, CompiledSpace, InputError, SearchSpace, compile_space
from palmette.space.choices import resolution_of
from palmette.space.compiled import SpaceTable
from palmette.space.errors import expect
from palmette.space.search_space import Codes

Floats = NDArray[np.float64]

_GUARDED = 1e-3
"""Violation of a code from which a guard withholds a reward: less than any broken limit."""

_STARTS = 10_000
_DESCENTS = 32


@dataclass(frozen=True, slots=True)
class Candidates:
    """Everything that is known of codes without training or timing them; arrays of shape (n,)."""

    ms: Floats
    """Of several targets this and the next two are loads, not milliseconds."""
    lower_ms: Floats
    upper_ms: Floats
    top1: Floats
    sigma: Floats
    quantities: dict[str, Floats]
    """By the names of `objectives.quantities`, in their units."""
    precision: NDArray[np.int64]
    """Of the weights: indices of the problem's `precisions`."""
    violation: Floats
    guarded: NDArray[np.bool_]
    outside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SearchProblem:
    """A compiled space with its predictors; the `Problem` that `evolve` solves."""

    space: SearchSpace
    """What is searched: the full space without the barred choices. Codes are codes of this one."""
    compiled_codes: CodeMap
    latency: CompiledLatency
    """Of the target; of the first where several are joined."""
    accuracy: Accuracy
    quantities: CompiledQuantities
    limits: Limits
    barred: tuple[str, ...]
    """Choices taken out because the target's timings cannot identify them."""
    levels: SpaceTable
    """Ops at each level of the rules of the target's unit (`search.exportable`)."""
    exportable: bool = False
    """Whether networks with refused ops are barred."""
    refused: tuple[str, ...] = ()
    """Choices taken out because they always bring a refused op."""
    joined: JoinedTimes | None = None
    """Several targets at once; then the budget of the limits is a load."""
    reward: Reward | None = None
    """What picks from the front, where it is not the score alone."""
    reward_ms: float = math.inf
    """The time that the reward knows; of several targets a load."""
    start: Start = NOTHING
    """Networks that the search begins with."""

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self.space.cardinalities

    def evaluate(self, codes: Codes) -> Evaluation:
        """Objectives and violation of codes (n, genes)."""
        found = self.candidates(codes)
        score = found.top1 - self.limits.lam * found.sigma
        return Evaluation(np.stack([found.ms, -score], axis=1), found.violation)

    def candidates(self, codes: Codes) -> Candidates:
        """All estimates of codes (n, genes)."""
        codes = self.compiled_codes.full(codes)
        time, barred, outside = self._times(codes)
        accuracy = self.accuracy.evaluate(codes)
        quantified = self.quantities.evaluate(codes, self.limits.package_mb)
        violation = accuracy.violation + np.where(accuracy.guarded, _GUARDED, 0.0)
        violation = violation + self._excess(time.upper_ms, quantified.values) + barred
        return Candidates(
            time.ms,
            time.lower_ms,
            time.upper_ms,
            accuracy.top1,
            accuracy.sigma,
            quantified.values,
            quantified.precision,
            violation,
            accuracy.guarded,
            outside,
        )

    def costs(self, codes: Codes) -> tuple[Floats, Floats]:
        """Ms and violation, each (n,), of codes (n, genes): what needs no accuracy."""
        codes = self.compiled_codes.full(codes)
        time, barred, _ = self._times(codes)
        quantified = self.quantities.evaluate(codes, self.limits.package_mb)
        return time.ms, self._excess(time.upper_ms, quantified.values) + barred

    def _excess(self, upper_ms: Floats, quantities: dict[str, Floats]) -> Floats:
        """How far networks (n,) are beyond the limits on their costs."""
        violation = np.zeros(len(upper_ms))
        if math.isfinite(self.limits.budget_ms):
            violation = violation + np.maximum(upper_ms / self.limits.budget_ms - 1, 0.0)
        for name, limit in self.limits.most.items():
            violation = violation + np.maximum(quantities[name] / limit - 1, 0.0)
        return violation

    def _times(self, codes: Codes) -> tuple[Interval, Floats, NDArray[np.bool_]]:
        """Of full codes: time at the confidence, reasons against the unit, and `outside`."""
        confidence = self.limits.confidence
        if self.joined is not None:
            found = self.joined.evaluate(codes, confidence)
            time = Interval(found.load, found.lower, found.upper)
            return time, found.barred, self.joined.outside(codes, found)
        refused = self.levels.sums(codes)[:, REFUSED] if self.exportable else np.zeros(len(codes))
        time = self.latency.interval(codes, confidence, two_sided=False)
        return time, refused, self.latency.outside(codes)

    def rewards(self, ms: Floats, score: Floats) -> Floats | None:
        """Rewards of times and scores (n,), if a reward is what picks."""
        return None if self.reward is None else self.reward(ms, score, self.reward_ms)

    @property
    def latencies(self) -> tuple[CompiledLatency, ...]:
        """The predictor of each target."""
        return (self.latency,) if self.joined is None else self.joined.latencies

    @property
    def time_columns(self) -> tuple[str, str]:
        """Columns of a front with the time, and the time at the confidence."""
        if self.joined is None:
            return "ms", "ms_at_confidence"
        return "load", "load_at_confidence"

    @property
    def expected(self) -> Prior | None:
        """What the published prior expects of codes (n, genes); None where it can't judge them."""
        prior = self.accuracy.prior
        return None if prior is None else lambda codes: prior(self.compiled_codes.full(codes))

    def learn(self, codes: Codes, top1: Floats, sigma: Floats) -> None:
        """Take in what was measured of codes (n, genes): top-1 in % and its sigma, each (n,)."""
        full = self.compiled_codes.full(codes)
        self.accuracy.learn(full, top1, sigma, self._times(full)[0].ms)

    def fastest(self, seed: int = 0) -> Codes:
        """Code (genes,) of the least time at the confidence, all limits but the budget kept.

        As far as descents from small and random networks find it. The smallest network need not be
        it: far from all that was timed, intervals are wide. If no network keeps the limits, the
        code that comes closest.
        """
        free = replace(self, limits=replace(self.limits, budget_ms=math.inf))
        smallest = np.zeros_like(self.cardinalities)[None, :]
        starts = self.space.sample(_STARTS, np.random.default_rng(seed))
        codes = np.concatenate([smallest, starts])
        best = codes[free._order(codes)[:_DESCENTS]]
        ends = np.stack([free._descend(code) for code in best])
        fastest: Codes = ends[free._order(ends)[0]]
        return fastest

    def _order(self, codes: Codes) -> NDArray[np.int64]:
        """Indices of codes (n, genes), those that break limits least first, then the fastest."""
        found = self.candidates(codes)
        order: NDArray[np.int64] = np.lexsort((found.upper_ms, found.violation))
        return order

    def _descend(self, code: Codes) -> Codes:
        """The code from which no change of one gene is better."""
        while True:
            around = np.concatenate([code[None, :], self.space.neighbours(code)])
            first = int(self._order(around)[0])
            if first == 0:
                return code
            code = around[first]


def pose(
    space: SearchSpace,
    predictor: LatencyPredictor,
    limits: Limits,
    *,
    recipe: str | None = None,
    accuracy: Callable[[CompiledSpace], Accuracy] | None = None,
    extrapolate: bool = False,
    exportable: bool = False,
    precisions: Sequence[str] = (HALF,),
    compiled: CompiledSpace | None = None,
) -> SearchProblem:
    """The problem of a target's search over a space.

    Args:
        space: all choices.
        predictor: of the target; its support decides which choices stay.
        limits: what a network may cost.
        recipe: training recipe that the prior's accuracies refer to; None for the mean recipe.
        accuracy: makes that of the full space's codes; None for the prior.
        extrapolate: keep choices that the target's timings cannot identify.
        exportable: bar networks with ops that the target's unit is known to refuse.
        precisions: of weights that a network may have, the most precise first; only its package's
            size follows from them (`objectives.precision`).
        compiled: the full space, where it was compiled for another problem already.

    Raises:
        InputError: no choice of a gene is left, no network of the space keeps the limits, or none
            fits the budget; the message names the fastest possible.
    """
    searched, barred = (space, []) if extrapolate else identified(space, predictor)
    # the full space is compiled, so that targets with different choices share its tables
    era, refused = Era.of(predictor.model_.target), list[str]()
    compiled = tables_of(space, searched, compiled)
    if exportable:
        searched, refused = without_refused(compiled, searched, era)
        expect_choice(searched, space.name)
    problem = SearchProblem(
        searched,
        CodeMap.between(searched, space),
        predictor.compile(compiled),
        PriorAccuracy(compiled, recipe) if accuracy is None else accuracy(compiled),
        CompiledQuantities.of(compiled, precisions, value_bytes(predictor.model_.target)),
        limits,
        tuple(barred),
        level_table(compiled, era),
        exportable,
        tuple(refused),
    )
    check_possible(problem)
    return problem


def tables_of(
    space: SearchSpace, searched: SearchSpace, compiled: CompiledSpace | None
) -> CompiledSpace:
    """Tables of a full space, those that are given if they are of it.

    Raises:
        InputError: no gene of what is searched has a choice; nothing is compiled then.
    """
    expect_choice(searched, space.name)
    if compiled is None or compiled.space.sections != space.sections:
        return compile_space(space)
    return compiled


def expect_choice(searched: SearchSpace, name: str) -> None:
    """Raise InputError if no gene of a space has a choice left; `name` is the full one's."""
    expect(
        bool(searched.genes),
        f"space '{name}': one network is left to choose from; nothing to search",
    )


def check_possible(problem: SearchProblem) -> None:
    """Raise InputError if no network of the space keeps the limits."""
    limits, name = problem.limits, problem.space.name
    code = problem.fastest()[None, :]
    found = replace(problem, limits=replace(limits, budget_ms=math.inf)).candidates(code)
    if found.violation[0] > 0:
        architecture = problem.space.decode(code[0])
        broken = problem.accuracy.guards(architecture)
        raise InputError(
            f"no network of space '{name}' keeps all limits; the nearest has {_figures(found)}"
            + "".join(f"; {words}" for words in _unreachable(problem))
            + (f", and guards of the accuracy prior: {'; '.join(broken)}" if broken else "")
        )
    fastest = float(found.upper_ms[0])
    if problem.joined is not None:
        _check_budgets(problem, code)
        return
    expect(
        fastest <= limits.budget_ms,
        f"budget of {limits.budget_ms:g} ms: the fastest network of space '{name}' takes"
        f" {_rounded_up(fastest):g} ms on {problem.latency.predictor.model_.target} at confidence"
        f" {limits.confidence:g}; raise the budget, lower the confidence or give a space with"
        " smaller networks",
    )


def _unreachable(problem: SearchProblem) -> Iterator[str]:
    """The limits that no network keeps, whatever the others are, in words."""
    limits = problem.limits
    for name, limit in limits.most.items():
        only = Limits(confidence=limits.confidence, lam=limits.lam, **{name: limit})
        alone = replace(problem, limits=only)
        least = float(alone.candidates(alone.fastest()[None, :]).quantities[name][0])
        if least > limit:
            yield f"{name} of {limit:g} alone is too little, the least there is has {least:.3g}"


def _check_budgets(problem: SearchProblem, code: Codes) -> None:
    """Raise InputError unless the network of the least joined time keeps the budgets."""
    assert problem.joined is not None
    times, confidence = problem.joined, problem.limits.confidence
    found = times.evaluate(problem.compiled_codes.full(code), confidence)
    needs = found.upper_loads[0] * times.budgets_ms
    listed = ", ".join(
        f"{_rounded_up(float(ms)):g} ms on {goal.alias} (budget {goal.budget_ms:g} ms)"
        for goal, ms in zip(times.goals, needs, strict=True)
    )
    expect(
        float(found.upper[0]) <= problem.limits.budget_ms,
        f"budgets of {len(times.goals)} targets, joined by {times.join}: the network of space"
        f" '{problem.space.name}' that comes closest takes {listed} at confidence"
        f" {times.each_at(confidence):.4g}; raise what is too small, lower the confidence or give a"
        " space with smaller networks",
    )


def _figures(found: Candidates) -> str:
    """Quantities of one network in words."""
    figures = [f"{q.name} {found.quantities[q.name][0]:.3g}" for q in QUANTITIES]
    return ", ".join(figures)


def _rounded_up(ms: float) -> float:
    """Four digits, so that a budget of the printed figure is possible."""
    step = 10.0 ** (math.floor(math.log10(ms)) - 3)
    return math.ceil(ms / step) * step


def identified(space: SearchSpace, predictor: LatencyPredictor) -> tuple[SearchSpace, list[str]]:
    """The space without the choices that a target's timings cannot identify, and their names."""
    barred = []
    for section, table in space.sections.items():
        for key, choices in table.items():
            gene = f"{section}.{key}"
            # a stage's block comes first: what is barred there asks nothing of the other keys
            allowed = [
                choice
                for choice in choices
                if not unknown(space, predictor.support_, section, key, choice)
            ]
            expect(
                bool(allowed),
                f"space '{space.name}': the timings of {predictor.model_.target} identify none of"
                f" {gene} = {list(choices)}; --extrapolate searches all the same",
            )
            barred += [f"{gene}={choice}" for choice in choices if choice not in allowed]
            space = space.restrict(gene, allowed)
    return space, barred


def describe(problem: SearchProblem, codes: Codes) -> list[dict[str, Any]]:
    """Rows of a front: estimates and text of each code."""
    found = problem.candidates(codes)
    times, levels = _described_times(problem, codes, found)
    z = 1.2815515655446004  # 80 % of a normal distribution lies within z standard deviations
    rewards = problem.rewards(found.ms, found.top1 - problem.limits.lam * found.sigma)
    rows = []
    for index, architecture in enumerate(problem.space.decode_batch(codes)):
        top1, sigma = float(found.top1[index]), float(found.sigma[index])
        rows.append(
            {
                "id": architecture.id,
                **times[index],
                "top1": top1,
                "top1_low": top1 - z * sigma,
                "top1_high": top1 + z * sigma,
                "score": top1 - problem.limits.lam * sigma,
                **({} if rewards is None else {"reward": float(rewards[index])}),
                **{name: float(value[index]) for name, value in found.quantities.items()},
                "precision": problem.quantities.precisions[found.precision[index]],
                "resolution": resolution_of(*architecture.resolution),
                "outside_timed": bool(found.outside[index]),
                "ops_refused": int(levels[index, REFUSED]),
                "ops_at_risk": int(levels[index, AT_RISK]),
                "architecture": architecture.to_text(),
            }
        )
    return rows


def _described_times(
    problem: SearchProblem, codes: Codes, found: Candidates
) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
    """Columns of the times of each code, and its ops at each level of the units' rules."""
    full = problem.compiled_codes.full(codes)
    if problem.joined is not None:
        joined = problem.joined.evaluate(full, problem.limits.confidence)
        times = [columns_of(problem.joined, joined, row) for row in range(len(codes))]
        return times, problem.joined.levels(full, joined)
    both = zip(found.ms.tolist(), found.upper_ms.tolist(), strict=True)
    times = [{"ms": ms, "ms_at_confidence": upper} for ms, upper in both]
    return times, problem.levels.sums(full).astype(int)


def architecture_of(row: dict[str, Any]) -> Architecture:
    """Architecture of a row of `describe`."""
    return Architecture.from_text(str(row["architecture"]))
