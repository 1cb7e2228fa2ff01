"""Optuna's samplers behind `--sampler`, each asked afresh for every trial.

A fresh sampler whose random numbers follow from the seed and the trial's number asks the same when
a study is resumed or replayed. Networks that came from elsewhere (a warm start, a queue) count in
a generation of NSGA-II and III as their own do, or they would never be parents. TPE looks at all
genes together (`multivariate`), which its two-objective default does not; limits reach all of them
by `Trial.set_constraint`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.search.expensive.known import Known
from palmette.search.expensive.seen import Tried
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

POPULATION = 20
"""Of NSGA-II and III: up to 500 measurements better than their own 50 (pilot of
`benchmarks/expensive_stage.py`)."""


def _tpe(seed: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _nsga2(seed: int) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(population_size=POPULATION, seed=seed)


def _nsga3(seed: int) -> BaseSampler:
    from optuna.samplers import NSGAIIISampler

    return NSGAIIISampler(population_size=POPULATION, seed=seed)


def _gp(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed)


def _random(seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


PEERS: dict[str, tuple[Callable[[int], BaseSampler], int]] = {
    "tpe": (_tpe, 20),
    "nsga2": (_nsga2, 50),
    "nsga3": (_nsga3, 50),
    "gp": (_gp, 2),
    "random": (_random, 100),
}
"""Maker of each sampler, and how often it may draw for one trial: GP takes a second a draw."""


class Peer:
    """Proposals of one of Optuna's samplers that the predictors do not rule out.

    A draw that breaks a limit, or that some trial has already, is rejected and drawn again; at last
    it is repaired by a descent to the nearest code that is neither.
    """

    def __init__(self, name: str, known: Known, seed: int) -> None:
        self.known, self.seed = known, seed
        self.make, self.draws = PEERS[name]

    def propose(
        self,
        study: Study,
        trial: FrozenTrial,
        tried: Tried,
        space: dict[str, BaseDistribution],
    ) -> Codes:
        """Code (genes,) for a trial."""
        code = np.zeros(len(space), np.int64)
        for draw in range(self.draws):
            code = self._drawn(study, trial, space, draw)
            if code.tobytes() not in tried.taken and self.known.feasible(code[None])[0]:
                return code
        return self.known.nearest(code, tried.taken)

    def take_in(self, study: Study, trial: FrozenTrial) -> None:
        """Put a trial whose network is given into its generation, where there are generations."""
        from optuna.samplers import BaseGASampler

        sampler = self._fresh(0)
        if isinstance(sampler, BaseGASampler):
            sampler.get_trial_generation(study, trial)

    def _drawn(
        self, study: Study, trial: FrozenTrial, space: dict[str, BaseDistribution], draw: int
    ) -> Codes:
        words = np.random.SeedSequence([self.seed, trial.number, draw])
        sampler = self._fresh(int(words.generate_state(1)[0]))
        params: dict[str, Any] = sampler.sample_relative(study, trial, space)
        for name, distribution in space.items():
            if name not in params:
                params[name] = sampler.sample_independent(study, trial, name, distribution)
        code = self.known.code(params)
        assert code is not None
        return code

    def _fresh(self, seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sampler or an option of it is experimental
            return self.make(seed)
