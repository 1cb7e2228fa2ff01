"""How well estimated accuracies ranked networks that were then trained, and what so few can say.

Kendall's tau, the share of random orders that would have done as well (exact for a few networks),
and how many pairs the validation images tell apart at all. A bootstrap needs more networks: of few
that agree throughout it would find no doubt whatever.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palmette.search.front import Floats
from palmette.train.estimates import Measured
from palmette.train.ranking import bootstrap, kendall, resamples, with_interval

APART = 2.0
"""Standard deviations of a difference beyond which two networks are told apart."""
ONE_IN = 20
"""An order that comes about in fewer of so many cases is taken for more than chance."""
BOOTSTRAPPED = 8
"""Networks from which on tau has an interval by bootstrap."""
ALL_ORDERS, DRAWN_ORDERS = 7, 10_000
"""Up to so many networks every order is counted; of more so many are drawn."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The order by estimates beside the order by real accuracies."""

    networks: int
    tau: float
    """Kendall's tau-b; not a number if no two networks differ."""
    tau_low: float
    """Of its 95 % interval over networks; not a number below 8 of them."""
    tau_high: float
    chance: float
    """Share of random orders that agree at least as well."""
    pairs: int
    pairs_apart: int
    """Pairs whose real difference is more than two standard deviations by the images."""
    pairs_apart_agreeing: int
    mean_difference: float
    """Real less estimated top-1, points."""

    @classmethod
    def of(cls, estimated: Floats, real: Measured, seed: int = 0) -> Agreement:
        """Agreement of n networks.

        Args:
            estimated: top-1 in % (n,).
            real: top-1 of the trained networks (n,).
            seed: of the bootstrap, and of the orders that are drawn.
        """
        count, upper = len(estimated), np.triu_indices(len(estimated), 1)
        drawn = np.empty(0)
        if count >= BOOTSTRAPPED:
            drawn = bootstrap(estimated, real.top1, resamples(count, seed))
        tau = with_interval(kendall(estimated, real.top1), drawn)
        gaps = np.subtract.outer(real.top1, real.top1)[upper]
        noise = np.sqrt(np.add.outer(real.sigma**2, real.sigma**2))[upper]
        same = np.sign(np.subtract.outer(estimated, estimated)[upper]) == np.sign(gaps)
        apart = np.abs(gaps) > APART * noise
        return cls(
            count,
            tau.value,
            tau.low,
            tau.high,
            chance(estimated, real.top1, seed),
            len(gaps),
            int(apart.sum()),
            int((apart & same).sum()),
            float((real.top1 - estimated).mean()),
        )

    def lines(self, images: int) -> list[str]:
        """What it says, and what it can't say, in sentences; `images` of validation."""
        if np.isnan(self.tau):
            return ["order: no two of these networks differ; give more --picks"]
        interval = f", 95 % interval {self.tau_low:.2f} to {self.tau_high:.2f}"
        found = [
            f"order: Kendall tau of estimated and real top-1 {self.tau:.2f} over {self.networks}"
            f" networks{interval * (self.networks >= BOOTSTRAPPED)}; {self.chance:.0%} of all"
            " orders agree as well",
            f"{self.pairs_apart} of {self.pairs} pairs differ by more than {images} validation"
            f" images leave open, and {self.pairs_apart_agreeing} of these are ordered as"
            " estimated; one training each, so what another seed would change is in no interval",
        ]
        if math.factorial(self.networks) < ONE_IN:
            found.append(
                f"{self.networks} networks can't show that an order is better than chance, whatever"
                " it is: 4 are the fewest, if all their pairs agree; give more --picks"
            )
        return found


def chance(estimated: Floats, real: Floats, seed: int = 0) -> float:
    """Share of the orders of n networks that agree with the real one at least as well.

    Args:
        estimated: (n,).
        real: (n,).
        seed: of the orders that are drawn, where n is above 7.
    """
    count = len(estimated)
    if count <= ALL_ORDERS:
        orders = np.array(list(itertools.permutations(range(count))))
    else:
        rng = np.random.default_rng(seed)
        orders = np.stack([rng.permutation(count) for _ in range(DRAWN_ORDERS)])
    truth = _signs(real)
    agreeing = [int((_signs(estimated[order]) * truth).sum()) for order in orders]
    found = int((_signs(estimated) * truth).sum())
    return float(np.mean([value >= found for value in agreeing]))


def _signs(values: Floats) -> NDArray[np.int8]:
    signs: NDArray[np.int8] = np.sign(np.subtract.outer(values, values)).astype(np.int8)
    return signs
