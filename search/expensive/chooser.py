"""Our choice of what to measure next: belief, candidates from the vectorised search, most gain.

Candidates are the fronts that the evolutionary search finds over the belief's mean and over an
optimistic one, the neighbours of the measured front, and what a local search over the gain reaches
from the best of these. Networks that are being measured count as measured with what is believed of
them. Everything follows from the results, in the order in which they came, and the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palmette.search.expensive.belief import (
    REFITS,
    Belief,
    Outlook,
    believe,
    counted,
    kernel_of,
)
from palmette.search.expensive.gain import Steps
from palmette.search.expensive.kernel import Kernel
from palmette.search.expensive.known import Known, key_of
from palmette.search.expensive.pool import Pool
from palmette.search.expensive.seen import Results, Tried, near_front
from palmette.search.expensive.shortlist import Options, Points, batch, best_of
from palmette.search.front import non_dominated
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

Floats = NDArray[np.float64]

RANDOM_FIRST = 10
"""Random networks at the start, where there is no prior."""
SEARCHES = (0, 4, 8, 12, 16, *(int(20 * 1.25**step) for step in range(30)))
"""Counts of results at which candidates are searched anew."""
_CLIMBS, _CLIMBERS = 3, 6


class Chooser:
    """Proposes the network of the most expected gain of hypervolume."""

    def __init__(self, known: Known, seed: int) -> None:
        self.known, self.seed = known, seed
        self._outlook: Outlook | None = None
        self._kernels: dict[bytes, Kernel] = {}
        self._pools: dict[bytes, Pool] = {}

    def propose(
        self, study: Study, trial: FrozenTrial, tried: Tried, space: dict[str, BaseDistribution]
    ) -> Codes:
        """Code (genes,) for a trial."""
        if self.known.prior is None and len(tried.results) < RANDOM_FIRST:
            return self._random(trial.number, tried)
        pool = self._pool(tried.results)
        near = near_front(tried.ms, tried.results.top1)
        belief = self._belief(tried.results, near, tried.running)
        measured = np.concatenate([tried.results.codes[near], tried.running])
        points = self.known.costs(measured)[0], belief.mean(measured)
        steps = Steps.of(*points, pool.corner)
        around = self._neighbours(measured[_front(points)])
        options = self._options(belief, np.concatenate([pool.codes, around]), tried.taken)
        if not len(options):
            return self._random(trial.number, tried)
        return self._climbed(belief, options, steps, tried.taken)

    def take_in(self, study: Study, trial: FrozenTrial) -> None:
        """Nothing: what was measured is read from the study, wherever it came from."""

    @property
    def outlook(self) -> Outlook:
        """On the space; made at the first use."""
        if self._outlook is None:
            self._outlook = Outlook.of(self.known.space, self.known.prior)
        return self._outlook

    def _belief(self, results: Results, near: NDArray[np.int64], running: Codes) -> Belief:
        """The belief after some of the results, as if what runs had ended as believed."""
        if not len(results):
            belief = Belief.first(self.outlook)
        else:
            key = results.first(counted(REFITS, len(results)) or len(results)).key
            if key not in self._kernels:
                self._kernels[key] = kernel_of(self.outlook, results)
            results = results.chosen(near)
            belief = believe(self.outlook, results, self._kernels[key])
        if not len(running):
            return belief
        sigma = float(results.sigma.mean()) if len(results) else 0.0
        as_believed = Results(running, belief.mean(running), np.full(len(running), sigma))
        return believe(self.outlook, results.joined(as_believed), belief.kernel)

    def _pool(self, results: Results) -> Pool:
        """Candidates as of the last count of results at which they were searched."""
        known = results.first(counted(SEARCHES, len(results)))
        if known.key not in self._pools:
            none = np.empty((0, len(self.known.space.genes)), np.int64)
            near = near_front(self.known.costs(known.codes)[0], known.top1)
            belief = self._belief(known, near, none)
            self._pools = {known.key: Pool.of(self.known, belief, (self.seed, len(known)))}
        return self._pools[known.key]

    def _options(self, belief: Belief, codes: Codes, taken: set[bytes]) -> Options:
        """Those of some codes that are feasible and not taken, each once."""
        codes = np.unique(codes, axis=0)
        codes = codes[[key_of(code) not in taken for code in codes]]
        ms, violation = self.known.costs(codes)
        kept = violation <= 0
        mean, sigma = belief.predict(codes[kept])
        return Options(codes[kept], ms[kept], mean, sigma)

    def _climbed(self, belief: Belief, options: Options, steps: Steps, taken: set[bytes]) -> Codes:
        """The best code after some rounds of looking at neighbours of the best options."""
        seen = options
        gain = steps.gain(seen.ms, seen.mean, seen.sigma)
        for _ in range(_CLIMBS):
            top = seen.codes[np.argsort(-gain, kind="stable")[:_CLIMBERS]]
            known = {key_of(code) for code in seen.codes}
            more = self._options(belief, self._neighbours(top), taken | known)
            if not len(more):
                break
            seen = Options.joined([seen, more])
            before = gain.max()
            gain = np.append(gain, steps.gain(more.ms, more.mean, more.sigma))
            if gain.max() <= before:
                break
        found: Codes = seen.codes[best_of(seen, gain)]
        return found

    def _neighbours(self, codes: Codes) -> Codes:
        around = [self.known.space.neighbours(code) for code in codes]
        none = np.empty((0, len(self.known.space.genes)), np.int64)
        return np.concatenate([none, *around])

    def _random(self, number: int, tried: Tried) -> Codes:
        """A random feasible code that is not taken, as far as there is one."""
        codes = self.known.space.sample(1000, np.random.default_rng([self.seed, number]))
        for code in codes[self.known.feasible(codes)]:
            if key_of(code) not in tried.taken:
                found: Codes = code
                return found
        return self.known.nearest(codes[0], tried.taken)


def _front(points: Points) -> NDArray[np.int64]:
    return non_dominated(np.stack([points[0], -points[1]], axis=1))


def shortlist(
    known: Known,
    count: int,
    evaluations: int,
    seed: int,
    *,
    start: Codes | None = None,
    rewards: Callable[[Floats, Floats], Floats | None] | None = None,
    told: Callable[[int, Floats], None] | None = None,
) -> Codes:
    """Codes (n, genes) to measure first: the most gain under the prior's uncertainty.

    Args:
        known: with a prior; without one the networks are random.
        count: at most so many.
        evaluations: of each search for candidates.
        seed: of these.
        rewards: of ms and top-1 (n,), if a reward is what picks; the network that is expected to
            have the most is among the codes, as one more.
        start, told: see `Pool.of`.
    """
    if known.prior is None:
        codes = known.space.sample(max(1000, 10 * count), np.random.default_rng(seed))
        codes = codes[known.feasible(codes)]
        drawn = np.sort(np.unique(codes, axis=0, return_index=True)[1])[:count]
        return codes[drawn]
    belief = Belief.first(Outlook.of(known.space, known.prior))
    pool = Pool.of(known, belief, (seed, 0), evaluations, start, told)
    ms = known.costs(pool.codes)[0]
    options = Options(pool.codes, ms, *belief.predict(pool.codes))
    nothing = np.empty(0), np.empty(0)
    taken = batch(belief, options, nothing, pool.corner, count)
    rewarded = None if rewards is None else rewards(options.ms, options.mean)
    if rewarded is not None and int(rewarded.argmax()) not in taken:
        taken.append(int(rewarded.argmax()))
    return options.codes[taken]
