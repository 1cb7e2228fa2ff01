"""The few-shot benchmark: its draws are even, its folds closed, its claims hold on one target."""

from __future__ import annotations

import json
from collections import Counter
from types import ModuleType

import pytest

from palmette.latency import TARGETS, published_timings
from palmette.latency.whole.fitted import measured_networks
from palmette.latency.whole.model import Measured

XS_GPU = "iphone-xs/gpu@coreml-ios13"


@pytest.fixture(scope="module")
def everything() -> Measured:
    """The shipped timings of 2020."""
    return measured_networks(published_timings(), "ane-2020")


def test_every_network_is_drawn_equally_often(benchmark: ModuleType) -> None:
    draws = benchmark.orders()
    assert len(draws) == 60 and draws == benchmark.orders()
    for place in range(10):
        assert set(Counter(order[place] for order in draws).values()) == {6}


def test_a_prediction_knows_nothing_of_its_network(
    benchmark: ModuleType, everything: Measured
) -> None:
    order = benchmark.orders()[0]
    last = order[-1]
    table = {
        t: {n: ms * (3 if n == last else 1) for n, ms in rows.items()}
        for t, rows in everything.latency_ms.items()
    }
    altered = Measured(table, everything.ops)
    found = [
        benchmark.draw(order, 8, TARGETS[XS_GPU], m, benchmark.Priors(m))[-1]
        for m in (everything, altered)
    ]
    for way in ("few", "own", "flops"):
        assert found[0].predicted_ms[way] == pytest.approx(found[1].predicted_ms[way], rel=1e-12)
    assert found[0].factor_80 == pytest.approx(found[1].factor_80, rel=1e-12)
    assert found[1].measured_ms == 3 * found[0].measured_ms


def test_a_prior_without_all_of_a_draws_networks_knows_less(
    benchmark: ModuleType, everything: Measured
) -> None:
    order = benchmark.orders()[0]
    priors = benchmark.Priors(everything)
    known = [priors.without("gpu-2020", frozenset(names)) for names in ((order[-1],), order[3:])]
    timed = [set(k.measured.latency_ms[k.name]) for k in known]
    assert not timed[0] & {order[-1]} and not timed[1] & set(order[3:])
    assert all("iphone-11" in name for k in known for name in k.measured.latency_ms)


@pytest.mark.sweep
def test_few_timings_and_a_prior_beat_the_timings_alone(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "NEW", (XS_GPU,))
    monkeypatch.setattr(benchmark, "SUPPORT", (3,))
    draws = benchmark.orders()[:10]
    rows = benchmark.measure(published_timings(), draws)
    metrics = benchmark.metrics_of(rows)
    assert len(rows) == 70
    assert metrics["mape_few_3"] < 11 < metrics["mape_own_3"] < metrics["mape_flops_3"]
    assert metrics["mape_floor_3"] < metrics["mape_few_3"]
    assert 0.6 < metrics["coverage_80"] <= 1 and 1.1 < metrics["interval_factor_80"] < 1.5
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    benchmark.show(rows, metrics, len(draws))
    assert "iphone-xs/gpu" in capsys.readouterr().out
