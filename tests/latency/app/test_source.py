"""Writing the app's source out, and what its project says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from palmette.latency.app.source import PROJECT, SCRIPT, SOURCE, source_files, write_source
from palmette.space.errors import InputError


def tree(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_source_is_written_whole_and_the_script_runs(tmp_path: Path) -> None:
    written = write_source(tmp_path / "new" / "app")
    assert tree(tmp_path / "new" / "app") == tree(SOURCE)
    assert written == source_files() and len(written) > 15
    assert os.access(tmp_path / "new" / "app" / SCRIPT, os.X_OK)


def test_what_xcode_made_there_stays(tmp_path: Path) -> None:
    write_source(tmp_path)
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "log.txt").write_text("built")
    (tmp_path / PROJECT).write_text("old: true\n" + (tmp_path / PROJECT).read_text("utf-8"))
    write_source(tmp_path)
    assert tree(tmp_path) == {**tree(SOURCE), "build/log.txt": b"built"}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="holds something else"):
        write_source(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        write_source(tmp_path / "thesis.txt")
    assert list(tree(tmp_path)) == ["thesis.txt"]


def test_the_project_builds_the_sources_for_phones_of_ios_16() -> None:
    project = yaml.safe_load((SOURCE / PROJECT).read_text("utf-8"))
    (target,) = project["targets"].values()
    assert (target["type"], target["platform"]) == ("application", "iOS")
    assert [(SOURCE / name).is_dir() for name in target["sources"]] == [True]
    inside = {path.parts[0] for path in source_files() if path.suffix == ".swift"}
    assert inside == set(target["sources"])
    assert project["options"]["deploymentTarget"] == {"iOS": "16.0"}
    assert target["info"]["properties"]["UIFileSharingEnabled"] is True
    assert set(project["schemes"]) == set(project["targets"]) == {project["name"]}


def test_the_script_names_the_project_that_there_is() -> None:
    script = (SOURCE / SCRIPT).read_text("utf-8")
    name = yaml.safe_load((SOURCE / PROJECT).read_text("utf-8"))["name"]
    assert f"{name}.xcodeproj" in script and f"-scheme {name} " in script
    assert f"Release-iphoneos/{name}.app" in script
