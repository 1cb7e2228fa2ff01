"""Which backbones a fleet shares: the fewest, and the proof that fewer do not suffice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from palmette.search.bundle.cover import certificate, cheapest_cover, least_worst_loss
from palmette.search.bundle.fleet import Fleet, PhoneUnit
from palmette.search.bundle.losses import MAX_LOSS_POINTS, expect_asked
from palmette.space import Architecture, InputError


@dataclass(frozen=True, slots=True)
class Share:
    """What one phone's unit takes."""

    unit: PhoneUnit
    network: Architecture
    ms: float
    lower_ms: float
    upper_ms: float
    top1: float
    best_top1: float
    """Of the networks that keep the unit's limits, the best."""

    @property
    def loss_points(self) -> float:
        """Points of estimated top-1 below the unit's own best."""
        return self.best_top1 - self.top1


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The fewest backbones of a fleet, and what each phone's unit takes of them."""

    fleet: Fleet
    shares: tuple[Share, ...]
    max_loss_points: float
    fewest: int
    """No fewer serve every unit: the optimum of the integer program, and its lower bound."""
    least_loss: tuple[float, ...]
    """Least worst loss in points of 1, 2, ... backbones; infinite where budgets forbid it."""
    weights: tuple[float, ...] | None
    """Proof by hand that one fewer is too few: no network serves units of a weight above 1 in all,
    and all weigh more than `fewest - 1`. None where the linear relaxation gives none."""

    @property
    def backbones(self) -> tuple[Architecture, ...]:
        """The distinct networks, the least work first."""
        distinct = {share.network for share in self.shares}
        return tuple(sorted(distinct, key=lambda network: (network.macs(), network.id)))

    @property
    def worst_loss(self) -> float:
        """Points."""
        return max(share.loss_points for share in self.shares)

    @property
    def mean_loss(self) -> float:
        """Points."""
        return float(np.mean([share.loss_points for share in self.shares]))


def choose(
    fleet: Fleet, max_loss: float = MAX_LOSS_POINTS, backbones: int | None = None
) -> Portfolio:
    """The fewest backbones that serve a fleet; of those the least worst, then mean loss.

    Args:
        fleet: phones and candidates.
        max_loss: most points of estimated top-1 that a unit may lose against its own best.
        backbones: most that may be taken.

    Raises:
        InputError: a bad number, or more than `backbones` are needed; says what would have to be
            allowed.
    """
    expect_asked(max_loss, backbones)
    losses = fleet.losses
    cover = cheapest_cover(losses, max_loss)
    counts = range(1, len(fleet.units) + 1)
    least = tuple(least_worst_loss(losses, count) for count in counts)
    if backbones is not None and backbones < cover.bound:
        raise InputError(_too_few(fleet, max_loss, backbones, cover.bound, least[backbones - 1]))
    proof = certificate(losses <= max_loss, cover.bound - 1)
    shares = [
        Share(
            unit,
            fleet.networks[row],
            float(fleet.ms[row, column]),
            float(fleet.lower_ms[row, column]),
            float(fleet.upper_ms[row, column]),
            float(fleet.top1[row]),
            float(fleet.best_top1[column]),
        )
        for column, (unit, row) in enumerate(zip(fleet.units, cover.taken, strict=True))
    ]
    weights = None if proof is None else tuple(proof.tolist())
    return Portfolio(fleet, tuple(shares), max_loss, cover.bound, least, weights)


def _too_few(fleet: Fleet, max_loss: float, given: int, needed: int, least: float) -> str:
    """Why so many backbones are too few, and what would do."""
    do, lose = ("does", "loses") if given == 1 else ("do", "lose")
    told = f"backbones: {given} {do} not suffice for {max_loss:g} points, {needed} are the fewest"
    if math.isinf(least):
        return f"{told}; whatever is lost, no {given} hold every budget: raise the lowest budgets"
    at = np.flatnonzero(_losses_of_best(fleet, given, least) >= least)
    worst = ", ".join(fleet.names[column] for column in at)
    return (
        f"{told}; {given} {lose} {least:.3f} points or more (on {worst}): give --backbones"
        f" {needed}, or --max-loss {math.ceil(least * 1000) / 1000:g}"
    )


def _losses_of_best(fleet: Fleet, backbones: int, least: float) -> Any:
    cover = cheapest_cover(fleet.losses, least)
    return fleet.losses[list(cover.taken), np.arange(len(fleet.units))]
