"""Sustained milliseconds: what of a table has them, and predictors that say which they predict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LATENCY, SUSTAINED, LatencyPredictor, fit, load_predictor
from palmette.latency.quantity import timings_of
from palmette.latency.timings import INCOMPLETE
from palmette.space import MOBILENET_LIKE, InputError

PHONE = "my-phone/cpu@coreml-ios18"
THROTTLED = 1.4


@pytest.fixture(scope="module")
def warm(timings: pd.DataFrame) -> pd.DataFrame:
    """The MobileNet-like networks on a phone that slows down by one factor."""
    own = timings[
        (timings["target"] == "iphone-11/cpu@coreml-ios13")
        & timings["subject"].isin(MOBILENET_LIKE)
    ]
    return own.assign(target=PHONE, sustained_ms=THROTTLED * own["latency_ms"])


@pytest.fixture(scope="module")
def predictor(warm: pd.DataFrame) -> LatencyPredictor:
    """Of the sustained times."""
    return fit(warm, PHONE, quantity=SUSTAINED)[PHONE]


# What a table has


def test_rows_with_sustained_times_are_taken_and_their_time_is_that(warm: pd.DataFrame) -> None:
    has = warm["latency_ms"] < warm["latency_ms"].median()
    some = warm.assign(p10_ms=1.0, sustained_ms=warm["sustained_ms"].where(has))
    found = timings_of(some, SUSTAINED)
    assert 0 < len(found) < len(warm)
    assert found["latency_ms"].tolist() == some["sustained_ms"].dropna().tolist()
    assert found["p10_ms"].isna().all()  # the spread of other calls
    assert timings_of(some, LATENCY) is some


def test_a_network_one_of_whose_kernels_was_not_timed_warm_is_incomplete() -> None:
    rows = pd.DataFrame(
        [
            ("op", "a", "net", 1.0),
            ("op", "b", "net", None),
            ("op", "c", "other", 1.0),
            ("network", "net", "", 2.0),
            ("network", "other", "", 2.0),
        ],
        columns=["subject_kind", "subject", "part_of", "sustained_ms"],
    ).assign(target=PHONE, latency_ms=1.0, flags="odd")
    rows["sustained_ms"] = rows["sustained_ms"].astype(float)
    found = timings_of(rows, SUSTAINED).set_index("subject")["flags"].to_dict()
    assert found == {"a": "odd", "c": "odd", "net": f"odd {INCOMPLETE}", "other": "odd"}


def test_a_table_without_sustained_times_says_what_is_missing(timings: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="no row has sustained_ms.* no published table has them"):
        fit(timings, quantity=SUSTAINED)
    with pytest.raises(InputError, match="quantity: must be latency or sustained, got 'burst'"):
        timings_of(timings, "burst")


def test_a_known_phone_without_sustained_times_is_no_start(warm: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="the table has no sustained timings of it to start from"):
        fit(warm, PHONE, like="iphone-11/cpu", quantity=SUSTAINED)


# Predictors


def test_a_phone_that_slows_down_by_a_factor_is_predicted_slower_by_it(
    warm: pd.DataFrame, predictor: LatencyPredictor
) -> None:
    at_rest = fit(warm, PHONE)[PHONE]
    ratios = predictor.predict(MOBILENET_LIKE) / at_rest.predict(MOBILENET_LIKE)
    np.testing.assert_allclose(ratios, THROTTLED, rtol=0.02)
    assert at_rest.quantity_ == LATENCY and "quantity" not in at_rest.to_dict()
    assert predictor.timings_hash_ != at_rest.timings_hash_


def test_a_predictor_keeps_its_quantity_on_disk(
    predictor: LatencyPredictor, tmp_path: Path
) -> None:
    path = tmp_path / predictor.file_name
    predictor.write(path)
    assert path.name == "my-phone-cpu-coreml-ios18-sustained.json"
    again = LatencyPredictor.read(path)
    assert again.quantity_ == again.quantity == SUSTAINED
    assert again.to_dict() == predictor.to_dict()


def test_a_file_that_names_no_quantity_predicts_latency_and_an_unknown_one_is_refused(
    predictor: LatencyPredictor,
) -> None:
    stored = predictor.to_dict()
    old = {name: value for name, value in stored.items() if name != "quantity"}
    assert LatencyPredictor.from_json(json.dumps(old), "old").quantity_ == LATENCY
    for wrong in ("burst", None, 1, ["sustained"]):
        with pytest.raises(InputError, match="malformed predictor"):
            LatencyPredictor.from_json(json.dumps({**stored, "quantity": wrong}), "new")


def test_shipped_predictors_predict_latency() -> None:
    assert load_predictor("iphone-13/ane").quantity_ == LATENCY
