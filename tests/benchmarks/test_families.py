"""The benchmark of families: its sums by hand, and the stored networks inside their budgets."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from palmette.latency import load_predictor
from palmette.space import Architecture
from palmette.train import AccuracyPrior


def test_gains_are_over_the_budgets_that_a_rival_keeps(benchmark: ModuleType) -> None:
    common = {"shrink_paper": 70.0, "compound": 68.0, "search": 73.0, "steps": 4}
    rows = [
        {**common, "shrink": 71.0, "width": 66.0, "over_budget": False},
        {**common, "shrink": 72.0, "width": None, "over_budget": False},
    ]
    found = benchmark.metrics(rows)
    assert found["gain_over_width"] == 5.0 and found["budgets_width"] == 1
    assert found["gain_over_shrink_paper"] == 1.5 and found["least_gain_over_search"] == -2.0
    assert found["over_budget"] == 0 and found["budgets"] == 2


def test_the_stored_networks_keep_their_budgets_and_score_as_stored(benchmark: ModuleType) -> None:
    stored = json.loads(benchmark.RESULTS.read_text("utf-8"))
    rows = stored["rows"]
    assert len(rows) == len(benchmark.NETWORKS) * len(benchmark.TARGETS) * len(benchmark.SHARES)
    networks = [Architecture.from_text(row["architecture"]) for row in rows]
    scores = AccuracyPrior.load().score(networks)
    for row, network, score in zip(rows, networks, scores, strict=True):
        predictor = load_predictor(row["target"])
        interval = predictor.predict_interval([network], benchmark.CONFIDENCE, two_sided=False)
        assert interval.upper_ms[0] <= row["budget_ms"] * (1 + 1e-9)
        assert score == pytest.approx(row["shrink"], abs=1e-6)
    assert benchmark.metrics(rows) == {
        name: value for name, value in stored.items() if name not in ("command", "rows")
    }
