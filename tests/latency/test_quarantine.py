"""Rows put aside: which timings of one thing contradict each other, and what is said of a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.quarantine import MOST_SPREAD, BadRow, contradictions


def test_a_bad_row_says_its_file_its_row_and_why() -> None:
    row = BadRow("phone.csv", 7, "mobilenet_v2", "latency_ms -1: must be positive", "its network")
    assert str(row) == "phone.csv: row 7: latency_ms -1: must be positive"


def test_timings_up_to_ten_times_apart_are_all_kept() -> None:
    assert contradictions(["it"] * 3, [1.0, 10.0, 4.0]) == {}
    assert contradictions(["it", "other"], [1.0, 1000.0]) == {}  # of two things
    assert contradictions([], []) == {}


def test_the_one_far_from_the_median_of_many_is_put_aside_alone() -> None:
    found = contradictions(["it", "other", "it", "it", "it"], [1.0, 5.0, 1.1, 12.0, 0.9])
    assert found == {
        3: "12 ms, but the same took 1.05 ms (median of 4); more than 10 times between them"
    }


def test_neither_of_two_that_contradict_each_other_is_believed() -> None:
    found = contradictions(["it", "it"], [1.0, 16.0])
    assert list(found) == [0, 1]
    assert found[0].startswith("1 ms, but the same took 4 ms (median of 2)")


@given(
    logs=st.lists(st.floats(-5, 5), min_size=1, max_size=9),
    things=st.lists(st.sampled_from("abc"), min_size=9, max_size=9),
)
def test_what_is_kept_of_one_thing_lies_within_ten_times(
    logs: list[float], things: list[str]
) -> None:
    ms = np.exp(logs).tolist()
    bad = contradictions(things[: len(ms)], ms)
    for thing in set(things[: len(ms)]):
        own = [place for place, name in enumerate(things[: len(ms)]) if name == thing]
        kept = [ms[place] for place in own if place not in bad]
        assert not kept or max(kept) <= MOST_SPREAD * min(kept) * (1 + 1e-9)
        times = [ms[place] for place in own]
        if max(times) <= MOST_SPREAD * min(times) * (1 - 1e-9):
            assert kept == times  # nothing is put aside without a contradiction


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_contradictions_do_not_depend_on_the_unit(scale: float) -> None:
    ms = [1.0, 2.0, 1.5, 40.0]
    found = contradictions(["it"] * 4, [scale * one for one in ms])
    assert list(found) == [3]
