"""A log gets a line from time to time, and none of work that is over before."""

import io
import time

import pytest

from palmette.cli import log_lines
from palmette.cli.log_lines import LogLines, ticking
from palmette.cli.output import counting, status


def test_a_line_is_printed_when_it_is_due_and_made_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, log = [0.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines, made = LogLines(15, log), []

    def line() -> str:
        made.append(now[0])
        return f"at {now[0]:g}"

    for now[0] in (1.0, 14.9, 15.0, 16.0, 29.9, 31.0):
        lines.tell(line)
    assert log.getvalue() == "at 15\nat 31\n" and made == [15.0, 31.0]


def test_work_that_tells_nothing_is_named_with_its_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_lines, "EVERY_S", 0.05)
    with ticking("fitting"):
        time.sleep(0.2)
    lines = capsys.readouterr().err.splitlines()
    assert lines and set(lines) == {"fitting, 0 s"}
    with status("reading"):  # no terminal looks on
        time.sleep(0.1)
    found = capsys.readouterr()
    assert found.err.startswith("reading, 0 s\n") and found.out == ""


def test_short_work_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with status("reading"), counting() as tell:
        tell("converting", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_what_is_counted_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_lines, "EVERY_S", 0.0)
    with counting() as tell:
        tell("converting", 3, 95)
    assert capsys.readouterr().err == "converting 3/95\n"
