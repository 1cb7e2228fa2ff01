"""The portfolio benchmark: its targets and budgets, counting out, and what is stored."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from palmette.latency import load_predictor
from palmette.space import Architecture


def test_the_targets_are_all_units_of_the_three_phones(benchmark: ModuleType) -> None:
    names = benchmark.targets()
    assert len(names) == 8 and all(name.split("@")[1].startswith("coreml-ios1") for name in names)


def test_mobilenet_v2_just_keeps_its_budget(benchmark: ModuleType) -> None:
    for target in benchmark.targets():
        time = load_predictor(target).predict_interval(["mobilenet_v2"], 0.95, two_sided=False)
        budget = benchmark.RULES["mobilenet_v2"](target)
        assert 0 <= budget - time.upper_ms[0] <= 0.001


def test_counting_out_tries_every_subset_of_the_largest_services(benchmark: ModuleType) -> None:
    serves = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 0, 0], [1, 1, 0]], dtype=bool)
    assert benchmark.counted_out(serves, 1) == 3
    with pytest.raises(AssertionError, match="fewer backbones"):
        benchmark.counted_out(serves, 2)


def test_the_stored_figures_are_those_of_the_stored_backbones(benchmark: ModuleType) -> None:
    stored = json.loads((benchmark.RESULTS / "portfolio.json").read_text("utf-8"))
    rows = pd.read_csv(benchmark.RESULTS / "portfolio.csv")
    for rule, budget in benchmark.RULES.items():
        found, own = stored[rule], rows[rows["rule"] == rule]
        assert len(own) == 8 and set(own["backbone"]) == set(found["backbones"])
        assert found["fewest"] == len(found["backbones"])
        assert own["loss_points"].max() == pytest.approx(found["worst_loss"], abs=1e-4)
        assert found["worst_loss"] <= 0.5
        for row in own.to_dict("records"):
            network = Architecture.from_text(found["backbones"][row["backbone"]])
            predictor = load_predictor(row["target"])
            time = predictor.predict_interval([network], 0.95, two_sided=False)
            assert row["upper_ms"] == pytest.approx(time.upper_ms[0], abs=1e-4)
            assert row["upper_ms"] <= row["budget_ms"] == budget(row["target"])


def test_a_stored_proof_of_weights_adds_up(benchmark: ModuleType) -> None:
    stored = json.loads((benchmark.RESULTS / "portfolio.json").read_text("utf-8"))
    for rule in benchmark.RULES:
        found = stored[rule]
        if found["weights"] is not None:
            assert sum(found["weights"].values()) > found["fewest"] - 1
        losses = [loss for loss in found["least_worst_loss"].values() if loss is not None]
        assert losses == sorted(losses, reverse=True) and losses[-1] == 0.0
        assert found["three_suffice"] == (found["worst_loss_of_three"] <= 0.5)
