"""MnasNet's reward: accuracy and time as one number (Tan et al. 2019, equation 2).

reward = score * (ms / T)^w with w = alpha up to the time T and beta above. Both exponents are at
most 0, so the reward never rises with the time, and it rises with the score: a network of the
largest reward lies on the front of both. So that front is searched, without a hard budget, and the
largest reward on it is taken. The score is the estimate - lambda * sigma; with a lambda of 0 it is
the estimate, and the reward the paper's (times 100: accuracies are in %).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.space.errors import expect

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward with its exponents.

    Raises:
        InputError: an exponent above 0, with which slower networks would be preferred.
    """

    alpha: float
    """Up to the time."""
    beta: float
    """Above it."""

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            expect(-10 <= value <= 0, f"{name}: must be from -10 to 0, got {value:g}")

    def __call__(self, ms: Floats, score: Floats, target_ms: float) -> Floats:
        """Rewards (n,) of networks by time and score in %; of a negative score 0."""
        share = ms / target_ms
        weight: Floats = np.where(share <= 1, share**self.alpha, share**self.beta)
        reward: Floats = np.maximum(score, 0.0) * weight
        return reward


REWARDS = {"mnasnet": Reward(-0.07, -0.07), "mnasnet-hard": Reward(0.0, -1.0)}
"""The two settings of the paper: doubling the time is worth 5 % of the accuracy, or a wall at T."""


def reward_of(name: str) -> Reward:
    """A reward by its name.

    Raises:
        InputError: unknown.
    """
    expect(name in REWARDS, f"reward: must be {' or '.join(REWARDS)}, got '{name}'")
    return REWARDS[name]
