"""Estimates: sums over parts are the whole, and what is said of a user's accuracy function."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from palmette.latency import load_predictor
from palmette.search import Limits, shrink
from palmette.search.families.estimates import Estimator
from palmette.search.families.part_times import PartTimes
from palmette.space import Architecture, InputError, load

NETWORKS = ("mobilenet_v3_small", "ghostnet_1.0", "shufflenet_v2_1.0")


@pytest.mark.parametrize("target", ["iphone-13/ane", "iphone-11/ane"])
@pytest.mark.parametrize("name", NETWORKS)
def test_times_from_parts_are_those_of_the_whole(name: str, target: str) -> None:
    network, predictor = load(name), load_predictor(target)
    parts = PartTimes.of(network, predictor)
    assert parts is not None
    found = parts.interval([network], 0.9)
    whole = predictor.predict_interval([network], 0.9, two_sided=False)
    np.testing.assert_allclose(found.ms, whole.ms, rtol=1e-9)
    np.testing.assert_allclose(found.upper_ms, whole.upper_ms, rtol=1e-9)


def test_networks_whose_ops_run_across_parts_are_traced_whole() -> None:
    """DiCENet's activation is a block behind its convolution; detectors read several maps."""
    for name in ("dicenet_1.0", "mobilenet_v2_ssdlite"):
        assert PartTimes.of(load(name), load_predictor("iphone-11/ane")) is None


ANSWERS: dict[str, tuple[Callable[[Sequence[Architecture]], Any], str]] = {
    "one number": (lambda networks: 1.0, "got float"),
    "a shape": (lambda networks: (np.ones(3), np.ones(3)), r"\(3,\) and \(3,\)"),
    "NaN": (lambda networks: ([np.nan] * len(networks), [1.0] * len(networks)), "got NaN"),
    "minus": (lambda networks: ([1.0] * len(networks), [-1.0] * len(networks)), "got -1"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_is_no_accuracy_is_refused(case: str, tiny: Architecture) -> None:
    accuracy, words = ANSWERS[case]
    estimator = Estimator.of(tiny, load_predictor("iphone-11/ane"), Limits(), accuracy)
    with pytest.raises(InputError, match=f"accuracy function: must return.*{words}"):
        estimator.estimate([tiny])


def test_what_the_prior_cannot_judge_is_refused_and_a_function_is_named() -> None:
    for name in ("resnet18", "mobilenet_v2_ssdlite"):
        with pytest.raises(InputError, match=r"accuracy prior: .*an `accuracy` function"):
            shrink(load(name), load_predictor("iphone-11/ane"), 5.0)


def test_a_recipe_is_one_of_the_prior(tiny: Architecture) -> None:
    with pytest.raises(InputError, match="recipe: is one of the prior"):
        shrink(
            tiny,
            load_predictor("iphone-11/ane"),
            5.0,
            recipe="mean",
            accuracy=lambda networks: (np.ones(len(networks)), np.ones(len(networks))),
        )
