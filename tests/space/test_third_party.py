"""Where third-party tables are looked for."""

from pathlib import Path

import pytest

from palmette.space.third_party import (
    BESIDE,
    VARIABLE,
    third_party_files,
    third_party_folder,
)


def test_they_lie_in_the_folder_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert third_party_folder() == tmp_path
    (tmp_path / "one.csv").touch()
    assert third_party_files(["one.csv"]) == (tmp_path / "one.csv",)
    assert third_party_files(["one.csv", "two.csv"]) is None  # all or none


def test_else_they_lie_beside_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert Path(__file__).resolve().parents[3] / "shared" / "data" == BESIDE
    assert third_party_folder() == BESIDE
    assert third_party_files(["no such table.csv"]) is None


def test_nobody_else_says_where_they_lie() -> None:
    root = Path(__file__).resolve().parents[2]
    own = {"space/third_party.py", "tests/space/test_third_party.py"}
    files = (
        str(file.relative_to(root))
        for part in ("benchmarks", "export", "latency", "palmette", "search", "space", "tests")
        for file in (root / part).rglob("*.py")
        if '"shared"' in file.read_text("utf-8")
    )
    assert set(files) - own <= {"benchmarks/shared_targets.py"}  # a column of that name
