"""The predictor that is shipped for timings per op, against the timings it was fitted to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import LatencyPredictor, load_predictor, read_timings
from palmette.latency.foreign.importing import import_timings
from palmette.latency.foreign.maps import find_map
from palmette.latency.validation.against import HELD_OUT, against
from palmette.space.third_party import third_party_files

TARGET = "iphone-xs/gpu@tflite-2.10"
FILES = third_party_files(
    ["iphone_xs_gpu_tflite_ops.csv.gz", "iphone_xs_gpu_tflite_networks.csv.gz"]
)
TIMED = {
    "mobilenet_v1": "mobilenet_w1",
    "mobilenet_v2": "mobilenetv2b_w1",
    "mobilenet_v3_large": "mobilenetv3_large_w1",
    "mobilenet_v3_small": "mobilenetv3_small_w1",
    "mnasnet_a1": "mnasnet_a1",
    "fbnet_c": "fbnet_cb",
}
"""Our network -> the same one in the timings."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    if FILES is None:
        pytest.skip("the third-party timings are not part of the repository")
    path = tmp_path_factory.mktemp("xs") / "xs.csv"
    maps = (find_map("mobile_ml_ops"), find_map("mobile_ml_networks"))
    import_timings(list(zip(FILES, maps, strict=True))).write(path)
    return read_timings(path)


def numbers(value: Any) -> list[float]:
    """All numbers of nested plain values, in order."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [float(value)] if isinstance(value, (int, float)) else []


@pytest.mark.sweep
def test_a_refit_gives_what_is_shipped(rows: pd.DataFrame) -> None:
    again = json.loads(json.dumps(LatencyPredictor(TARGET).fit(rows).to_dict(timings=False)))
    shipped = load_predictor(TARGET).to_dict()
    assert list(again) == list(shipped)
    assert again["model"]["name"] == shipped["model"]["name"] == "trees"
    for name in ("uncertainty", "support", "effects", "held_out_errors", "compared"):
        assert numbers(again[name]) == pytest.approx(numbers(shipped[name]), rel=1e-3, abs=1e-3)


def test_the_timings_that_it_was_fitted_to_are_known_as_these(rows: pd.DataFrame) -> None:
    assert set(against(load_predictor(TARGET), rows)["seen"]) == {HELD_OUT}


def test_traced_networks_are_predicted_near_their_timings(rows: pd.DataFrame) -> None:
    """Fitted to them, so no measure of error: our traces are joined to the kernels timed there."""
    measured = rows[rows["subject_kind"] == "network"].set_index("subject")["latency_ms"]
    ms = load_predictor(TARGET).predict(list(TIMED))
    assert np.abs(ms / measured[list(TIMED.values())].to_numpy() - 1).max() < 0.06
