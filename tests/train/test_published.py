"""The prior against published networks, as a table."""

from __future__ import annotations

import pandas as pd
import pytest

from palmette.space import InputError, load
from palmette.train import AccuracyPrior
from palmette.train.family_bias import trainings
from palmette.train.published import FITTED, OUTSIDE, errors_by, published, published_figure


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return published()


def test_every_published_training_has_its_row(frame: pd.DataFrame) -> None:
    assert frame["network"].tolist() == [training.network for training in trainings()]
    assert frame["published"].tolist() == [training.top1 for training in trainings()]


def test_a_row_says_what_the_prior_says_at_that_recipe(frame: pd.DataFrame) -> None:
    row = frame.set_index("network").loc["mobilenet_v2"]
    batch = AccuracyPrior.load().evaluate([load("mobilenet_v2")], "tf_slim")
    assert row["recipe"] == "tf_slim" and row["blocks"] == FITTED
    assert row["top1"] == batch.top1[0] and row["published"] == 71.8
    assert row["error"] == pytest.approx(row["top1"] - 71.8)
    assert row["inside"] == (row["lower"] <= 71.8 <= row["upper"])


def test_what_the_prior_refuses_has_a_reason_and_no_estimate(frame: pd.DataFrame) -> None:
    refused = frame[frame["refused"] != ""]
    assert {"resnet18", "squeezenet_v1.1"} <= set(refused["network"])
    assert refused["top1"].isna().all() and refused["inside"].isna().all()
    judged = frame[frame["refused"] == ""]
    assert frame["inside"].mean() == judged["inside"].mean() == judged["inside"].sum() / len(judged)
    assert frame.loc[frame["network"] == "ghostnet_1.0", "blocks"].eq(OUTSIDE).all()


def test_a_family_left_out_is_estimated_by_the_fit_without_it(frame: pd.DataFrame) -> None:
    rows = frame.set_index("network")["left_out_error"]
    assert rows["mobilenet_v2"] != frame.set_index("network")["error"]["mobilenet_v2"]
    assert rows[["ghostnet_1.0", "chamnet_a"]].isna().all().all()
    assert rows["mnasnet_a1"] == pytest.approx(rows["mnasnet_a1"]) and abs(rows["mnasnet_a1"]) < 5


def test_errors_are_counted_over_what_was_judged() -> None:
    rows = pd.DataFrame(
        {
            "family": ["a", "a", "b"],
            "error": [1.0, -3.0, float("nan")],
            "inside": [True, False, False],
            "refused": ["", "", "why"],
        }
    )
    found = errors_by(rows, "family")
    assert found.index.tolist() == ["a"]
    assert found.loc["a"].tolist() == [2, -1.0, 2.0, 3.0, 0.5]
    with pytest.raises(InputError, match="column 'phone': the frame has none; it has family"):
        errors_by(rows, "phone")


def test_the_figure_shows_all_that_was_judged(frame: pd.DataFrame) -> None:
    figure = published_figure(frame)
    assert figure.data[0].name == "equal"
    assert sum(len(trace.x) for trace in figure.data[1:]) == (frame["refused"] == "").sum()
