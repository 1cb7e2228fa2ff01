"""Learning curves: what is drawn is not tested, and more designs help."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency.uncertainty import design
from palmette.latency.validation import learning
from palmette.latency.validation.held_out import Row, Timed, headline, scores, timed_families
from palmette.latency.validation.learning import COUNTS, Point, learning_curves
from palmette.latency.whole.model import Fits, fit_family

pytestmark = pytest.mark.sweep
TARGET = "iphone-13/ane@coreml-ios16"


@pytest.fixture(scope="module")
def timed(timings: pd.DataFrame, fits: Fits) -> Timed:
    return next(t for t in timed_families(timings, fits) if t.family == "ane-ios16")


@pytest.fixture(scope="module")
def points(timed: Timed, validated: tuple[list[Row], dict[str, Any]]) -> list[Point]:
    rows = [row for row in validated[0] if row.target in timed.targets]
    return learning_curves([timed], rows)


@pytest.mark.parametrize("count", [4, 10])
def test_a_draw_has_as_many_designs_as_asked_and_enough_on_every_target(
    timed: Timed, count: int
) -> None:
    drawn = list(learning._drawn(timed, count, 3, np.random.default_rng(0)))
    assert len(drawn) == 3
    for inside in drawn:
        kept = {name for rows in inside.latency_ms.values() for name in rows}
        assert len({design(name) for name in kept}) == count
        assert all(len(rows) >= 3 for rows in inside.latency_ms.values())


def test_only_what_was_not_drawn_is_tested(
    timed: Timed, validated: tuple[list[Row], dict[str, Any]]
) -> None:
    inside = next(learning._drawn(timed, 12, 1, np.random.default_rng(0)))
    kept = set(inside.latency_ms[TARGET])
    every = headline(validated[0], TARGET)
    tested = [row for row in every if row.subject not in kept]
    assert 0 < len(tested) < len(every) == 19
    assert learning._errors(timed, inside, every) == learning._errors(timed, inside, tested)
    model = fit_family(timed.family, inside)[TARGET]
    own = [abs(inside.predict(row.subject, model) / row.measured_ms - 1) for row in tested]
    found = learning._errors(timed, inside, tested)[TARGET][0]
    assert found == pytest.approx(100 * sum(own) / len(own))


def test_the_last_point_is_the_headline_error(
    points: list[Point], validated: tuple[list[Row], dict[str, Any]]
) -> None:
    last = [point for point in points if point.target == TARGET][-1]
    found = scores(headline(validated[0], TARGET))
    assert last.designs == 23
    assert last.mape == pytest.approx(found["mape"])
    assert last.mape_flops == pytest.approx(found["mape_flops_offset"])


def test_points_rise_in_designs_and_fall_in_error(points: list[Point], timed: Timed) -> None:
    for target in timed.targets:
        own = [point for point in points if point.target == target]
        counts = [point.designs for point in own]
        assert counts == sorted(set(counts)) and set(COUNTS) - {4} <= set(counts)
    few, *_, many = [point.mape for point in points if point.target == TARGET]
    assert many < few


def test_the_same_seed_draws_the_same(
    timed: Timed, validated: tuple[list[Row], dict[str, Any]]
) -> None:
    rows = [row for row in validated[0] if row.target in timed.targets]
    assert learning_curves([timed], rows, draws=1) == learning_curves([timed], rows, draws=1)
