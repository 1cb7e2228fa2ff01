"""The line for pip: of a clone the clone, else the name."""

from __future__ import annotations

from pathlib import Path

import pytest

from palmette.space.installing import is_clone, pip_install

ROOT = Path(__file__).resolve().parents[2]


def test_a_clone_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert pip_install("host") == "pip install -e '.[host]'"
    assert pip_install("coreai", "--pre") == "pip install --pre -e '.[coreai]'"
    assert pip_install() == "pip install -e ."


def test_from_another_folder_the_clone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pip_install("host") == f"pip install -e '{ROOT}[host]'"


def test_a_package_that_is_no_clone_is_installed_by_its_name(tmp_path: Path) -> None:
    assert not is_clone(tmp_path)
    assert pip_install("host", place=tmp_path) == "pip install 'palmette[host]'"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert not is_clone(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "palmette"\n')
    assert is_clone(tmp_path)
