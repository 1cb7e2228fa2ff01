"""The page of a front: self-contained, true to the front, the same for the same run."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.search import Run, resume
from palmette.search.figure import _places, front_figure, front_page
from palmette.space import MOBILENET_LIKE


class Page(HTMLParser):
    """Attributes of every tag, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.scripts = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts += data
        else:
            self.words += data


@pytest.fixture(scope="module")
def page(finished: Run) -> Page:
    return Page(finished.folder.page.read_text("utf-8"))


@pytest.fixture(scope="module")
def traces(finished: Run) -> dict[str, Any]:
    return {trace.name: trace for trace in front_figure(finished).data}


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert len([tag for tag, _ in page.tags if tag == "script"]) >= 2
    assert not [attrs for tag, attrs in page.tags if {"src", "href"} & attrs.keys()]
    assert not [tag for tag, _ in page.tags if tag in ("link", "img", "iframe", "base")]
    assert "@import" not in page.words


def test_the_drawing_stands_in_a_div_of_a_fixed_name(page: Page) -> None:
    assert [attrs["id"] for tag, attrs in page.tags if tag == "div" and "id" in attrs] == ["front"]


def test_the_page_says_how_to_read_it(page: Page) -> None:
    for words in ("iphone-11/ane", "6 ms", "confidence 0.8", "an estimate", "below 0.5 points"):
        assert words in page.words


def test_the_page_names_the_budget_and_the_reference_networks(page: Page) -> None:
    drawn = page.scripts[page.scripts.rindex("Plotly.newPlot(") :]
    for words in ("budget 6 ms", *MOBILENET_LIKE):
        assert f'"{words}"' in drawn


def test_equal_runs_give_equal_pages(finished: Run, copied: Path) -> None:
    assert front_page(resume(copied)).encode() == finished.folder.page.read_bytes()


def test_the_line_goes_through_the_front(finished: Run, traces: dict[str, Any]) -> None:
    front, drawn = finished.front, traces["front"]
    np.testing.assert_array_equal(drawn.x, front["ms"])
    np.testing.assert_array_equal(drawn.y, front["top1"])
    np.testing.assert_allclose(drawn.x + drawn.error_x.array, front["ms_at_confidence"])
    assert drawn.error_x.symmetric is not True
    assert set(drawn.error_x.arrayminus) == {0.0}
    np.testing.assert_allclose(drawn.y + drawn.error_y.array, front["top1_high"])
    np.testing.assert_allclose(drawn.y - drawn.error_y.array, front["top1_low"])


def test_the_pick_is_the_one_that_stands_out(finished: Run, traces: dict[str, Any]) -> None:
    marker = traces["front"].marker
    largest = np.flatnonzero(np.array(marker.size) == max(marker.size))
    assert largest.tolist() == np.flatnonzero(finished.front["pick"]).tolist()
    assert sum("(pick)" in text for text in traces["front"].text) == 1


def test_hovering_tells_everything_of_a_network(finished: Run, traces: dict[str, Any]) -> None:
    for text, row in zip(traces["front"].text, finished.front.to_dict("records"), strict=True):
        assert f"<b>{row['id']}</b>" in text
        assert f"at confidence {row['ms_at_confidence']:.3g} ms" in text
        assert f"{row['params_m']:.2f} M parameters, {row['macs_m']:.0f} M MACs" in text
        assert text.endswith("<br>".join(row["architecture"].split(" | ")))


def test_the_references_stand_where_the_same_predictors_put_them(
    finished: Run, traces: dict[str, Any]
) -> None:
    drawn = traces["reference networks"]
    assert set(drawn.text) == set(MOBILENET_LIKE)
    ms = dict(zip(drawn.text, drawn.x, strict=True))
    assert ms["mobilenet_v2"] == pytest.approx(
        finished.problem.latency.predictor.predict(["mobilenet_v2"])[0]
    )


def test_names_of_references_at_one_place_stand_on_different_sides() -> None:
    names = ["mobilenet_v1", "mobilenet_v2", "fbnet_c", "far_away"]
    places = _places(
        [0.7, 0.7, 0.701, 0.2], [73.0, 73.1, 73.0, 60.0], names, (0.0, 1.0), (50.0, 80.0)
    )
    assert places[0] == places[3] == "bottom right" and len(set(places[:3])) == 3


def test_the_budget_is_a_line_at_its_milliseconds(finished: Run) -> None:
    (line,) = front_figure(finished).layout.shapes
    assert (line.x0, line.x1) == (6.0, 6.0)


@pytest.mark.parametrize("budget", [5.0, 6.0, 500.0])
def test_the_front_fills_a_good_part_of_the_width(finished: Run, budget: float) -> None:
    """Also under a budget far beyond what the space needs."""
    config = replace(finished.config, budget_ms=budget)
    low, high = front_figure(replace(finished, config=config)).layout.xaxis.range
    front = finished.front
    assert low < front["ms"].min()
    assert front["ms_at_confidence"].max() < high
    assert (front["ms"].max() - front["ms"].min()) / (high - low) > 0.2


def test_markup_in_a_name_is_text(finished: Run, page: Page) -> None:
    config = replace(finished.config, target="<script>alert(1)</script><img src=x>")
    made = Page(front_page(replace(finished, config=config)))
    assert [tag for tag, _ in made.tags] == [tag for tag, _ in page.tags]
