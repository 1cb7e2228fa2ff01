"""A finished run says what to do with it, in commands that the program takes."""

import html
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palmette.latency import load_predictor
from palmette.search import Run
from palmette.search.report.answer import _beaten
from palmette.search.report.next_steps import next_steps
from palmette.search.report.opened import CUT_OFF, RUNNING, OpenedRun, open_run
from tests.test_docs import parse


@pytest.fixture(scope="module")
def opened(finished: Run) -> OpenedRun:
    return open_run(finished.folder.path)


def test_every_command_is_one_that_the_program_takes(opened: OpenedRun) -> None:
    lines = [shlex.split(line) for _, line in next_steps(opened)]
    assert [line[1] for line in lines] == ["search", "train", "latency"]
    for line in lines:
        parse(line[1:])


def test_the_page_shows_them_with_the_runs_folder(opened: OpenedRun, written: Path) -> None:
    text = written.read_text("utf-8")
    assert '<a href="#next">' in text[text.index('id="answer"') : text.index('id="front"')]
    shown = text[text.index('id="next"') : text.index('id="repeat"')]
    commands = [html.unescape(one) for one in re.findall(r"<code>(.*?)</code>", shown)]
    assert commands == [line for _, line in next_steps(opened)]
    assert commands[0] == f"palmette search --resume {opened.folder.path} --export"
    assert commands[1].endswith("--data IMAGES")  # the prior has none


@pytest.mark.parametrize("state", [RUNNING, CUT_OFF])
def test_an_unfinished_run_is_first_to_be_finished(opened: OpenedRun, state: str) -> None:
    assert list(next_steps(replace(opened, state=state))) == []


def test_a_rule_that_predicts_better_is_named_beside_the_answer(opened: OpenedRun) -> None:
    assert _beaten(opened) == ""
    problem = opened.problem
    (latency,) = problem.latencies
    twelve = replace(latency, predictor=load_predictor("iphone-12/ane"))
    words = _beaten(replace(opened, problem=_Posed(twelve)))  # type: ignore[arg-type]
    assert "a line through parameters alone predicted" in words and "rough guide" in words


class _Posed:
    def __init__(self, *latencies: Any) -> None:
        self.latencies = latencies
