"""A space with a made truth, whose networks cost milliseconds that anybody can add up."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from palmette.search.expensive.known import Known
from palmette.search.expensive.seen import Results
from palmette.space import SearchSpace
from palmette.space.search_space import Codes
from palmette.train import PriorBatch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """13 genes; ms and accuracy are sums, accuracy with an interaction, and all of it is known."""

    space: SearchSpace
    ms_of: Floats
    points_of: Floats
    budget_ms: float

    def costs(self, codes: Codes) -> tuple[Floats, Floats]:
        ms = 1 + codes @ self.ms_of
        return ms, np.maximum(ms / self.budget_ms - 1, 0.0)

    def truth(self, codes: Codes) -> Floats:
        top1: Floats = 40 + np.sqrt(codes) @ self.points_of - 1.5 * (codes[:, 3] == codes[:, 5])
        return top1

    def prior(self, codes: Codes) -> PriorBatch:
        """Of another level, half the slope, and wrong about some genes."""
        top1 = 70 + 0.5 * (np.sqrt(codes) @ (self.points_of + 0.3 * np.cos(np.arange(13))))
        nothing = np.zeros(len(codes))
        return PriorBatch(top1, nothing + 1.7, nothing, nothing > 0)

    def known(self, prior: bool = True) -> Known:
        return Known(self.space, self.costs, self.prior if prior else None)

    def measured(self, count: int, seed: int = 0, noise: float = 0.2) -> Results:
        rng = np.random.default_rng(seed)
        codes = self.space.sample(count, rng)
        top1 = self.truth(codes) + rng.normal(0, noise, count)
        return Results(codes, top1, np.full(count, noise))


@pytest.fixture(scope="session")
def made(small_space: SearchSpace) -> Made:
    rng = np.random.default_rng(1)
    genes = len(small_space.genes)
    return Made(small_space, rng.uniform(0.2, 1, genes), rng.uniform(0.5, 3, genes), 6.0)


MakeKnown = Callable[[bool], Known]
