"""Passports: what counts as one, and what a timing without one counts for."""

from __future__ import annotations

import pandas as pd
import pytest

from palmette.latency import parse_target, published_timings
from palmette.latency.passports import (
    COLUMNS,
    doubtful_subjects,
    lacking,
    marked_down,
    typical_ms,
)
from palmette.latency.timings import PASSPORT
from palmette.latency.whole.fitted import measured_networks
from palmette.latency.whole.forms import family_of
from palmette.latency.whole.model import fit_family

MINE = "my-phone/cpu@coreml-ios18"

WHOLE = {
    **{"os_build": "22B83", "repeats": "100", "thermal_before": "nominal"},
    **{"power_mode": "normal", "placement": "ane 52, cpu 3", "flags": "", "latency_ms": 1.0},
}


def rows(*changes: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame([{**WHOLE, **change} for change in changes])


def test_a_passport_is_whole_or_it_is_none() -> None:
    assert not lacking(rows({})).any()
    for column in COLUMNS:
        assert lacking(rows({column: " "}, {})).tolist() == [True, False]


def test_what_a_passport_holds_are_columns_of_the_table() -> None:
    assert set(COLUMNS) <= set(PASSPORT)


def test_a_timing_without_a_passport_counts_half() -> None:
    assert typical_ms(rows({"latency_ms": 2.0}, {"latency_ms": 16.0, "os_build": ""})) == (
        pytest.approx(4.0)  # (2 * 2 * 16) ** (1 / 3)
    )


@pytest.mark.parametrize("flag", ["drift", "incomplete low power"])
def test_a_doubt_about_the_phone_counts_as_no_passport_does(flag: str) -> None:
    found = rows({"latency_ms": 2.0}, {"latency_ms": 16.0, "flags": flag})
    assert marked_down(found).tolist() == [False, True]
    assert typical_ms(found) == pytest.approx(4.0)


@pytest.mark.parametrize("change", [{}, {"os_build": ""}, {"flags": "drift"}])
def test_where_all_are_alike_nothing_changes(change: dict[str, object]) -> None:
    found = rows(*({"latency_ms": ms, **change} for ms in (1.0, 2.0, 4.0)))
    assert typical_ms(found) == pytest.approx(2.0, rel=1e-15)
    assert typical_ms(rows({"latency_ms": 0.1, **change})) == 0.1


def test_the_published_timings_are_alike_none_has_a_passport() -> None:
    assert marked_down(published_timings()).all()


def test_networks_without_a_passport_are_doubtful_beside_others() -> None:
    found = rows(
        {"subject": "a"},
        {"subject": "a", "os_build": ""},
        {"subject": "b", "os_build": ""},
        {"subject": "c", "flags": "drift"},
    )
    assert doubtful_subjects(found) == {"b", "c"}
    assert doubtful_subjects(found[1:]) == frozenset()


def test_a_doubtful_network_pulls_a_fit_half_as_much() -> None:
    """One network took twice as long as the others say: the fit follows it less."""
    table = published_timings()
    table = table[table["target"] == "iphone-11/cpu@coreml-ios13"].copy()
    table["target"] = MINE
    odd = table["subject"] == "mobilenet_v2"
    table.loc[odd, "latency_ms"] *= 2
    whole = {name: WHOLE[name] for name in COLUMNS}
    sure = table.assign(**whole)
    doubted = sure.assign(os_build=sure["os_build"].where(~odd, ""))

    def predicted(rows: pd.DataFrame) -> float:
        measured = measured_networks(rows, family_of(parse_target(MINE)), alone=parse_target(MINE))
        model = fit_family(family_of(parse_target(MINE)), measured)[MINE]
        return measured.predict("mobilenet_v2", model)

    alike, half = predicted(sure), predicted(doubted)
    assert predicted(table) == alike
    assert half < 0.99 * alike
