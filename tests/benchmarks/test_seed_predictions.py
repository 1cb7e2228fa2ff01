"""Predictions beside measurements: every timing has its row, and the figures are validation's."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from palmette.latency import load_predictor, published_timings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    """The table in `results/`."""
    return pd.read_csv(ROOT / "results" / "seed_predictions.csv")


def test_every_published_timing_has_its_row(shipped: pd.DataFrame) -> None:
    timed = published_timings()
    given = set(zip(timed["subject"], timed["target"], timed["latency_ms"], strict=True))
    columns = (shipped[name] for name in ("network", "target", "measured_ms"))
    assert set(zip(*columns, strict=True)) == given and len(shipped) == len(given)


def test_the_shipped_table_is_that_of_the_shipped_predictors(shipped: pd.DataFrame) -> None:
    for target, own in shipped.groupby("target"):
        predictor = load_predictor(str(target))
        assert own["predicted_ms"].to_numpy() == pytest.approx(
            predictor.predict(own["network"].tolist()), rel=1e-3
        )
        errors = [predictor.held_out_errors_[name] for name in own["network"]]
        assert own["ratio"].to_numpy() == pytest.approx(np.exp(errors), rel=1e-3)


def test_anchors_are_held_out_one_at_a_time(benchmark: ModuleType) -> None:
    timed = published_timings()
    found = benchmark.table(timed[timed["target"].str.startswith("iphone-15")])
    assert found["network"].tolist() == ["mobilenet_v2", "resnet50"]
    assert (found["lower_ms"] < found["held_out_ms"]).all()
    assert found["inside"].tolist() == [True, True]


def test_errors_are_means_over_targets(benchmark: ModuleType) -> None:
    old = "iphone-11/cpu@coreml-ios13", "iphone-x/gpu@coreml-ios12"
    rows = [
        ("mobilenet_v1", old[0], 10.0, 11.0, 1.2, True),
        ("tinyyolo_v2", old[0], 10.0, 9.0, 0.6, False),
        ("mobilenet_v2", old[1], 10.0, 10.0, 1.1, True),
        ("mobilenet_v2", "iphone-13/ane@coreml-ios16", 1.0, 1.0, 5.0, False),
    ]
    names = ["network", "target", "measured_ms", "predicted_ms", "ratio", "inside"]
    found = benchmark.summary(pd.DataFrame(rows, columns=names))
    assert (found["rows"], found["seed_rows"], found["seed_networks"]) == (4, 3, 3)
    assert found["fitted_mape_all"] == pytest.approx((10 + 0) / 2)
    assert found["lono_mape_all"] == pytest.approx(((20 + 40) / 2 + 10) / 2)
    assert found["lono_mape_mobilenet_like"] == pytest.approx((20 + 10) / 2)
    assert found["inside_80"] == pytest.approx(2 / 3)
    assert found["by_target"][old[0]] == pytest.approx({"fitted": 10, "held_out": 30})
