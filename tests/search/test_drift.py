"""What a run chose, held against its budget by a second table of its phone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from palmette import cli
from palmette.latency import read_timings
from palmette.latency.drift.budget import BY_OPS, TIMED
from palmette.search import Run
from palmette.search.drift import compare_for_run, read_choice
from palmette.space import InputError

TARGET = "iphone-11/ane@coreml-ios13"
OPS = [f"conv {c}x{s}x{s} -> {c}x{s}x{s} k3 g{c}" for c in (8, 16, 32) for s in (7, 14, 28)]


def table(path: Path, factor: float, target: str = TARGET, **networks: float) -> pd.DataFrame:
    """Ops that took `factor` times 1, 2, ... ms, and networks."""
    rows = [f"op,{op},{target},{factor * at},me" for at, op in enumerate(OPS, start=1)]
    rows += [f"network,{text},{target},{ms},me" for text, ms in networks.items()]
    header = "subject_kind,subject,target,latency_ms,source"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return read_timings(path)


def test_the_choice_is_the_front_with_the_pick_first(finished: Run) -> None:
    choice = read_choice(finished.folder.path)
    assert choice.networks[0].name == f"pick {finished.pick.id[:8]}"
    assert choice.networks[0].subject == finished.pick.to_text()
    assert len(choice.networks) == len(finished.front)
    assert choice.networks[1].ms == finished.front.loc[~finished.front["pick"], "ms"].iloc[0]
    assert choice.unit == "iphone-11/ane" and choice.config == finished.config


def test_a_phone_that_got_slower_breaks_the_budget_of_what_was_chosen_close_to_it(
    finished: Run, tmp_path: Path
) -> None:
    first, second = table(tmp_path / "a.csv", 1.0), table(tmp_path / "b.csv", 1.3)
    found, kept = compare_for_run(first, second, read_choice(finished.folder.path))
    assert found.units[0].verdict == "moved: everything by one factor"
    assert {one.how for one in kept} == {BY_OPS} and all(one.kept_before for one in kept)
    for one in kept:
        assert one.after_ms == pytest.approx(1.3 * one.before_ms, rel=1e-3)
        assert one.kept == (one.after_at_confidence <= 6.0)
    assert not kept[0].kept and any(one.kept for one in kept)


def test_a_pick_that_was_timed_again_is_judged_by_its_own_time(
    finished: Run, tmp_path: Path
) -> None:
    first = table(tmp_path / "a.csv", 1.0)
    second = table(tmp_path / "b.csv", 1.3, **{finished.pick.to_text(): 4.0})
    _, kept = compare_for_run(first, second, read_choice(finished.folder.path))
    assert [one.how for one in kept[:2]] == [TIMED, BY_OPS]
    assert kept[0].after_ms == 4.0 and kept[0].kept


def test_tables_of_another_unit_or_runtime_are_refused(finished: Run, tmp_path: Path) -> None:
    choice = read_choice(finished.folder.path)
    gpu, newer = TARGET.replace("ane", "gpu"), TARGET.replace("ios13", "ios18")
    for target, words in ((gpu, "the run is for iphone-11/ane"), (newer, "put the table of the")):
        rows = table(tmp_path / "a.csv", 1.0, target)
        with pytest.raises(InputError, match=words):
            compare_for_run(rows, rows, choice)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("architecture", "networks", "column 'architecture' is missing"),
        (",True,True,", ",True,True,-", "ms and ms_at_confidence must be positive"),
        ("stem_", "stump_", "row 2: "),
    ],
)
def test_a_damaged_front_is_refused(copied: Path, old: str, new: str, words: str) -> None:
    front = copied / "front.csv"
    front.write_text(front.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=words):
        read_choice(copied)


def test_an_unfinished_run_is_refused(copied: Path) -> None:
    (copied / "front.csv").unlink()
    with pytest.raises(InputError, match="the run is not finished; go on with"):
        read_choice(copied)


def test_the_command_judges_a_run(
    finished: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    table(Path("a.csv"), 1.0)
    table(Path("b.csv"), 1.3)
    words = ["palmette", "latency", "compare", "a.csv", "b.csv"]
    for more, code in ((["--json"], 0), (["--sustained"], 2)):
        arguments = [*words, "--run", str(finished.folder.path), *more]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == code
        printed = capsys.readouterr()
        if code == 0:
            assert len(json.loads(printed.out)["budget"]) == len(finished.front)
        else:
            assert "is of latency milliseconds" in printed.err
