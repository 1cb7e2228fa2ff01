"""A run is told as it stands, whatever state it is in; what can't be read is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palmette.search import Compute, Goal, Run, run, run_joined
from palmette.search.report.history import history
from palmette.search.report.opened import CUT_OFF, FINISHED, RUNNING, open_run
from palmette.search.report.page import page, write_report
from palmette.search.run_folder import RunFolder
from palmette.space import InputError

MINE = """
import zlib

def accuracy(architecture):
    return 60.0 + zlib.crc32(architecture.to_text().encode()) % 1000 / 100, 0.3
"""


@pytest.fixture(scope="module")
def cut_off(small_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that measured five of twelve networks, and was interrupted."""
    place = tmp_path_factory.mktemp("cut-off")
    (place / "mine.py").write_text(MINE)
    options: dict[str, Any] = {"space": str(small_file), "evaluations": 1000, "shortlist": 4}
    options |= {"trials": 12, "accuracy": f"function:{place / 'mine.py'}:accuracy"}

    def told(snapshot: Any) -> None:
        if snapshot.stage == "measuring" and snapshot.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("iphone-11/ane", 6.0, place / "run", told=told, **options)
    return place / "run"


def test_a_finished_run_is_opened_with_its_front(finished: Run) -> None:
    opened = open_run(finished.folder.path)
    assert (opened.state, opened.standing) == (FINISHED, "")
    assert opened.front.equals(finished.front)
    assert len(opened.complete) == opened.planned == len(finished.front)
    assert "too few" in opened.importance.reason


def test_a_run_under_way_is_told_so_far(finished: Run, copied: Path) -> None:
    RunFolder(copied).front.unlink()
    with RunFolder(copied).driver():
        opened = open_run(copied)
    count = len(finished.front)
    assert opened.state == RUNNING
    assert f"still under way: {count} trials of {count} are finished" in opened.standing


def test_a_run_that_was_cut_off_reports_what_it_had_measured(cut_off: Path) -> None:
    opened = open_run(cut_off)
    assert opened.state == CUT_OFF
    assert len(opened.complete) == 5
    text = page(opened)
    assert "incomplete: 5 trials of 12 are finished" in text
    assert f"palmette search --resume {cut_off}" in text
    assert "left out in turn: error" in text
    assert "reference networks" not in text  # of the user's own images the zoo is not known


def test_a_run_without_a_trial_has_a_page_that_says_so(copied: Path) -> None:
    journal = RunFolder(copied).journal
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text(
        "".join(line for line in lines if '"trial_id"' not in line and '"op_code":4' not in line)
    )
    text = page(open_run(copied))
    assert "no trial is finished" in text
    assert 'id="front"' not in text
    assert "palmette search --target" in text


def test_loads_of_several_targets_in_a_database_are_reported(
    small_file: Path, tmp_path: Path
) -> None:
    goals = [Goal("iphone-11/ane", 6.0), Goal("iphone-11/cpu", 60.0)]
    compute = Compute(storage=f"sqlite:///{tmp_path / 'trials.db'}")
    options: dict[str, Any] = {"space": str(small_file), "evaluations": 1000, "shortlist": 4}
    found = run_joined(goals, tmp_path / "run", compute=compute, reward="mnasnet", **options)
    opened = open_run(tmp_path / "run")
    assert opened.front.equals(found.front)
    text = page(opened)
    assert "the network of the largest reward (mnasnet)" in text
    assert "load (predicted time over budget)" in text
    assert "--targets iphone-11/ane=6,iphone-11/cpu=60 --join worst" in text
    for goal in goals:
        assert f"{goal.alias} at confidence 0.8" in text


# --- what can't be read ---------------------------------------------------------------------------


def test_a_folder_without_a_run_or_without_trials_is_named(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        open_run(tmp_path)
    RunFolder(copied).journal.unlink()
    with pytest.raises(InputError, match=r"is incomplete: study\.journal, which holds its trials"):
        open_run(copied)


def test_an_older_format_is_told_from_a_corrupt_file(copied: Path) -> None:
    config = RunFolder(copied).config
    config.write_text(config.read_text().replace("palmette/run@1", "palmette/run@0"))
    with pytest.raises(InputError, match="is of format palmette/run@0, this palmette reads"):
        open_run(copied)


def test_a_file_that_exists_is_replaced_only_when_asked_and_the_run_is_only_read(
    copied: Path, folder_bytes: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    before = folder_bytes(copied)
    out = tmp_path / "mine.html"
    out.write_text("mine")
    with pytest.raises(InputError, match=r"mine\.html: exists; .*--force"):
        write_report(copied, out)
    assert out.read_text() == "mine"
    with pytest.raises(InputError, match="is a folder"):
        write_report(copied, tmp_path, force=True)
    with pytest.raises(InputError, match="is no folder"):
        write_report(copied, tmp_path / "none" / "report.html")
    write_report(copied, out, force=True)
    assert out.read_text().startswith("<!doctype html>")
    assert folder_bytes(copied) == before


# --- history --------------------------------------------------------------------------------------


def test_history_grows_where_a_trial_adds_area_and_skips_what_breaks_a_limit() -> None:
    from optuna.trial import create_trial

    def trial(ms: float, score: float, limits: float = 0.0) -> Any:
        found = create_trial(values=[ms, score])
        found.set_constraint("limits", limits)
        return found

    # up to 10 ms: 5 x 40, then nothing, nothing, and 3 x 40 - 2 x 10 more by hand
    told = history([trial(5, 40), trial(6, 40), trial(1, 90, 1.0), trial(2, 30)], 10.0)
    assert told.trials == (0, 1, 4)
    assert told.hypervolume == pytest.approx((0, 200, 290))
