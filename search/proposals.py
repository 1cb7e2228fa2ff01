"""Which networks the trials of a run are, and how many.

The vectorised search over the predictors makes a shortlist. Where the predictors know all there is
to know, that is their front, thinned evenly, and it is the trials. Where accuracies are measured,
it is what gains most under the prior's doubt, and trials go on by what was found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from palmette.search.config import PALMETTE, SearchConfig
from palmette.search.evolution import evolve, groups_of
from palmette.search.front import hypervolume
from palmette.search.problem import SearchProblem
from palmette.search.sampler import ShortlistSampler
from palmette.search.start import count_known, first_state, start_codes
from palmette.search.trials.driver import NETWORKS, finished_count
from palmette.search.trials.params import distributions, params_of
from palmette.search.trials.progress import Snapshot, searching
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

Told = Callable[[Snapshot], None]


class Proposals:
    """Sampler of a run's study, and the number of its trials.

    Args:
        config: of the run.
        problem: that it solves.
        told: called as the search over the predictors goes on.
    """

    def __init__(self, config: SearchConfig, problem: SearchProblem, told: Told | None) -> None:
        self._config, self._problem, self._told = config, problem, told
        self._count: int | None = None
        self._made: Codes | None = None
        self._alone = problem.accuracy.evaluator is None and config.sampler == PALMETTE
        self.sampler: BaseSampler = self._shortlisted() if self._alone else self._measured()

    def finished(self, study: optuna.Study) -> bool:
        """Whether all trials have ended; makes no shortlist to find out."""
        planned = self.decided(study)
        return planned is not None and finished_count(study) >= planned

    def decided(self, study: optuna.Study) -> int | None:
        """Trials in all, those that the start brings too; None of a shortlist not made yet."""
        if self._alone:
            kept = study.user_attrs.get("shortlist")
            return None if kept is None else int(kept)
        networks = int(study.user_attrs.get(NETWORKS, self._problem.space.size))
        return min(count_known(self._problem) + self._config.trials, networks)

    def count(self, study: optuna.Study) -> int:
        """Trials in all, see `decided`; a shortlist that decides it is made if it wasn't."""
        if self._count is None:
            self._count = self.decided(study)
        if self._count is None:
            self._count = len(self.shortlist())
            study.set_user_attr("shortlist", self._count)
        return self._count

    def shortlist(self) -> Codes:
        """Codes (n, genes), in the order of their trials."""
        if self._made is None:
            free = self._problem.accuracy.evaluator is None
            make = _thinned_front if free else _worth_measuring
            self._made = make(self._config, self._problem, self._told)
        return self._made

    def prepare(self, study: optuna.Study) -> None:
        """Make the shortlist that trials begin with, before there are workers that wait for it."""
        if not self._alone and self._config.warm_start and not self.finished(study):
            self.shortlist()

    def anew(self) -> Proposals:
        """The same with a new sampler, as the next driver of the run has one; the shortlist stays.

        It derives from config and problem alone, whatever was learnt.
        """
        other = Proposals(self._config, self._problem, self._told)
        if self._alone or self._config.warm_start:
            other._made = self.shortlist()
        return other

    def _shortlisted(self) -> ShortlistSampler:
        def propose() -> list[dict[str, Any]]:
            return [params_of(self._problem.space, code) for code in self.shortlist()]

        space = self._problem.space
        return ShortlistSampler(propose, distributions(space), seed=self._config.seed)

    def _measured(self) -> BaseSampler:
        from palmette.search.expensive.known import Known
        from palmette.search.expensive.samplers import sampler_of

        config, problem = self._config, self._problem
        return sampler_of(
            config.sampler,
            Known.of(problem),
            seed=config.seed,
            warm_start=self.shortlist if config.warm_start else None,
        )


def _reporting(config: SearchConfig, planned: int, told: Told | None) -> Callable[[int, Any], None]:
    """Tells how far a search over the predictors is."""
    began = time.monotonic()

    def report(evaluations: int, found: Any) -> None:
        if told is not None:
            volume = hypervolume(found, np.array([config.budget_ms, 0.0]))
            told(searching(evaluations, planned, volume, time.monotonic() - began))

    return report


def _worth_measuring(config: SearchConfig, problem: SearchProblem, told: Told | None) -> Codes:
    """Of the most expected gain, diverse, the faster of those that tie; as they were chosen.

    The searches for candidates have as many evaluations together as one would have.
    """
    from palmette.search.expensive.chooser import shortlist
    from palmette.search.expensive.known import Known
    from palmette.search.expensive.pool import OPTIMISM

    size, each = problem.space.size, config.evaluations
    each = size if size <= each else each // len(OPTIMISM)
    codes = shortlist(
        Known.of(problem),
        config.first,
        each,
        config.seed,
        start=start_codes(problem),
        rewards=problem.rewards,
        told=_reporting(config, each * len(OPTIMISM), told),
    )
    return codes if len(codes) else problem.fastest()[None, :]


def _thinned_front(config: SearchConfig, problem: SearchProblem, told: Told | None) -> Codes:
    """The front of the predictors, thinned evenly, best score first."""
    report = _reporting(config, min(config.evaluations, problem.space.size), told)
    found = evolve(
        problem,
        evaluations=config.evaluations,
        seed=config.seed,
        groups=groups_of([gene.name for gene in problem.space.genes]),
        start=first_state(problem, config.evaluations),
        on_generation=lambda _, evaluations, found: report(evaluations, found),
    )
    # a budget just above the fastest leaves so few networks that a short search finds none
    codes = found.codes if len(found) else problem.fastest()[None, :]
    objectives = found.objectives if len(found) else np.zeros((1, 2))
    kept = evenly_spaced(objectives, config.first)
    rewards = problem.rewards(objectives[:, 0], -objectives[:, 1])
    if rewards is not None:  # thinning may not lose the one that is looked for
        kept = np.union1d(kept, [int(rewards.argmax())])
    chosen: Codes = codes[kept[::-1]]  # best score first
    return chosen


def evenly_spaced(objectives: Any, count: int) -> Any:
    """Indices of at most `count` points of a front, evenly spaced along it, both ends included."""
    reach = np.ptp(objectives, axis=0)
    steps = np.diff(objectives, axis=0) / np.where(reach > 0, reach, 1.0)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
    wanted = np.linspace(0.0, along[-1], min(count, len(along)))
    return np.unique(np.searchsorted(along, wanted - 1e-12))
