"""The stored scores are of the predictors that are shipped."""

from pathlib import Path

import pandas as pd
import pytest

from palmette.latency import load_predictor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    """The table in `results/`."""
    return pd.read_csv(ROOT / "results" / "latency_validation.csv")


def test_errors_of_anchors_are_their_predictors(shipped: pd.DataFrame) -> None:
    rows = shipped[shipped["held_out"] == "anchor"]
    assert len(rows) == 3
    for row in rows.itertuples():
        assert row.mape == pytest.approx(load_predictor(str(row.target)).mape, rel=1e-4)


def test_the_scores_are_of_the_networks_held_out_in_the_predictions(shipped: pd.DataFrame) -> None:
    told = pd.read_csv(ROOT / "results" / "seed_predictions.csv")
    target, networks = "iphone-12/ane", told[told["target"].str.startswith("iphone-12/ane@")]
    row = shipped[(shipped["target"] == target) & (shipped["held_out"] == "network")].iloc[0]
    errors = 100 * (networks["ratio"] - 1).abs()
    assert row["networks"] == len(networks)
    assert row["mape"] == pytest.approx(errors.mean(), rel=1e-3)
    assert row["worst_percent"] == pytest.approx(errors.max(), rel=1e-3)
