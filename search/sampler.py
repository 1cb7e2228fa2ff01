"""Our Optuna sampler: hands out a shortlist that a search over predictors made, one trial each.

Optuna's samplers learn from trials, at hundreds of trials a second; a compiled predictor answers
for a million networks a second. So the search runs outside, once, when the first value is asked
for, and a study only spends trials on what it chose. What the shortlist does not cover is random.

What a trial gets follows from the study's trials and the seed alone, so a study that is opened
again goes on where it stopped.
"""

from __future__ import annotations

import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

Params = dict[str, Any]

ATTEMPTS = 3
"""Trials that may fail on one proposal before it is given up."""

_OPENING = threading.Lock()  # of the module: a sampler that holds a lock could not be pickled


class ShortlistSampler(BaseSampler):
    """Proposes whole configurations of a shortlist, in its order; afterwards samples at random.

    On a fresh study, trial n gets proposal n. On a study with trials, a proposal that a trial has
    (waiting, running, complete or pruned) is not made again; one whose trial failed is, until it
    failed `ATTEMPTS` times. A trial that died before it had all its parameters does not count, and
    an enqueued trial keeps its own. One sampler serves one study, and one process drives that
    study; its threads may share the sampler.

    Args:
        propose: makes the shortlist, called once, when the first parameter is asked for. Equal
            proposals count once. Without it all sampling is random.
        distributions: the shortlist's parameters, for Optuna's relative sampling. May be left out:
            proposals then reach the trial parameter by parameter.
        seed: of the random values, not negative; by default another one each time.

    Raises:
        ValueError: proposals that do not all have the same parameters; a proposed value outside the
            distribution that the study asks for.
    """

    def __init__(
        self,
        propose: Callable[[], Sequence[Params]] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        self._propose = propose
        self._distributions = dict(distributions or {})
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._queue: deque[Params] | None = None
        self._given: dict[int, Params] = {}  # by trial id
        self._failed: Counter[_Key] = Counter()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The shortlist's parameters, where they were given."""
        return dict(self._distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Values of the trial's proposal, random where it has none."""
        return {
            name: self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Value of one parameter in the trial's proposal, random where it has none."""
        proposal = self._proposal(study, trial)
        if param_name not in proposal:
            return random_value(self._seed, study, trial, param_name, param_distribution)
        value = proposal[param_name]
        if not _contains(param_distribution, value):
            raise ValueError(
                f"trial {trial.number}: {param_name} is proposed as {value!r}, the study asks for"
                f" {param_distribution}"
            )
        return value

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Take the proposal of a failed trial back."""
        proposal = self._given.pop(trial._trial_id, None)
        if proposal is not None and state == TrialState.FAIL and self._queue is not None:
            self._failed[_key(proposal)] += 1
            if self._failed[_key(proposal)] < ATTEMPTS:
                self._queue.append(proposal)

    def reseed_rng(self) -> None:
        """Do nothing: random values derive from the trial's number, so copies cannot repeat them,
        and a study that runs in threads stays repeatable."""

    def remaining(self, study: Study) -> int:
        """Trials that a study may ask for before sampling becomes random.

        Proposals not yet handed out, and trials that wait in the study. Makes the shortlist if that
        was not done.
        """
        waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return len(self._opened(study)) + len(waiting)

    def _proposal(self, study: Study, trial: FrozenTrial) -> Params:
        """The trial's proposal, the same at every call; nothing if the shortlist is used up."""
        queue = self._opened(study)
        if trial._trial_id not in self._given:
            try:
                proposal = (
                    queue.popleft()
                )  # atomic, as all a deque does: threads get different ones
            except IndexError:
                return {}
            own = _own_params(trial)
            if any(proposal.get(name, value) != value for name, value in own.items()):
                queue.appendleft(proposal)
                return {}
            self._given[trial._trial_id] = proposal
        return self._given[trial._trial_id]

    def _opened(self, study: Study) -> deque[Params]:
        """Proposals to hand out; on the first call those that the study's trials leave."""
        with _OPENING:
            if self._queue is None:
                proposals = list(self._propose()) if self._propose else []
                _check_names(proposals)
                taken = self._taken(study, proposals[0] if proposals else {})
                distinct: dict[_Key, Params] = {}
                for proposal in proposals:
                    distinct.setdefault(_key(proposal), proposal)
                self._queue = deque(p for key, p in distinct.items() if key not in taken)
            return self._queue

    def _taken(self, study: Study, names: Params) -> set[_Key]:
        """Configurations that trials of a study have, or that failed too often."""
        taken = set()
        for trial in study.get_trials(deepcopy=False):
            own = _own_params(trial)
            if not names.keys() <= own.keys():
                continue
            key = _key({name: own[name] for name in names})
            self._failed[key] += trial.state == TrialState.FAIL
            if trial.state != TrialState.FAIL or self._failed[key] >= ATTEMPTS:
                taken.add(key)
        return taken


def random_value(
    seed: int, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
) -> Any:
    """A random value of a parameter, which follows from seed, trial and name alone."""
    words = (seed, trial.number, zlib.crc32(name.encode()))
    random = RandomSampler(int(np.random.SeedSequence(words).generate_state(1)[0]))
    return random.sample_independent(study, trial, name, distribution)


_Key = tuple[tuple[str, Any], ...]


def _key(params: Params) -> _Key:
    return tuple(sorted(params.items()))


def _own_params(trial: FrozenTrial) -> Params:
    """Parameters that a trial has, and those that it was enqueued with."""
    return {**trial.params, **trial.system_attrs.get("fixed_params", {})}


def _check_names(proposals: Sequence[Params]) -> None:
    for index, proposal in enumerate(proposals):
        if proposal.keys() != proposals[0].keys():
            raise ValueError(
                f"proposal {index} has other parameters than proposal 0: {', '.join(proposal)}"
            )


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False
