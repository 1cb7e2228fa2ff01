"""Networks that a search selected: made truths, breeding, and shares by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from palmette.latency.validation import selected
from palmette.latency.validation.breeding import Shares
from palmette.latency.validation.held_out import Timed, timed_families
from palmette.latency.validation.selected import Outcome, selections, summary
from palmette.latency.whole.model import Fits, fit_family
from palmette.space import CompiledSpace, SearchSpace, compile_space

TARGET = "iphone-13/ane@coreml-ios16"


@pytest.fixture(scope="module")
def timed(timings: pd.DataFrame, fits: Fits) -> Timed:
    return next(t for t in timed_families(timings, fits) if t.family == "ane-ios16")


@pytest.fixture(scope="module")
def compiled() -> CompiledSpace:
    return compile_space(SearchSpace.preset("mnasnet"))


@pytest.fixture(scope="module")
def outcomes(timed: Timed, compiled: CompiledSpace) -> list[Outcome]:
    return selections([timed], compiled)


def test_a_truth_in_the_own_form_is_the_fitted_model(timed: Timed) -> None:
    truths = selected._truths(timed.measured, timed.family, "ane_ios16")
    assert truths == fit_family(timed.family, timed.measured)


def test_made_timings_are_the_truth_times_an_error_of_the_class(timed: Timed) -> None:
    truths = selected._truths(timed.measured, timed.family, "gpu_linear")
    errors = selected._errors(timed.measured, truths)
    made = selected._made(timed.measured, timed.family, truths, errors, np.random.default_rng(0))
    moved = 0
    for target, truth in truths.items():
        assert list(made.latency_ms[target]) == list(timed.measured.latency_ms[target])
        for name, ms in made.latency_ms[target].items():
            own = selected._class(timed.measured, name)
            pool = [e for n, e in errors[target].items() if selected._class(made, n) == own]
            error = math.log(ms / timed.measured.predict(name, truth))
            assert min(abs(error - other) for other in pool) < 1e-9
            moved += abs(error - errors[target][name]) > 1e-9
    assert moved > 20
    assert not any(family == "ane-ios16" for family, _, _ in made.fits)


@pytest.mark.sweep
def test_intervals_hold_on_selected_networks_nearly_as_often_as_on_random_ones(
    outcomes: list[Outcome],
) -> None:
    assert {outcome.target for outcome in outcomes} == {TARGET, "iphone-12/ane@coreml-ios16"}
    assert {outcome.truth for outcome in outcomes} == set(selected.FORMS)
    found = summary(outcomes)
    for name in ("coverage_80", "upper_80"):
        chosen, random = found[f"{name}_selected"], found[f"{name}_random"]
        assert chosen is not None and random is not None
        assert 0.6 < chosen < random + 0.05
        assert 0.65 < random < 0.97


@pytest.mark.sweep
def test_the_same_seed_gives_the_same_outcomes(
    timed: Timed, compiled: CompiledSpace, outcomes: list[Outcome]
) -> None:
    assert selections([timed], compiled) == outcomes


def test_the_summary_is_a_mean_over_outcomes() -> None:
    shares = Shares(1.0, 0.5, 1.1), Shares(0.5, 1.0, 1.0), Shares(0.0, 0.0, 1.0)
    found = summary([Outcome("t", "f", *shares[:2]), Outcome("t", "g", *shares[1:])])
    assert found == {
        "coverage_80_selected": 0.75,
        "upper_80_selected": 0.75,
        "coverage_80_random": 0.25,
        "upper_80_random": 0.5,
    }
    assert set(summary([]).values()) == {None}
