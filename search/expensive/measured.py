"""Accuracies that are measured, one network a trial, and a belief for all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from palmette.search.expensive.belief import Belief, LeftOut, Outlook, Prior, believe, kernel_of
from palmette.search.expensive.known import key_of
from palmette.search.expensive.seen import Results, near_front
from palmette.search.trials.task import Evaluator
from palmette.space import Architecture, CompiledSpace, InputError, SearchSpace
from palmette.space.search_space import Codes
from palmette.train import TIE_POINTS, AccuracyPrior, PriorBatch

Floats = NDArray[np.float64]

WORDS = {
    "supernet": ("supernet on {0}", "measured by a supernet on '{0}', not ImageNet's"),
    "proxy": ("proxy on {0}", "measured by short trainings on '{0}', not ImageNet's"),
    "function": ("function {0}", "measured by your own function '{0}'"),
}
"""Of each rung: its label, and where top-1 comes from."""


class MeasuredAccuracy:
    """Measured top-1 where there is one, else what is believed after all results.

    Args:
        rung: one of `WORDS`.
        id: hash of everything that its answers depend on.
        space: whose codes are asked about.
        evaluator: measures one network.
        data: what it measures on, or the function's name, for words.
        prior: expected top-1 of codes of the space (`prior_of`), of any level; None for none.
    """

    def __init__(
        self,
        rung: str,
        id: str,
        space: SearchSpace,
        evaluator: Evaluator,
        data: str,
        prior: Prior | None = None,
    ) -> None:
        self.rung, self.id, self.data = rung, id, data
        self.space, self.evaluator, self.prior = space, evaluator, prior
        self.label, self._said = (words.format(data) for words in WORDS[rung])
        self._places: dict[bytes, int] = {}
        self._codes: list[Codes] = []
        self._values: list[tuple[float, float]] = []
        self._ms: list[float] = []
        self._results: Results | None = None
        self._outlook: Outlook | None = None
        self._belief: Belief | None = None

    @property
    def results(self) -> Results:
        """What was learnt, each code once, in the order of learning."""
        if self._results is None:
            codes = np.array(self._codes, dtype=np.int64).reshape(-1, len(self.space.genes))
            values = np.array(self._values).reshape(-1, 2)
            self._results = Results(codes, values[:, 0], values[:, 1])
        return self._results

    @property
    def tie_points(self) -> float:
        """One standard deviation of the difference of two measured networks, or the prior's."""
        if not len(self.results):
            return TIE_POINTS
        return max(TIE_POINTS, float(np.sqrt(2) * self.results.sigma.mean()))

    @property
    def belief(self) -> Belief:
        """The belief after all results; made when it is asked for."""
        if self._outlook is None:
            self._outlook = Outlook.of(self.space, self.prior)
        if self._belief is None:
            self._belief = Belief.first(self._outlook)
            if len(self.results):
                kernel = kernel_of(self._outlook, self.results)
                self._belief = believe(self._outlook, self._near(), kernel)
        return self._belief

    def _near(self) -> Results:
        """The results that the belief is made of, as those that a sampler's is."""
        return self.results.chosen(near_front(np.array(self._ms), self.results.top1))

    def learn(self, codes: Codes, top1: Floats, sigma: Floats, ms: Floats | None = None) -> None:
        """Take results in; of a code that was measured again, the mean weighted by precision.

        Args:
            codes: (n, genes).
            top1: (n,) in %.
            sigma: standard deviation of each (n,), in points.
            ms: (n,), of which front they are; None: all alike.

        Raises:
            ValueError: a number that is not finite, or a negative sigma.
        """
        if not (np.isfinite(top1).all() and np.isfinite(sigma).all() and (sigma >= 0).all()):
            raise ValueError("results must be finite, and sigma not negative")
        times = [0.0] * len(codes) if ms is None else ms.tolist()
        rows = zip(codes, top1.tolist(), sigma.tolist(), times, strict=True)
        for code, value, error, time in rows:
            at = self._places.setdefault(key_of(code), len(self._codes))
            if at < len(self._codes):
                self._values[at] = _pooled(self._values[at], (value, error))
            else:
                self._codes.append(code)
                self._ms.append(time)
                self._values.append((value, error))
        self._results = self._belief = None

    def evaluate(self, codes: Codes) -> PriorBatch:
        """Top-1 and its standard deviation of codes (n, genes)."""
        places = [self._places.get(key_of(code), -1) for code in codes]
        known = np.array([place >= 0 for place in places], dtype=np.bool_)
        # a belief is made anew after each result, and nothing of it is needed where all are known
        mean, sigma = (np.empty(len(codes)),) * 2 if known.all() else self.belief.predict(codes)
        values = np.array([self._values[place] for place in places if place >= 0]).reshape(-1, 2)
        top1, sigma = np.clip(mean, 0.0, 100.0), sigma.copy()
        top1[known], sigma[known] = values.T
        nothing = np.zeros(len(codes))
        return PriorBatch(top1, sigma, nothing, nothing > 0)

    def guards(self, network: Architecture) -> list[str]:
        """None: what is measured needs no guard against extrapolation."""
        return []

    def words(self) -> str:
        """What measured, on what data, and the error of the belief."""
        if len(self.results) < 3:
            return self._said
        left = LeftOut.of(self.belief, self._near())
        basis = "the published prior and " if self.prior is not None else ""
        order = "" if np.isnan(left.tau) else f", Kendall tau {left.tau:.2f}"
        return (
            f"{self._said}; those not measured are estimated from {basis}{len(self.results)}"
            f" measured ones (each of these left out in turn: error {left.error:.2f} points{order})"
        )

    @property
    def caution(self) -> str:
        """Of a function whose values look like shares of 1; blank where they don't."""
        values = self.results.top1
        if self.rung != "function" or not len(values) or values.max() > 1:
            return ""
        return (
            f"no measured value is above 1 ({len(values)} from {values.min():.3g} to"
            f" {values.max():.3g}), and top-1 is in percent: a function that returns a share of 1"
            " must return 100 times as much"
        )


def prior_of(compiled: CompiledSpace, recipe: str | None = None) -> Prior | None:
    """The shipped prior for a space; None where it cannot judge a block of it."""
    try:
        return AccuracyPrior.load().compile(compiled, recipe).evaluate
    except InputError:
        return None


def _pooled(old: tuple[float, float], new: tuple[float, float]) -> tuple[float, float]:
    """Mean of two results of one network, weighted by precision, and its error."""
    weights = [max(error, 1e-3) ** -2 for _, error in (old, new)]
    mean = (weights[0] * old[0] + weights[1] * new[0]) / sum(weights)
    return mean, sum(weights) ** -0.5
