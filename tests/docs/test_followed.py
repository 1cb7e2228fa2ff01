"""Pages are followed: their commands run in order, in one folder, and end with exit code 0;
predictions of networks are printed as the page has them.

What can be made smaller is (`following.CUT`); what the page takes for granted is provided; what
can't run here is named with its reason. Command lines of other programs are not run.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from palmette import cli
from tests.docs import provided
from tests.docs.following import CUT, FOLLOWED, INSTEAD, NOT_RUN, PHONE
from tests.docs.pages import PAGES, ROOT, arguments_of, fenced, lines
from tests.search.ledger.conftest import server  # noqa: F401  a fixture

PREDICTION = re.compile(r"[\d.]+ ms, 80% interval|top-1 \d")


def shorter(line: str) -> list[str]:
    """Arguments of a line, with what `CUT` makes of its options."""
    for shown, instead in INSTEAD.items():
        line = line.replace(shown, instead)
    arguments = arguments_of(line)
    for command, has, option, value in CUT:
        if not f"{' '.join(arguments)} ".startswith(f"{command} ") or has not in line:
            continue
        if option not in arguments:
            arguments += [option, str(value)]
        elif float(arguments[arguments.index(option) + 1]) > value:
            arguments[arguments.index(option) + 1] = str(value)
    return arguments


def at_hand(arguments: list[str], request: pytest.FixtureRequest) -> list[str]:
    """Arguments with a database of this machine in the place of the page's."""
    return [
        request.getfixturevalue("server").database("searches") if "://me@" in word else word
        for word in arguments
    ]


def run(arguments: list[str]) -> None:
    """As a shell would, up to the exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["palmette", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert ended.value.code == 0, f"palmette {' '.join(arguments)}"


def timed(line: str) -> None:
    """The phone's part before an import: the synthetic one stands in."""
    for name, suite in PHONE.items():
        results = Path(name)
        if name in line and not results.exists() and suite.is_dir():
            run(["latency", "synthetic", str(suite), "--out", name])
            provided.as_iphone(results, provided.IPHONE_15)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What several pages need, made once."""
    return tmp_path_factory.mktemp("provided")


def left_out(line: str) -> list[str]:
    """Entries of `NOT_RUN` that a line is left out for; its end is that of what is typed."""
    typed = f"{line.partition(' #')[0].rstrip()}\n"
    return [start for start in NOT_RUN if typed.startswith(start) or line.startswith(start)]


def suite(folder: Path, phone: Mapping[str, str], seed: int = 0) -> Path:
    """Results of a whole plan, as a phone would have timed it, beside the plan's manifest."""
    results = folder / "results.csv"
    if not Path("plan.csv").exists():
        run(arguments_of(provided.PLAN))
    run(["latency", "synthetic", "plan.csv", "--out", str(results), "--seed", str(seed)])
    provided.as_iphone(results, phone)
    return results


def table(name: str) -> None:
    """A timing table of an iPhone 13."""
    folder = Path(name).with_suffix("")
    results = suite(folder, provided.IPHONE_13, provided.TABLES[name])
    run(["latency", "import", str(results), "--suite", str(folder), "--out", name])


def make(name: str, store: Path) -> Path:
    """Path of a provided thing in the store, made if it is not there yet."""
    if not (store / name).exists():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(store)
            if name in provided.RUN:
                run(shorter(provided.RUN[name]))
            elif name in provided.TABLES:
                table(name)
            elif name == provided.SUITE:
                suite(Path(name), provided.IPHONE_15)
            else:
                provided.MADE[name]()
    return store / name


def place(name: str, store: Path) -> None:
    """Copy a provided thing into the folder that is the current one."""
    found, here = make(name, store), Path(name)
    here.parent.mkdir(exist_ok=True)
    (shutil.copytree if found.is_dir() else shutil.copyfile)(found, here)


def predictions(name: str) -> list[str]:
    """Lines of a page's outputs that say a prediction or an estimate of one network."""
    shown = (line for body in fenced(name, "text") for line in body.splitlines())
    return [line for line in shown if PREDICTION.match(line)]


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_can_be_followed(
    name: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = FOLLOWED[name]
    for need in page.needs:
        make(need, store)
    monkeypatch.chdir(tmp_path)
    for need in page.needs:
        place(need, store)
    for file, (language, number) in page.files.items():
        Path(file).write_text(fenced(name, language)[number])
    packed = any(line.startswith("palmette latency suite ") for line in lines(name))
    for line in [*page.before, *lines(name)]:
        if not left_out(line):
            timed(line)
            run(arguments := at_hand(shorter(line), request))
            if packed and arguments[:2] == ["latency", "plan"] and "--out" in arguments:
                provided.shortened(Path(arguments[arguments.index("--out") + 1]))
    assert [file for file in page.left if not Path(file).exists()] == []
    said = capsys.readouterr().out
    assert page.printed in said
    assert [line for line in predictions(name) if line not in said.splitlines()] == []


def test_every_page_with_commands_is_followed() -> None:
    assert {name for name in PAGES if lines(name)} == set(FOLLOWED)


def test_nothing_is_left_out_or_replaced_that_no_page_shows() -> None:
    shown = [line for name in FOLLOWED for line in lines(name)]
    assert {start for line in shown for start in left_out(line)} == set(NOT_RUN)
    assert [part for part in INSTEAD if not any(part in line for line in shown)] == []
    for command, has, _, _ in CUT:
        assert any(line.startswith(f"palmette {command} ") and has in line for line in shown)


def test_reasons_name_tests_and_pages_that_are_there() -> None:
    for reason in NOT_RUN.values():
        for path in re.findall(r"tests/[\w/.]*\w", reason):
            assert (ROOT / path).exists(), reason
        for page in re.findall(r"\w+/\w+\.md", reason):
            assert f"docs/{page}" in FOLLOWED, reason
