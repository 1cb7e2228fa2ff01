"""The files that grow: what a kill leaves, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palmette.latency.devices.log import ResultsLog
from palmette.latency.devices.place import Place
from palmette.latency.suite.manifest import Entry
from palmette.latency.suite.results import COLUMNS, PLACEMENT_COLUMNS
from palmette.latency.suite.row_file import RowFile
from palmette.space.errors import InputError

MAC = Place("Mac15,6", "15.1", "24B83")
ENTRY = Entry(1, "a.mlpackage", "0" * 64, "op", "a", "op", "", "x", "1", "mlprogram", "iOS16")
ROW = {
    **{"position": "1", "file": "a.mlpackage", "sha256": "0" * 64, "units": "all"},
    **{"mode": "burst", "machine": "Mac15,6", "os_build": "24B83", "error": 'no, "niet", né'},
}
KEY = (1, "a.mlpackage", "all", "burst")
PLAN = {"file": "a.mlpackage", "units": "all", "place": "0", "preferred": "cpu"}


def test_a_new_file_is_its_header_and_rows_follow(tmp_path: Path) -> None:
    log = ResultsLog(tmp_path / "r.csv", [ENTRY], MAC)
    assert (tmp_path / "r.csv").read_text("utf-8") == ",".join(COLUMNS) + "\n"
    assert not log.has(*KEY)
    log.add(ROW)
    again = ResultsLog(tmp_path / "r.csv", [ENTRY], MAC)
    assert again.has(*KEY) and (again.count, again.failed) == (1, 1)


@pytest.mark.parametrize("cut", [1, 3, 20, 90])  # 3: inside of the é
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "r.csv"
    ResultsLog(path, [ENTRY], MAC).add(ROW)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log = ResultsLog(path, [ENTRY], MAC)
    assert not log.has(*KEY) and log.count == 0
    log.add(ROW)
    assert path.read_bytes() == whole


def test_a_plan_without_its_row_is_dropped(tmp_path: Path) -> None:
    log = ResultsLog(tmp_path / "r.csv", [ENTRY], MAC)
    log.add_plan([PLAN])
    assert ResultsLog(tmp_path / "r.csv", [ENTRY], MAC).plan("a.mlpackage", "all") is None
    log = ResultsLog(tmp_path / "r.csv", [ENTRY], MAC)
    log.add_plan([PLAN])
    log.add(ROW)
    plan = ResultsLog(tmp_path / "r.csv", [ENTRY], MAC).plan("a.mlpackage", "all")
    assert plan is not None and plan[0]["preferred"] == "cpu"
    header, line = (tmp_path / "r.placement.csv").read_text("utf-8").splitlines()
    assert header == ",".join(PLACEMENT_COLUMNS) and line.startswith("a.mlpackage,all,0,")


def test_two_files_of_results_in_one_folder_have_plans_of_their_own(tmp_path: Path) -> None:
    for name in ("results.csv", "other.csv"):
        log = ResultsLog(tmp_path / name, [ENTRY], MAC)
        log.add_plan([PLAN])
        log.add(ROW)
        assert log.plan("a.mlpackage", "all") is not None
    assert {path.name for path in tmp_path.iterdir()} == {
        *("results.csv", "placement.csv", "other.csv", "other.placement.csv"),
    }
    for name in ("results.csv", "other.csv"):
        assert len(ResultsLog(tmp_path / name, [ENTRY], MAC).plan("a.mlpackage", "all") or []) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "1" * 64}, "row 2: is of another suite"),
        ({"file": "b.mlpackage"}, "row 2: is of another suite"),
        ({"machine": "iPhone14,5"}, "row 2: is of iPhone14,5 with 24B83, this is Mac15,6"),
        ({"os_build": "24C1"}, "with 24C1, this is Mac15,6 with 24B83"),
    ],
)
def test_results_of_something_else_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    RowFile(tmp_path / "r.csv", COLUMNS).append([{**ROW, **change}])
    with pytest.raises(InputError, match=message):
        ResultsLog(tmp_path / "r.csv", [ENTRY], MAC)


def test_other_tables_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("subject_kind,subject\nop,x\n")
    with pytest.raises(InputError, match="the columns must be position,file"):
        ResultsLog(path, [ENTRY], MAC)
    path.write_text(",".join(COLUMNS) + "\n1,a\n")
    with pytest.raises(InputError, match="row 2: must have 24 cells, got 2"):
        ResultsLog(path, [ENTRY], MAC)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        ResultsLog(path, [ENTRY], MAC)
    assert path.read_bytes() == b"\xff\xfe"
