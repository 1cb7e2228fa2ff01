"""What commands print reads well in a line of 80 characters, and nothing of it is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from palmette.cli.output import print_table, say, say_next

WIDTH = 80
TARGETS = [
    ["iphone-11/cpu@coreml-ios13", "17", "18.0 %", "×/÷ 1.15", "kernel 3->7"],
    [
        "iphone-14-pro/ane@coreml-ios17",
        "4 anchors",
        "9.1 %",
        "×/÷ 2.22",
        "kernel 3->7, relu6->relu, relu6->hswish, stage width 32->48",
    ],
]
HEADS = ["target", "timed", "error", "80 %", "cannot identify"]


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))


class Terminal(io.StringIO):
    """Somebody looks on."""

    def isatty(self) -> bool:
        return True


def printed(
    capsys: pytest.CaptureFixture[str], columns: list[str], rows: list[list[str]]
) -> list[str]:
    print_table("Title", columns, rows)
    return capsys.readouterr().out.splitlines()


def test_words_and_figures_stay_whole_in_eighty_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, HEADS, TARGETS)
    assert max(map(len, lines)) <= WIDTH
    words = " ".join(lines).split()
    assert all(word in words for row in TARGETS for cell in row for word in cell.split())
    # one line but for the text that is too long, which is the last column's
    first = next(line for line in lines if line.startswith("iphone-14-pro"))
    assert all(cell in first for cell in TARGETS[1][:4])
    assert lines[lines.index(first) + 1].strip() in TARGETS[1][4]


def test_figures_stand_below_each_other_at_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["a", "9.1 %", "tie"], ["mobilenet_v2", "18.0 %", "-3.7"], ["b", "-", "pick"]]
    lines = printed(capsys, ["network", "error", "vs pick"], rows)
    ends = [[line.index(row[1]) + len(row[1]) for row in rows if row[1] in line] for line in lines]
    assert len({end[0] for end in ends[3:5]}) == 1
    assert {len(line) for line in lines[3:6]} == {len(lines[1])}


def test_a_column_that_says_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, ["what", "remedy", "detail"], [["torch", "", "2.15"]])
    assert lines[1].split() == ["what", "detail"]


def test_nothing_is_cut_off_where_no_line_can_hold_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = "/a/folder/" + "deep/" * 20 + "file.json"
    row = ["x" * 50, "two words that fold and fold and fold", path, "[brackets] of an extra"]
    lines = printed(capsys, ["a", "b", "c", "d"], [row])
    assert all(word in " ".join(lines).split() for cell in row for word in cell.split())


def test_sentences_are_folded_at_words_where_somebody_reads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sentence = "an-unbroken-word and/or a path " * 9
    monkeypatch.setattr(sys, "stdout", Terminal())
    say(sentence)
    lines = sys.stdout.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= WIDTH < len(sentence)
    assert " ".join(lines).split() == sentence.split()


def test_sentences_are_one_line_where_a_program_reads_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("word " * 40)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_command_to_be_copied_is_never_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    command = (
        "palmette search --target iphone-13/ane --budget-ms 0.9 --out runs/somewhere/deep/down"
    )
    monkeypatch.setattr(sys, "stdout", Terminal())
    say_next(command, "the first search")
    first, second = sys.stdout.getvalue().splitlines()  # type: ignore[attr-defined]
    assert first == f"next: {command}" and second.strip() == "(the first search)"


PRINTED = "import palmette.cli as cli; cli.app = lambda **_: print('×/÷ 1.15 ± 2 ☃'); cli.main()"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("ascii", "x/: 1.15 +- 2 ?"),
        ("latin-1", "×/÷ 1.15 ± 2 ?"),
        ("utf-8", "×/÷ 1.15 ± 2 ☃"),
    ],
)
def test_what_an_encoding_lacks_is_printed_by_plain_signs(encoding: str, told: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-c", PRINTED]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding) == f"{told}\n"
