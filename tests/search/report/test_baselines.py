"""Simple answers are told beside the predictor's own error, on the same networks."""

import csv
from pathlib import Path

import pytest

import palmette.search.report
from palmette.latency import TARGETS, load_predictor
from palmette.search.report.baselines import baselines_of, table

FILE = Path(palmette.search.report.__file__).parent / "data" / "baselines.csv"


def test_the_table_is_of_the_predictors_that_are_shipped() -> None:
    rows = {row["target"]: row for row in csv.DictReader(FILE.read_text("utf-8").splitlines())}
    assert len(rows) == 10
    for target, row in rows.items():
        predictor = load_predictor(target)
        assert row["timings"] == predictor.timings_hash_
        assert int(row["networks"]) == len(predictor.held_out_errors_)
        assert float(row["own"]) == pytest.approx(predictor.mape, abs=0.051)
    for target in set(TARGETS) - set(rows):  # anchors alone, or timed by op
        assert baselines_of(load_predictor(target)) == {}


@pytest.mark.slow
def test_the_table_is_what_the_timings_give_today() -> None:
    assert table() == FILE.read_text("utf-8")
