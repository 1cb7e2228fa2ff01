"""Shrinking: never above the budget, every step faster, nothing but what was allowed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency import TARGETS, load_predictor
from palmette.search import shrink
from palmette.search.families.estimates import Estimates
from palmette.search.families.shrink import RULES, best_score, least_rate
from palmette.space import Architecture, InputError, load
from palmette.train import AccuracyPrior

Upper = Callable[..., float]
CLASSIFIERS = ("mobilenet_v3_small", "mobilenet_v1_0.5", "shufflenet_v2_0.5")


def members(*rows: tuple[float, float]) -> Estimates:
    """Estimates with (ms at the confidence, score)."""
    upper, score = np.array(rows, dtype=np.float64).T
    return Estimates((), upper, upper, score, score, np.zeros(len(rows)))


def test_the_rules_by_hand() -> None:
    now = members((10.0, 70.0))
    # 1 point for 1 ms, 0.5 for 0.4 ms, 3 for 4 ms of which the budget needs 2
    every, some = members((9.0, 69.0), (9.6, 69.5), (6.0, 67.0)), np.ones(3, dtype=bool)
    assert least_rate(every, some, now, 5.0) == 2
    assert least_rate(every, some, now, 8.0) == 0
    assert best_score(every, some, now, 5.0) == 1
    # half a point is no tie, less is: of these the fastest
    assert best_score(members((9.0, 69.01), (9.6, 69.5)), some[:2], now, 5.0) == 0
    assert best_score(every, np.array([True, False, True]), now, 5.0) == 0


@given(
    st.sampled_from(CLASSIFIERS),
    st.sampled_from(sorted(TARGETS)),
    st.floats(0.85, 1.02),
    st.sampled_from([0.8, 0.95]),
    st.sampled_from(sorted(RULES)),
)
@settings(max_examples=4)
def test_paths_fall_keep_the_budget_and_the_classes(
    name: str, target: str, share: float, confidence: float, rule: str
) -> None:
    predictor, base = load_predictor(target), load(name)
    interval = predictor.predict_interval([base], confidence, two_sided=False)
    budget = share * float(interval.upper_ms[0])
    try:
        found = shrink(base, predictor, budget, confidence=confidence, rule=rule)
    except InputError as error:  # much of the time may be there whatever is run
        assert str(error).startswith("budget: ")
        return
    path, prior = found.path, AccuracyPrior.load()
    assert path["ms_at_confidence"].iloc[-1] <= budget
    assert (path["ms_at_confidence"].iloc[:-1] > budget).all()
    assert (np.diff(path["ms"]) < 0).all() and (np.diff(path["ms_at_confidence"]) < 0).all()
    assert path["step"].tolist() == list(range(len(path)))
    steps = [Architecture.from_text(text) for text in path["architecture"]]
    assert steps[0] == base and steps[-1] == found.architecture
    again = predictor.predict_interval(steps, confidence, two_sided=False)
    np.testing.assert_array_equal(again.upper_ms, path["ms_at_confidence"])
    assert (np.diff(prior.evaluate(steps).violation) <= 1e-9).all()
    assert {step.head.classes for step in steps} == {1000}
    assert all(len(step.stages) == len(base.stages) for step in steps)


def test_it_ends_the_same_every_time(tiny: Architecture, upper_ms: Upper) -> None:
    predictor = load_predictor("iphone-xs/gpu")
    budget = 0.8 * upper_ms(tiny, "iphone-xs/gpu")
    first, second = (shrink(tiny, predictor, budget) for _ in range(2))
    assert first.path.equals(second.path) and len(first.path) > 2
    assert first.architecture.head.classes == 10


def test_each_step_takes_off_its_share(tiny: Architecture, upper_ms: Upper) -> None:
    whole = upper_ms(tiny, "iphone-xs/gpu")
    path = shrink(tiny, load_predictor("iphone-xs/gpu"), 0.8 * whole, step=0.05).path
    taken = -np.diff(path["ms_at_confidence"]) / whole
    shares = 0.05 * 0.96 ** np.arange(len(taken))
    assert (taken[:-1] >= shares[:-1] - 1e-12).all()  # the last one need only arrive


def test_a_network_inside_its_budget_is_left_alone(tiny: Architecture, upper_ms: Upper) -> None:
    budget = upper_ms(tiny, "iphone-11/ane")
    found = shrink(tiny, load_predictor("iphone-11/ane"), budget)
    assert found.architecture == tiny and found.path["change"].tolist() == [""]


def test_a_budget_below_the_smallest_is_told_with_it(tiny: Architecture) -> None:
    predictor = load_predictor("iphone-11/ane")
    with pytest.raises(InputError, match=r"keeps 0\.001 ms; the smallest .* at [\d.]+ ms: \d+x"):
        shrink(tiny, predictor, 0.001)


def test_a_budget_that_only_wide_intervals_stand_against_ends_where_the_walk_does(
    tiny: Architecture,
) -> None:
    predictor = load_predictor("iphone-13/ane")
    floor = float(predictor.predict([tiny])[0])
    with pytest.raises(InputError, match="budget: shrinking ends at"):
        shrink(tiny, predictor, floor, confidence=0.95)


def test_the_users_own_accuracy_decides(tiny: Architecture, upper_ms: Upper) -> None:
    """Where depth alone counts, no block is taken away; ResNet needs no prior then."""

    def blocks(networks: Sequence[Architecture]) -> Any:
        depth = [float(sum(map(len, network.stages))) for network in networks]
        return depth, [0.0] * len(networks)

    for network in (tiny, load("resnet18")):
        budget = 0.7 * upper_ms(network, "iphone-11/cpu")
        found = shrink(network, load_predictor("iphone-11/cpu"), budget, accuracy=blocks)
        assert [len(s) for s in found.architecture.stages] == [len(s) for s in network.stages]
        assert len(found.path) > 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "best"}, "rule: must be one of rate, score; got 'best'"),
        ({"step": 1.0}, "step: must be above 0 and below 1"),
        ({"confidence": 0.5}, "confidence: must be above 0.5"),
        ({"budget_ms": 0.0}, "budget_ms: must be a positive number"),
        ({"recipe": "nobody's"}, "recipe 'nobody's' is unknown"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    options: dict[str, Any], words: str, tiny: Architecture
) -> None:
    with pytest.raises(InputError, match=words):
        shrink(tiny, load_predictor("iphone-11/ane"), **{"budget_ms": 1.0, **options})
