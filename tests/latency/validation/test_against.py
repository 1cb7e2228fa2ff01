"""A predictor against timings, network by network."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor
from palmette.latency.validation.against import (
    AGAIN,
    HELD_OUT,
    NEW,
    against,
    against_figure,
    coverage,
)
from palmette.space import InputError

TARGET = "iphone-13/ane@coreml-ios16"


@pytest.fixture(scope="module")
def predictor(shipped: Mapping[str, LatencyPredictor]) -> LatencyPredictor:
    return shipped[TARGET]


@pytest.fixture(scope="module")
def frame(predictor: LatencyPredictor, timings: pd.DataFrame) -> pd.DataFrame:
    new = timings[timings["target"] == TARGET].iloc[:1].assign(subject="mobilenet_v2@200x200")
    return against(predictor, pd.concat([timings, new.assign(latency_ms=2.0)]))


def test_what_was_fitted_is_predicted_without_it(
    frame: pd.DataFrame, predictor: LatencyPredictor
) -> None:
    held = frame[frame["seen"] == HELD_OUT].set_index("network")
    assert set(held.index) == set(predictor.held_out_errors_)
    assert held["error"].to_dict() == pytest.approx(predictor.held_out_errors.to_dict())
    assert held["error"].abs().mean() == pytest.approx(predictor.mape)
    name, error = next(iter(predictor.held_out_errors_.items()))
    ratio = held.loc[name, "predicted_ms"] / held.loc[name, "measured_ms"]
    assert np.log(ratio) == pytest.approx(error)


def test_any_other_network_is_predicted_by_the_predictor(
    frame: pd.DataFrame, predictor: LatencyPredictor
) -> None:
    new = frame[frame["seen"] == NEW].iloc[0]
    interval = predictor.predict_interval(["mobilenet_v2@200x200"])
    assert (new["network"], new["measured_ms"]) == ("mobilenet_v2@200x200", 2.0)
    assert new["predicted_ms"] == pytest.approx(interval.ms[0])
    assert new["lower_ms"] == pytest.approx(interval.lower_ms[0])
    assert new["upper_ms"] == pytest.approx(interval.upper_ms[0])


def test_a_network_that_is_timed_anew_is_no_longer_held_out(
    frame: pd.DataFrame, predictor: LatencyPredictor, timings: pd.DataFrame
) -> None:
    """A phone that has become three times as slow: the predictor stays, its error shows it."""
    slower = against(predictor, timings.assign(latency_ms=3 * timings["latency_ms"]))
    assert set(slower["seen"]) == {AGAIN} and coverage(slower) < 0.2
    ms = predictor.predict(slower["network"].tolist())
    assert slower["predicted_ms"].to_numpy() == pytest.approx(ms)
    held = frame[frame["seen"] == HELD_OUT]
    assert slower["measured_ms"].to_numpy() == pytest.approx(3 * held["measured_ms"].to_numpy())
    assert slower["error"].abs().mean() > 50 > held["error"].abs().mean()


def test_one_network_timed_anew_leaves_the_others_held_out(
    predictor: LatencyPredictor, timings: pd.DataFrame
) -> None:
    own = timings[timings["target"] == TARGET]
    twice = own["latency_ms"].where(own["subject"] != "mobilenet_v2", 2 * own["latency_ms"])
    found = against(predictor, own.assign(latency_ms=twice)).set_index("network")["seen"]
    assert found.pop("mobilenet_v2") == AGAIN and set(found) == {HELD_OUT}


def test_the_quantity_is_the_predictors(predictor: LatencyPredictor, timings: pd.DataFrame) -> None:
    warm = LatencyPredictor.from_json(
        json.dumps(predictor.to_dict() | {"quantity": "sustained"}), "a warm phone"
    )
    own = timings[timings["target"] == TARGET]
    rows = own.assign(sustained_ms=own["latency_ms"], latency_ms=own["latency_ms"] / 2)
    assert set(against(warm, rows)["seen"]) == {HELD_OUT}
    assert set(against(predictor, rows)["seen"]) == {AGAIN}


def test_a_predictor_that_does_not_say_what_it_was_fitted_to_is_refused(
    predictor: LatencyPredictor, timings: pd.DataFrame
) -> None:
    old = {name: value for name, value in predictor.to_dict().items() if name != "timed"}
    read = LatencyPredictor.from_json(json.dumps(old), "old.json")
    with pytest.raises(InputError, match="does not say which timings .* fit it again"):
        against(read, timings)


def test_the_share_inside_counts_networks() -> None:
    rows = pd.DataFrame({"measured_ms": [1.0, 2.0, 5.0, 1.0], "lower_ms": 1.0, "upper_ms": 2.0})
    assert coverage(rows) == 0.75


def test_a_network_known_by_its_timed_kernels_needs_no_other_name(
    predictor: LatencyPredictor, timings: pd.DataFrame
) -> None:
    blank = timings[timings["target"] == TARGET].iloc[:3]
    rows = blank.assign(
        subject_kind=["network", "op", "op"],
        subject=["mine", "conv 3x224x224 -> 32x112x112 k3 s2", "conv 32x112x112 -> 64x112x112"],
        part_of=["", "mine", "mine"],
    )
    found = against(predictor, rows)
    assert found["network"].tolist() == ["mine"] and found["predicted_ms"][0] > 0


def test_a_table_without_a_network_of_the_target_is_refused(
    predictor: LatencyPredictor, timings: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match="has no network of it"):
        against(predictor, timings[timings["target"] != TARGET])


def test_the_figure_has_every_network_and_the_line(frame: pd.DataFrame) -> None:
    figure = against_figure(frame, "a title")
    names = [trace.name for trace in figure.data]
    assert names == ["equal", HELD_OUT, NEW] and figure.layout.title.text == "a title"
    assert sum(len(trace.x) for trace in figure.data[1:]) == len(frame)
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
