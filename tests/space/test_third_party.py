"""Where third-party tables are looked for."""

from pathlib import Path

import pytest

from palmette.space.third_party import BESIDE, VARIABLE, third_party_files


def test_they_lie_in_the_folder_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "one.csv").touch()
    assert third_party_files(["one.csv"]) == (tmp_path / "one.csv",)
    assert third_party_files(["one.csv", "two.csv"]) is None  # all or none


def test_else_they_lie_beside_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert Path(__file__).resolve().parents[3] / "shared" / "data" == BESIDE
    assert third_party_files(["no such table.csv"]) is None
