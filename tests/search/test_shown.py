"""A run shows its pick, and rows of its front with the pick among them."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest

from palmette.latency import load_predictor
from palmette.search import Goal, Run
from palmette.search.limits import Limits
from palmette.search.objectives.pose_joined import pose_joined
from palmette.search.problem import describe
from palmette.search.shown import SHOWN, _indices
from palmette.space import SearchSpace


def words_of(html: str) -> str:
    assert "<script" not in html and "<style" not in html
    return unescape(re.sub("(<[^>]*>)+", " ", html))


def test_a_run_shows_its_pick_its_diagram_and_its_front(finished: Run) -> None:
    text = words_of(finished._repr_html_())
    row = finished.front.loc[finished.front["pick"]].iloc[0]
    assert "Search for iphone-11/ane" in text
    assert f"{row['id']}: {row['ms']:.3g} ms predicted" in text
    assert f"top-1 {row['top1']:.1f} % ({row['top1_low']:.1f} to {row['top1_high']:.1f})" in text
    assert f"Architecture {finished.pick.id}" in text
    assert "6 ms at confidence 0.8" in text
    rows = finished._repr_html_().count("<tr>") - 1  # the head
    facts = 5
    assert rows == facts + min(len(finished.front), SHOWN)
    assert len(finished._repr_html_()) < 20_000


def test_a_run_of_several_targets_shows_their_load(finished: Run, small_space: SearchSpace) -> None:
    names = {"iphone-11/ane": 6.0, "iphone-11/gpu": 14.0}
    goals = tuple(Goal(name, ms) for name, ms in names.items())
    pairs = [(goal, load_predictor(goal.target)) for goal in goals]
    problem = pose_joined(small_space, pairs, "worst", Limits(1.0))
    front = finished.front.head(1).drop(columns=["ms", "ms_at_confidence"])
    (shared,) = describe(problem, problem.fastest()[None, :])
    for name, value in shared.items():
        front[name] = value
    front["pick"], front["tie"] = True, True
    config = replace(
        finished.config, target="iphone-11/ane+iphone-11/gpu", budget_ms=1.0, goals=goals
    )
    text = words_of(replace(finished, config=config, problem=problem, front=front)._repr_html_())
    assert "Search for iphone-11/ane+iphone-11/gpu" in text
    assert "iphone-11/ane 6 ms, iphone-11/gpu 14 ms" in text
    assert f"{shared['load']:.3g} predicted" in text


@pytest.mark.parametrize("picked", [0, 7, 99])
def test_rows_are_spread_and_the_pick_is_one_of_them(picked: int) -> None:
    shown = _indices(100, picked)
    assert picked in shown and shown[0] == 0 and shown[-1] == 99
    assert SHOWN - 1 <= len(shown) <= SHOWN and shown == sorted(set(shown))
    assert _indices(4, 2) == [0, 1, 2, 3]
