"""The plan of a search space: architectures are drawn, their needs found, rows chosen.

`palmette latency plan` and `palmette latency measure` both begin here.
"""

from __future__ import annotations

import numpy as np

from palmette.latency.planning.choose import Proposal, propose
from palmette.latency.planning.dressed import dressed, other_ops
from palmette.latency.planning.minutes import expect_minutes, expect_seed
from palmette.latency.planning.needs import Needs, find_needs, fitting_zoo
from palmette.latency.predictor import LatencyPredictor, load_predictor
from palmette.latency.targets import TARGETS, Target
from palmette.space import Architecture, SearchSpace

SAMPLED = 60
"""Architectures whose kernels and blocks are chosen from."""
OTHERS = 30
"""Ops that no block has, at most, in a broad plan."""


def plan_space(
    space: SearchSpace,
    target: Target,
    minutes: float,
    *,
    seed: int = 0,
    broad: bool = False,
    known: bool = True,
    predictor: LatencyPredictor | None = None,
) -> Proposal:
    """What to time on a target so that a predictor gets good for a space soonest.

    Args:
        space: whose networks are to be predicted.
        target: what is timed.
        minutes: all that the device is to spend.
        seed: of the architectures that are drawn.
        broad: whether every second architecture wears other kinds of blocks, and ops that no block
            has come besides: for a predictor that is to answer for the reference networks too.
        known: whether reference networks may calibrate; see `fitting_zoo`.
        predictor: of the target; default the shipped one, else rough guesses.

    Raises:
        InputError: a negative seed, or too few minutes; see `propose`.
    """
    expect_minutes(minutes)
    needs = space_needs(space, target, seed=seed, broad=broad, known=known, predictor=predictor)
    extras = other_ops(OTHERS, np.random.default_rng([seed, 1])) if broad else ()
    return propose(needs, target, minutes, extras)


def space_needs(
    space: SearchSpace,
    target: Target,
    *,
    seed: int = 0,
    broad: bool = False,
    known: bool = True,
    predictor: LatencyPredictor | None = None,
) -> Needs:
    """What networks drawn from a space need of a target; arguments as in `plan_space`."""
    expect_seed(seed)
    drawn = sample_architectures(space, SAMPLED, np.random.default_rng([seed, 0]), broad)
    if predictor is None and str(target) in TARGETS:
        predictor = load_predictor(str(target))
    return find_needs(drawn, target, predictor, fitting_zoo(drawn) if known else ())


def sample_architectures(
    space: SearchSpace, count: int, rng: np.random.Generator, broad: bool
) -> list[Architecture]:
    """Uniform draws from a space; in a broad one every second is dressed in other kinds."""
    drawn = space.decode_batch(space.sample(count, rng))
    return [dressed(one, rng) if broad and at % 2 else one for at, one in enumerate(drawn)]
