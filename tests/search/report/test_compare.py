"""Two runs side by side: volumes by hand, reasons where there is no common scale."""

import json
from pathlib import Path

import numpy as np
import pytest

from palmette import cli
from palmette.search import Run
from palmette.search.report.compare import Volumes, _volumes, compare
from palmette.space import InputError


def test_volumes_are_those_of_a_box_worked_by_hand() -> None:
    # time 1 to 3, top-1 70 to 74: a box of 2 x 4
    one = np.array([[1.0, -70.0], [2.0, -74.0]])
    other = np.array([[2.0, -72.0], [3.0, -74.0]])
    found = _volumes(one, other)
    assert found == Volumes((4 / 8, 2 / 8), (0.0, 1.0))


def test_fronts_without_a_box_have_no_volumes() -> None:
    assert _volumes(np.array([[1.0, -70.0]]), np.array([[1.0, -71.0]])) is None


def test_a_run_beside_itself_shares_everything(finished: Run, copied: Path) -> None:
    found = compare(finished.folder.path, copied)
    assert found.differing == {}
    assert found.shared == tuple(finished.front["id"])
    assert found.volumes is not None
    assert found.volumes.shares[0] == found.volumes.shares[1] > 0.3
    assert found.volumes.covered == (1.0, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("iphone-11/ane@", "iphone-11/cpu@", "share no scale"),
        ("predictor_id = ", "predictor_id = 'x' #", "two predictors"),
        ("[search]", '[search]\nrecipe = "classic"', "two sources"),
    ],
)
def test_fronts_without_a_common_scale_are_not_measured(
    finished: Run, copied: Path, old: str, new: str, reason: str
) -> None:
    config = copied / "run.toml"
    config.write_text(config.read_text().replace(old, new))
    found = compare(finished.folder.path, copied)
    assert found.volumes is None
    assert reason in found.reason
    assert found.differing
    assert found.to_dict()["runs"][0]["hypervolume_share"] is None


def test_what_no_search_writes_is_named(finished: Run, copied: Path) -> None:
    front = copied / "front.csv"
    whole = front.read_text()
    for text, words in (
        (whole.replace("top1,", "top2,"), "column 'top1' is missing"),
        (whole.replace("True", "False"), "one row must have the pick marked"),
        (whole.replace(str(finished.front["ms"].iloc[0]), "fast"), "row 2: ms must be a number"),
    ):
        assert text != whole
        front.write_text(text)
        with pytest.raises(InputError, match=words):
            compare(finished.folder.path, copied)
    front.unlink()
    with pytest.raises(InputError, match="not finished; go on with palmette search --resume"):
        compare(finished.folder.path, copied)


def test_both_commands_print_for_people_and_programs(
    finished: Run, copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def printed(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["palmette", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    monkeypatch.setenv("COLUMNS", "200")  # names of the folders take most of a narrower line
    folders = str(finished.folder.path), str(copied)
    found = json.loads(printed("compare", *folders, "--json"))
    assert found["comparable"] is True
    assert found["runs"][0]["pick"]["id"] == finished.pick.id
    assert "hypervolume, share of the common box" in printed("compare", *folders)
    (copied / "report.html").write_text("of before")  # the folder's own page is renewed
    answer = json.loads(printed("report", str(copied), "--json"))
    page = Path(answer["report"])
    assert page == copied / "report.html"
    assert page.stat().st_size == answer["bytes"]
