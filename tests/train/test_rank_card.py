"""Figures of a rank-correlation card, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.train.rank_card import card, cheapest


def test_a_card_of_a_perfect_and_a_reversed_estimator() -> None:
    truth = np.linspace(0.3, 0.5, 10)
    alone = np.stack([truth, truth, truth])
    macs = np.array([1.0, 2.0] * 5)
    estimates = {"good": truth, "bad": -truth, "params": macs, "macs": macs}
    found = card(estimates, alone, dict.fromkeys(estimates, 0.0), 0)
    assert found["one_training"]["tau"]["value"] == pytest.approx(1.0)
    rows = found["estimators"]
    assert rows["good"]["tau"] == pytest.approx({"value": 1.0, "low": 1.0, "high": 1.0})
    assert rows["bad"]["tau_top20"]["value"] == pytest.approx(-1.0)
    assert rows["good"]["tau_minus_macs"]["value"] == pytest.approx(
        1 - rows["macs"]["tau"]["value"]
    )
    assert rows["good"]["tau_minus_macs"]["low"] > 0
    assert "tau_minus_params" not in rows["params"]
    assert found["near_macs_pairs"] == 20


def test_one_training_ranks_worse_the_louder_the_seeds_are() -> None:
    rng = np.random.default_rng(0)
    truth = np.linspace(0.3, 0.5, 24)
    estimates = {"params": truth, "macs": np.ones(24)}
    cards = [
        card(estimates, truth + rng.normal(0, noise, (3, 24)), {"params": 0, "macs": 0}, 0)
        for noise in (0.001, 0.05)
    ]
    quiet, loud = (found["one_training"]["tau"] for found in cards)
    assert quiet["value"] > 0.9 > 0.8 > loud["value"]
    assert loud["low"] < loud["value"] < loud["high"]
    assert loud["value"] < cards[1]["estimators"]["params"]["tau"]["value"]  # it is no ceiling
    assert cards[1]["seed_sd_points"] == pytest.approx(5.0, rel=0.3)


def test_an_estimator_is_held_against_another_by_the_same_resamples() -> None:
    truth = np.linspace(0.3, 0.5, 12)
    estimates = {"one": truth, "other": truth, "params": truth, "macs": truth}
    costs = dict.fromkeys(estimates, 0.0)
    found = card(estimates, np.stack([truth, truth]), costs, 0, {"one": ("other",)})
    assert found["estimators"]["one"]["tau_minus_other"] == {"value": 0, "low": 0, "high": 0}
    assert "tau_minus_one" not in found["estimators"]["other"]


def test_the_cheapest_of_ties_is_chosen() -> None:
    rows = {"a": (0.60, 3.0), "b": (0.56, 1.0), "c": (0.50, 0.1), "macs": (0.9, 0.0)}
    found = {
        "estimators": {
            name: {"tau": {"value": tau}, "cost": cost} for name, (tau, cost) in rows.items()
        }
    }
    assert cheapest(found, ("a", "b", "c")) == "b"
    assert cheapest(found, ("a", "c")) == "a"
