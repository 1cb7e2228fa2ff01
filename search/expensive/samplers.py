"""Samplers by name, for `--sampler`: what to measure next, where a measurement costs minutes.

A sampler proposes whole networks. What it proposes follows from the study's trials and the seed
alone, so a run that was killed, or is replayed, asks the same. Nothing that the predictors rule out
is proposed, and no network twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from optuna.samplers import BaseSampler

from palmette.search.config import PALMETTE, SAMPLERS
from palmette.search.expensive.chooser import Chooser
from palmette.search.expensive.known import Known, key_of
from palmette.search.expensive.peers import Peer
from palmette.search.expensive.seen import Seen, Tried
from palmette.search.sampler import random_value
from palmette.search.trials.params import distributions
from palmette.space.errors import expect
from palmette.space.search_space import Codes

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

Params = dict[str, Any]


class Proposer(Protocol):
    """What chooses a network for a trial."""

    def propose(
        self, study: Study, trial: FrozenTrial, tried: Tried, space: dict[str, BaseDistribution]
    ) -> Codes:
        """Code (genes,)."""
        ...

    def take_in(self, study: Study, trial: FrozenTrial) -> None:
        """Know of a trial whose network was given, before it is measured."""
        ...


def sampler_of(
    name: str,
    known: Known,
    *,
    seed: int,
    warm_start: Callable[[], Codes] | None = None,
) -> NetworkSampler:
    """The sampler of a run whose accuracies are measured.

    Args:
        name: one of `SAMPLERS`.
        known: the space, and what is known of its networks before they are measured.
        seed: of all random values, not negative.
        warm_start: makes the codes (n, genes) that the first trials get, in their order; called
            once, when the first network is asked for. None: the sampler begins by itself.

    Raises:
        InputError: another name.
    """
    expect(name in SAMPLERS, f"sampler: must be one of {', '.join(SAMPLERS)}, got '{name}'")
    proposer: Proposer = Chooser(known, seed) if name == PALMETTE else Peer(name, known, seed)
    return NetworkSampler(known, proposer, seed=seed, warm_start=warm_start)


class NetworkSampler(BaseSampler):
    """Proposes whole networks of a space: first those of a warm start, then those of a proposer.

    A network that some trial has, whatever its state, is not proposed again; an enqueued trial
    keeps its own. One sampler serves one study, and one process drives that study. Parameters that
    are no genes of the space are random.
    """

    def __init__(
        self,
        known: Known,
        proposer: Proposer,
        *,
        seed: int = 0,
        warm_start: Callable[[], Codes] | None = None,
    ) -> None:
        self.known, self.proposer = known, proposer
        self.distributions = distributions(known.space)
        self._seed, self._warm_start = seed, warm_start
        self._first: Codes | None = None
        self._seen = Seen(known)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the proposer know of a trial that was enqueued; for its genes no sampler is asked."""
        if self._own(trial) is not None:
            self.proposer.take_in(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The genes of the space."""
        return dict(self.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """The choices of the network that a trial gets."""
        chosen: Params = {}
        if self.distributions and self.distributions.items() <= search_space.items():
            chosen = self._chosen(study, trial)
        return {
            name: chosen[name]
            if name in chosen
            else self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value that follows from seed, trial and name."""
        return random_value(self._seed, study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Do nothing: random values derive from the trial's number, so copies cannot repeat."""

    def warm(self) -> Codes:
        """Codes (n, genes) of the warm start, made if that was not done."""
        if self._first is None:
            none = np.empty((0, len(self.known.space.genes)), np.int64)
            self._first = none if self._warm_start is None else self._warm_start()
        return self._first

    def _own(self, trial: FrozenTrial) -> Params | None:
        """The network that a trial has already."""
        own = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        return None if self.known.code(own) is None else own

    def _chosen(self, study: Study, trial: FrozenTrial) -> Params:
        own = self._own(trial)
        if own is not None:
            return own
        tried = self._seen.read(study, trial)
        for code in self.warm():
            if key_of(code) not in tried.taken:
                self.proposer.take_in(study, trial)
                return self.known.params(code)
        code = self.proposer.propose(study, trial, tried, self.distributions)
        return self.known.params(code)
