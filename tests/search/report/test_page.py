"""The page says what the run found, repeats it, and asks for nothing from elsewhere."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Run
from palmette.search.alternatives import alternatives
from palmette.search.report.opened import open_run
from palmette.search.report.page import page


@pytest.fixture(scope="module")
def text(written: Path) -> str:
    return written.read_text("utf-8")


@pytest.fixture(scope="module")
def data(text: str) -> Any:
    """What the figures are drawn from."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert "<" not in found  # so that nothing in it ends the element
    return json.loads(found)


def test_equal_runs_give_equal_pages(finished: Run, text: str) -> None:
    assert page(open_run(finished.folder.path)) == text


def test_the_page_refers_to_nothing_outside_of_it(text: str) -> None:
    addresses = set(re.findall(r"https?://[^\"'\s]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"<(link|img|iframe|script)[^>]*(src|href)=", text)
    assert "default-src 'none'" in text


def test_the_answer_stands_first(finished: Run, text: str) -> None:
    answer = text[text.index('id="answer"') : text.index('id="front"')]
    row = finished.front.loc[finished.front["pick"]].iloc[0]
    for words in (
        row["id"][:8],
        f"{row['ms_at_confidence']:.3g} ms",
        f"{row['top1']:.1f} %",
        f"{row['top1_low']:.1f} to {row['top1_high']:.1f}",
        f"{row['params_m']:.2f} M",
        "within 0.5 points",
    ):
        assert words in answer


def test_parts_add_up_to_the_predicted_milliseconds(finished: Run, data: Any) -> None:
    for panel, ms in zip(data["panels"], finished.front["ms"], strict=True):
        (times,) = panel["times"]
        assert times["whole"] == pytest.approx(ms, rel=1e-9)
        assert sum(times["ops"]) + times["run"] == pytest.approx(ms, abs=1e-4)
        assert len(times["ops"]) == len(panel["ops"]) == len(panel["places"])
        assert max(panel["places"]) == len(panel["parts"]) - 1


def test_alternatives_are_those_that_the_problem_gives(finished: Run, data: Any) -> None:
    panel = data["panels"][data["pick"]]
    table = alternatives(finished.problem, finished.problem.space.encode(finished.pick))
    assert [row[2] for row in panel["others"]] == pytest.approx(table["d_ms"], abs=1e-5)
    assert [row[3] for row in panel["others"]] == pytest.approx(table["d_points"], abs=1e-5)
    names = [data["genes"][row[0]]["name"] for row in panel["others"]]
    assert names == table["gene"].tolist()


def test_trust_names_rows_errors_and_what_was_barred(text: str) -> None:
    trust = text[text.index('id="trust"') : text.index('id="repeat"')]
    for words in (
        "timed networks. With each of them held out",
        "of the networks held out lie within that factor",
        "can&#x27;t identify",
        "networks of the front tie with the best score",
        "guards that changed an estimate",
    ):
        assert words.lower() in trust.lower()
