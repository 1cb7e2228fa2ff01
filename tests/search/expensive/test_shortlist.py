"""Batches of networks to measure: spread out, feasible, and the faster of those that tie."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.search.expensive.belief import Belief, Outlook, believe
from palmette.search.expensive.chooser import Chooser, shortlist
from palmette.search.expensive.known import Known, key_of
from palmette.search.expensive.seen import MOST, near_front
from palmette.search.expensive.shortlist import NEAR, Options, batch, best_of
from palmette.search.front import hypervolume
from tests.search.expensive.conftest import Made

CORNER = (10.0, 0.0)


def test_of_networks_that_tie_the_faster_one_is_taken() -> None:
    codes = np.arange(4)[:, None]
    options = Options(
        codes, np.array([5.0, 4.0, 3.0, 1.0]), np.array([60.0, 59.6, 59.4, 59.9]), codes[:, 0] * 0.0
    )
    gain = np.array([10.0, 9.5, 9.9, 2.0])
    assert best_of(options, gain) == 1  # the third is 0.6 points away, the last gains too little


def test_a_batch_is_spread_and_has_no_near_duplicates(made: Made) -> None:
    outlook = Outlook.of(made.space, made.prior)
    belief = believe(outlook, made.measured(30))
    codes = np.unique(made.space.sample(500, np.random.default_rng(3)), axis=0)
    ms, violation = made.costs(codes)
    codes, ms = codes[violation <= 0], ms[violation <= 0]
    mean, sigma = belief.predict(codes)
    options = Options(codes, ms, mean, sigma)
    nothing = np.empty(0), np.empty(0)
    taken = batch(belief, options, nothing, (made.budget_ms, 40.0), 10)
    assert len(set(taken)) == 10
    apart = (codes[taken][:, None] != codes[taken][None]).sum(axis=2)[np.triu_indices(10, 1)]
    assert apart.min() >= NEAR
    points = np.stack([ms, -mean], axis=1)
    corner = np.array([made.budget_ms, -40.0])
    whole = hypervolume(points, corner)
    random = [
        hypervolume(points[np.random.default_rng(s).choice(len(ms), 10, replace=False)], corner)
        for s in range(20)
    ]
    assert hypervolume(points[taken], corner) > max(random)
    assert hypervolume(points[taken], corner) > 0.9 * whole


def test_taking_a_network_shrinks_doubt_as_measuring_it_does(made: Made) -> None:
    belief = believe(Outlook.of(made.space, made.prior), made.measured(20))
    codes = np.unique(made.space.sample(60, np.random.default_rng(3)), axis=0)
    at = codes[7]
    along = belief.covariance(codes, at)
    shrunk = belief.predict(codes)[1] ** 2 - along**2 / (along[7] + belief.noise())
    more = made.measured(20).joined(
        type(made.measured(1))(at[None], belief.mean(at[None]), np.zeros(1))
    )
    again = believe(belief.outlook, more, belief.kernel)
    np.testing.assert_allclose(again.predict(codes)[1] ** 2, shrunk, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("prior", [True, False])
def test_a_shortlist_keeps_the_limits_and_is_the_same_again(made: Made, prior: bool) -> None:
    codes = shortlist(made.known(prior), 8, 1000, 3)
    assert codes.shape == (8, len(made.space.genes))
    assert made.known().feasible(codes).all()
    assert len({key_of(code) for code in codes}) == 8
    assert np.array_equal(codes, shortlist(made.known(prior), 8, 1000, 3))


def test_a_belief_is_made_of_few_results_near_the_front_and_the_latest() -> None:
    rng = np.random.default_rng(0)
    ms, top1 = rng.uniform(0, 1, 2000), rng.uniform(0, 1, 2000)
    kept = near_front(ms, top1)
    assert len(kept) == MOST and (np.diff(kept) > 0).all()
    order = np.argsort(ms)
    best = order[top1[order] == np.maximum.accumulate(top1[order])]
    assert set(best) <= set(kept)
    assert len(set(kept) & set(range(1700, 2000))) > 150


def test_a_random_network_of_a_tight_budget_is_repaired(made: Made) -> None:
    tight = Known(made.space, Made(made.space, made.ms_of, made.points_of, 1.5).costs)
    assert not tight.feasible(made.space.sample(1000, np.random.default_rng(0))).any()
    code = tight.nearest(made.space.sample(1, np.random.default_rng(1))[0], set())
    assert tight.feasible(code[None])[0]
    other = tight.nearest(code, {key_of(code)})
    assert tight.feasible(other[None])[0] and key_of(other) != key_of(code)


def test_before_any_result_doubt_is_of_the_level_alone(made: Made) -> None:
    chooser = Chooser(made.known(), 0)
    codes = made.space.sample(5, np.random.default_rng(0))
    belief = Belief.first(chooser.outlook)
    level = belief.covariance(codes, codes[0]) - 20.0**2
    assert np.abs(level).max() < 3 * 1.7**2 + np.abs(chooser.outlook.differences(codes)).max() ** 2
