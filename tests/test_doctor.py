"""The doctor says what is there, what is not and what to do; it stops only for the main job."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from palmette.cli import machine, machine_places, machine_tools, main, requirements, tried
from palmette.cli.doctor import FIRST
from palmette.cli.machine_row import Row
from palmette.space.installing import pip_install

ROOT = Path(__file__).parents[1]


def ask(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["palmette", "doctor", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def found(name: str) -> Row:
    return next(row for row in machine.rows() if row.what == name)


@pytest.fixture(autouse=True)
def no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(machine_places.STORAGE_VARIABLE, raising=False)


def test_this_machine_can_do_the_main_job_and_every_extra_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["works"] is True
    rows = {row["what"]: row for row in answer["rows"]}
    assert len(rows) == len(answer["rows"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {f"[{name}]" for name in project["optional-dependencies"]}
    assert {name for name in rows if name.startswith("[")} == extras
    for row in rows.values():
        assert row["state"] in ("works", "missing", "broken", "can't here")
        assert row["detail"]
        assert bool(row["remedy"]) == (row["state"] in ("missing", "broken")), row
    assert ask(monkeypatch) == 0
    out = capsys.readouterr().out
    assert "[train]" in out and "all that a search with an export needs is there" in out
    assert f"next: {FIRST} (" in out
    assert f"\n{FIRST}\n" in (ROOT / "docs/tutorial.md").read_text("utf-8")  # as the page begins


def test_the_answer_needs_no_torch_and_no_coremltools() -> None:
    code = (
        "import sys, palmette.cli.machine as m; list(m.rows());"
        " sys.exit(bool({'torch', 'coremltools', 'ray', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_extra_comes_with_its_line_for_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"": ["numpy>=2"], "coreai": ["nothing-such>=1"], "host": ["numpy>=99"]}
    monkeypatch.setattr(machine, "requirements", lambda: asked)
    rows = {row.what: row for row in machine.rows()}
    assert rows["[coreai]"].remedy == pip_install("coreai", "--pre")
    assert rows["[coreai]"].detail == "nothing-such is not installed"
    assert rows["[host]"].remedy == pip_install("host")
    assert rows["[host]"].detail.endswith("needed is >=99")
    assert not rows["[host]"].stops


def test_a_package_of_the_main_job_that_is_too_old_ends_in_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "requirements", lambda: {"": ["numpy>=99"]})
    assert ask(monkeypatch) == 1
    assert "the main job can't be done for: packages" in capsys.readouterr().out


def test_a_python_that_is_too_old_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.9.1")
    row = found("Python")
    assert row.stops and "needs >=3.11" in row.detail


def test_a_doctor_without_packaging_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    rows = {row.what: row for row in machine.rows()}
    assert rows["dependencies"].stops and "not installed" in rows["dependencies"].detail
    assert rows["storage"].state == "works"


def test_what_an_installed_package_asks_for_is_what_the_checkout_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from importlib import metadata

    lines = ["numpy>=2.0", 'timm>=1.0; extra == "train"', 'pywin32; sys_platform == "win32"']
    about = metadata.metadata("numpy")
    del about["Provides-Extra"]
    about["Provides-Extra"] = "train"
    monkeypatch.setattr(requirements, "_project", dict)
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    monkeypatch.setattr(metadata, "metadata", lambda _: about)
    asked = requirements.requirements()
    assert {extra: [r.split(";")[0] for r in rows] for extra, rows in asked.items()} == {
        "": ["numpy>=2.0"],
        "train": ["timm>=1.0"],
    }


# --- storage --------------------------------------------------------------------------------------


def test_the_variable_is_the_one_that_a_search_reads() -> None:
    from palmette.search.ledger.place import STORAGE_VARIABLE

    assert machine_places.STORAGE_VARIABLE == STORAGE_VARIABLE


def test_a_database_that_does_not_answer_ends_within_seconds_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(machine_places.STORAGE_VARIABLE, "postgresql://me:secret@localhost:1/db")
    begun = time.monotonic()
    (row,) = machine_places.storage_rows()
    assert time.monotonic() - begun < 2 * machine_places.ANSWER_S
    assert row.stops and "me:***@localhost" in row.detail and "secret" not in str(row)


@pytest.mark.parametrize("text", ["nonsense", "sqlite:////no/such/folder/a.db"])
def test_a_database_that_is_none_is_broken(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(machine_places.STORAGE_VARIABLE, text)
    (row,) = machine_places.storage_rows()
    assert row.stops and row.remedy


def test_a_file_is_reached_and_one_that_is_not_there_is_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.db"
    monkeypatch.setenv(machine_places.STORAGE_VARIABLE, f"sqlite:///{file}")
    (row,) = machine_places.storage_rows()
    assert row.detail.endswith("not there yet, and can be made") and not file.exists()
    file.touch()
    (row,) = machine_places.storage_rows()
    assert row.state == "works" and row.detail.endswith("reached")


# --- folders, programs ----------------------------------------------------------------------------


def test_the_cache_is_measured_and_a_file_in_its_place_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rows = {row.what: row for row in machine_places.folder_rows()}
    assert rows["cache"].detail.endswith("nothing yet") and not rows["cache"].stops
    (tmp_path / "palmette").mkdir()
    (tmp_path / "palmette" / "a").write_bytes(bytes(2_500_000))
    rows = {row.what: row for row in machine_places.folder_rows()}
    assert rows["cache"].detail.endswith("2.5 MB in 1 files")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "palmette" / "a"))
    rows = {row.what: row for row in machine_places.folder_rows()}
    assert rows["cache"].state == "broken"


def test_the_cache_is_where_spaces_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from palmette.space import SearchSpace, compile_space

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = (
        'format = "palmette/space@1"\n[network]\nresolution = [32, 64]\nactivation = "relu"\n'
        "[stem]\nchannels = 8\n[[stages]]\nstride = 2\nchannels = 8\nkernel = 3\nexpansion = 1\n"
        "depth = 1\nse = 0\n[head]\nchannels = 16\n"
    )
    compile_space(SearchSpace.from_toml(text, "tiny"))
    assert list(machine_places.cache_folder().glob("space-*.json"))


def stand_in(monkeypatch: pytest.MonkeyPatch, program: Path, script: str, system: str) -> None:
    """Put a shell script first on the path, in the place of a program of another system."""
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(platform, "system", lambda: system)


@pytest.mark.skipif(os.name != "posix", reason="makes a program of a shell script")
def test_the_tools_of_a_mac_are_asked_for_their_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = '[ "$1" = xcodebuild ] && printf "Xcode 26.1\\nBuild 1\\n"'
    stand_in(monkeypatch, tmp_path / "xcrun", script, "Darwin")
    rows = {row.what: row for row in machine_tools.xcode_rows()}
    assert rows["Xcode"].detail == "Xcode 26.1 Build 1"
    assert rows["devicectl"].state == "missing" and rows["devicectl"].remedy


@pytest.mark.skipif(os.name != "posix", reason="makes a program of a shell script")
def test_a_card_that_torch_was_not_built_for_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(monkeypatch, tmp_path / "nvidia-smi", "echo NVIDIA H100", "Linux")
    monkeypatch.setattr(machine_tools, "_torch_cuda", lambda: "")
    assert machine_tools._gpu().state == "broken"
    monkeypatch.setattr(machine_tools, "_torch_cuda", lambda: "12.9")
    assert machine_tools._gpu().detail == "NVIDIA H100; torch is built for CUDA 12.9"


def test_what_torch_was_built_for_is_what_torch_says() -> None:
    import torch

    assert machine_tools._torch_cuda() == (torch.version.cuda or "")


# --- imports for real -----------------------------------------------------------------------------


def test_an_import_that_fails_is_broken_with_its_last_words() -> None:
    row = tried.attempt("x", "import sys; print('fine')", True)
    assert row.state == "works" and row.detail.startswith("fine (")
    row = tried.attempt("x", "raise OSError('no such library')", True)
    assert row.stops and row.detail == "OSError: no such library"


def test_an_import_without_an_end_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tried, "IMPORT_S", 0.2)
    assert tried.attempt("x", "import time; time.sleep(60)", False).state == "broken"


@pytest.mark.slow
def test_every_package_is_imported_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(monkeypatch, "--thorough", "--json") == 0
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert rows["import torch"]["detail"].startswith("threads: ")
    assert rows["import coremltools"]["state"] == "works"
