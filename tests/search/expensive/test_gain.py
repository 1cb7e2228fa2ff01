"""Expected gain of hypervolume: by hand, against drawn numbers, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.search.expensive.gain import Steps, improvement
from palmette.search.front import hypervolume

CORNER = (10.0, 0.0)
FRONT = np.array([2.0, 5.0]), np.array([3.0, 6.0])


def gain(ms: float, mean: float, sigma: float, steps: Steps) -> float:
    return float(steps.gain(np.array([ms]), np.array([mean]), np.array([sigma]))[0])


@pytest.mark.parametrize(
    ("ms", "top1", "area"),
    [
        (1.0, 2.0, 1 * 2.0),  # left of the front: from 1 to 2 over nothing
        (1.0, 4.0, 1 * 4.0 + 3 * 1.0),  # and from 2 to 5 one point over 3
        (4.0, 7.0, 1 * 4.0 + 5 * 1.0),
        (6.0, 6.0, 0.0),  # dominated
        (6.0, 8.0, 4 * 2.0),
        (10.0, 99.0, 0.0),  # at the corner
        (12.0, 99.0, 0.0),
    ],
)
def test_what_is_certain_gains_the_area_that_it_adds(ms: float, top1: float, area: float) -> None:
    assert gain(ms, top1, 0.0, Steps.of(*FRONT, CORNER)) == pytest.approx(area)
    assert gain(ms, top1, 1e-9, Steps.of(*FRONT, CORNER)) == pytest.approx(area, abs=1e-6)


def test_an_even_chance_of_one_step_gains_its_length_times_sigma_over_root_two_pi() -> None:
    steps = Steps.of(np.array([2.0]), np.array([3.0]), (10.0, 0.0))
    # E[max(0, X - 3)] of X normal around 3 is sigma / sqrt(2 pi), over 8 ms right of the point
    assert gain(2.0, 3.0, 2.0, steps) == pytest.approx(8 * 2.0 / np.sqrt(2 * np.pi))
    assert float(improvement(np.array(0.0), np.array(1.0), np.array(0.0))) == pytest.approx(
        0.3989422804
    )


def test_an_empty_front_is_gained_from_the_corner_on() -> None:
    steps = Steps.of(np.empty(0), np.empty(0), CORNER)
    assert gain(4.0, 5.0, 0.0, steps) == pytest.approx(30.0)


def test_the_closed_form_is_the_mean_of_drawn_hypervolumes() -> None:
    rng = np.random.default_rng(0)
    ms, top1 = rng.uniform(1, 9, 6), rng.uniform(1, 9, 6)
    points = np.stack([ms, -top1], axis=1)
    corner = np.array([10.0, 0.0])
    before = hypervolume(points, corner)
    for at, mean, sigma in ((2.0, 5.0, 2.0), (6.0, 8.5, 0.7), (8.0, 1.0, 3.0)):
        drawn = [
            hypervolume(np.vstack([points, [at, -y]]), corner) - before
            for y in rng.normal(mean, sigma, 3_000)
        ]
        error = 4 * float(np.std(drawn)) / np.sqrt(len(drawn))
        closed = gain(at, mean, sigma, Steps.of(ms, top1, CORNER))
        assert closed == pytest.approx(float(np.mean(drawn)), abs=error)


POINTS = st.lists(st.tuples(st.floats(0.1, 12), st.floats(-1, 12)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(POINTS, st.floats(0.1, 12), st.floats(-5, 15), st.floats(0, 5), st.floats(0, 3))
def test_gain_is_no_less_for_more_accuracy_more_doubt_and_a_poorer_front(
    points: list[tuple[float, float]], ms: float, mean: float, sigma: float, more: float
) -> None:
    array = np.array(points).reshape(-1, 2)
    steps = Steps.of(array[:, 0], array[:, 1], CORNER)
    own = gain(ms, mean, sigma, steps)
    assert own >= 0
    assert gain(ms, mean + more, sigma, steps) >= own - 1e-9
    assert gain(ms, mean, sigma + more, steps) >= own - 1e-9
    assert gain(ms + more, mean, sigma, steps) <= own + 1e-9
    poorer = Steps.of(array[:-1, 0], array[:-1, 1], CORNER)
    assert gain(ms, mean, sigma, poorer) >= own - 1e-9


def test_many_codes_at_once_are_what_single_ones_are() -> None:
    rng = np.random.default_rng(0)
    steps = Steps.of(*FRONT, CORNER)
    ms, mean, sigma = rng.uniform(0, 11, 9000), rng.uniform(0, 9, 9000), rng.uniform(0, 2, 9000)
    whole = steps.gain(ms, mean, sigma)
    some = rng.integers(0, 9000, 20)
    single = [gain(ms[i], mean[i], sigma[i], steps) for i in some]
    np.testing.assert_allclose(whole[some], single)
