"""Breeding networks by what a predictor says of them: shares by hand, bands, barred choices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from palmette.latency.effects import support
from palmette.latency.uncertainty import Uncertainty, hull_sums
from palmette.latency.validation import breeding
from palmette.latency.validation.held_out import Timed, timed_families
from palmette.latency.whole.model import Fits, fit_family
from palmette.space import CompiledSpace, SearchSpace, compile_space

TARGET = "iphone-13/ane@coreml-ios16"


@pytest.fixture(scope="module")
def timed(timings: pd.DataFrame, fits: Fits) -> Timed:
    return next(t for t in timed_families(timings, fits) if t.family == "ane-ios16")


@pytest.fixture(scope="module")
def compiled() -> CompiledSpace:
    return compile_space(SearchSpace.preset("mnasnet"))


def judge(timed: Timed, compiled: CompiledSpace, slower: float) -> breeding.Judge:
    """Of a truth that is slower than the predictor says by a factor."""
    model = fit_family(timed.family, timed.measured)[TARGET]
    (state,) = model.states
    truth = replace(model, states=(replace(state, scale=state.scale * slower),))
    sums = np.array([hull_sums(timed.measured, name) for name in timed.measured.ops])
    logs = np.log(sums[:, 3:])
    hull = tuple(zip((logs.min(0) - 9).tolist(), (logs.max(0) + 9).tolist(), strict=True))
    spread = Uncertainty((0.1, 0.1), (1000, 1000), hull)
    return breeding.Judge.of(compiled, model, spread, truth)


@pytest.mark.parametrize(
    ("slower", "inside", "below"),
    [(1.0, 1.0, 1.0), (1.07, 1.0, 1.0), (1.1, 1.0, 0.0), (1.15, 0.0, 0.0), (0.87, 0.0, 1.0)],
)
def test_shares_by_hand(
    timed: Timed, compiled: CompiledSpace, slower: float, inside: float, below: float
) -> None:
    """Normal quantiles at a spread of a tenth: x/÷ 1.137 in two sides, x 1.088 in one."""
    codes = compiled.space.sample(50, np.random.default_rng(1))
    found = judge(timed, compiled, slower).shares(codes, np.zeros(1))
    assert (found.inside, found.below) == (inside, below)
    assert found.ratio == pytest.approx(slower)


def test_every_error_of_the_pool_counts(timed: Timed, compiled: CompiledSpace) -> None:
    codes = compiled.space.sample(50, np.random.default_rng(1))
    pool = np.array([0.0, 0.1, 0.2, -0.2])
    found = judge(timed, compiled, 1.0).shares(codes, pool)
    assert (found.inside, found.below) == (0.5, 0.5)
    assert found.ratio == pytest.approx(math.exp(0.025))


def test_breeding_finds_more_work_in_every_band_than_chance(
    timed: Timed, compiled: CompiledSpace
) -> None:
    rng = np.random.default_rng(2)
    allowed = [np.arange(len(gene.choices)) for gene in compiled.space.genes]
    one = judge(timed, compiled, 1.0)
    random = breeding.sample(allowed, 2000, rng)
    low, high = np.quantile(one.rate(random)[0], (0.05, 0.9)).tolist()
    edges = np.geomspace(low, high, 9)
    bred = breeding.bred(one, allowed, random, edges, rng)
    best = breeding.best(one, random, edges, 1)
    assert len(bred) == len(best) == 8
    (ms, quality), (_, before) = one.rate(bred), one.rate(best)
    assert (np.searchsorted(edges, ms) == np.arange(1, 9)).all()
    assert (quality >= before).all() and (quality > before).mean() > 0.5


def test_barred_choices_are_not_bred(timed: Timed, compiled: CompiledSpace) -> None:
    space = compiled.space
    known = replace(
        support(TARGET, fit_family(timed.family, timed.measured)[TARGET], timed.measured),
        kernels=(3,),
        squeeze_excitation=False,
    )
    for gene, indices in zip(space.genes, breeding.allowed_choices(space, known), strict=True):
        kept = [gene.choices[i] for i in indices]
        if gene.name.endswith(".kernel"):
            assert kept == [3]
        elif gene.name.endswith(".se"):
            assert kept == [choice for choice in gene.choices if not choice]
        elif gene.name.endswith((".depth", ".channels", ".expansion")):
            assert kept == list(gene.choices)
