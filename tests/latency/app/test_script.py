"""The script that times a suite, against tools of Apple's that only note what they are asked.

The fake phone is a folder: what is copied to it lies there, and its app writes rows when launched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from palmette.latency.app.source import SCRIPT, write_source
from palmette.latency.suite.manifest import Entry, hash_package, write_manifest
from palmette.latency.suite.results import COLUMNS

PHONE = "00008110-000A1B2C3D4E5F60"
TEAM = "ABCDE12345"

TOOLS = Path(__file__).with_name("fake_tools")
DEVICES = "== Devices ==\nphone (18.1) (ID)\n== Simulators ==\nphone (18.1) (SIM)\n"


@dataclass(frozen=True)
class Desk:
    """A suite, the app's source, and the fake tools, in one folder."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        log = self.folder / "fake" / "calls"
        return log.read_text("utf-8").splitlines() if log.exists() else []

    def steps(self) -> list[str]:
        """Calls since the last look, by what they do."""
        words = {
            "coremlcompiler": "compile",
            "xcodegen": "project",
            "xcodebuild": "build",
            "install": "install",
            "copy to": "to",
            "copy from": "from",
            "launch": "launch",
        }
        found = [next((w for k, w in words.items() if k in call), "") for call in self.calls]
        (self.folder / "fake" / "calls").write_text("")
        return [step for step in found if step]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        given = arguments or ("suite", PHONE, TEAM, "out")
        tools = {"FAKE": str(self.folder / "fake"), "HEADER": ",".join(COLUMNS), "TURNS": "1 2"}
        none = dict.fromkeys(("BROKEN", "NO_COPY", "NO_BUILD", "NO_LAUNCH"), "")
        path = f"{self.folder / 'fake' / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(self.folder / "app" / SCRIPT), *given],
            cwd=self.folder,
            env={**os.environ, **tools, **none, "PATH": path, **settings},
            capture_output=True,
            text=True,
            timeout=60,
        )


def package(suite: Path, name: str) -> Entry:
    path = suite / name
    if name.endswith(".mlmodel"):
        path.write_text(name)
    else:
        # a hyphen stands before the slash, and a folder's files must stand before its neighbour's
        for inside in ("a/weight.bin", "a-b", "Manifest.json"):
            (path / inside).parent.mkdir(parents=True, exist_ok=True)
            (path / inside).write_text(name + inside)
    kind = "neuralnetwork" if name.endswith(".mlmodel") else "mlprogram"
    subject = ("op", "conv 3x8x8 -> 4x8x8", "op", "iphone-13/ane@coreml-ios16")
    return Entry(0, name, hash_package(path), *subject, "x", "1x3x8x8", kind, "iOS17")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    write_source(tmp_path / "app")
    suite = tmp_path / "suite"
    suite.mkdir()
    files = ("anchor.mlpackage", "a.mlpackage", "old.mlmodel", "anchor.mlpackage")
    entries = [package(suite, name) for name in files]
    order = (Entry(at + 1, *tuple_of(entry)[1:]) for at, entry in enumerate(entries))
    write_manifest(suite, list(order))
    tools = tmp_path / "fake" / "bin"
    tools.mkdir(parents=True)
    for tool in TOOLS.iterdir():
        (tools / tool.name).write_bytes(tool.read_bytes())
        (tools / tool.name).chmod(0o755)
    return Desk(tmp_path)


def tuple_of(entry: Entry) -> tuple[object, ...]:
    return tuple(getattr(entry, name) for name in Entry.__dataclass_fields__)


def only_error(found: subprocess.CompletedProcess[str]) -> str:
    assert found.returncode == 1
    return found.stderr.strip().splitlines()[-1]


def test_a_suite_is_timed_step_by_step_and_a_second_run_only_looks(desk: Desk) -> None:
    found = desk.run()
    assert found.returncode == 0, found.stderr
    assert found.stderr.strip().endswith("out/results.csv: 4 timings")
    calls = desk.calls
    assert desk.steps() == [
        *["compile"] * 3,
        *("project", "build", "install"),
        *("from", "to", "to"),
        *("launch", *["from"] * 4) * 2,
    ]
    lines = (desk.folder / "out" / "results.csv").read_text("utf-8").splitlines()
    assert lines == [",".join(COLUMNS), "row 1", "row 2", "row 1", "row 2"]
    names = sorted(path.name for path in (desk.folder / "out").iterdir())
    assert names == ["owner.txt", "placement.csv", "results.csv"]
    assert PHONE not in (desk.folder / "out" / "owner.txt").read_text("utf-8")
    check_calls(calls)
    (there,) = (desk.folder / "fake" / "phone" / "Documents" / "suite").iterdir()
    names = {"anchor.mlmodelc", "a.mlmodelc", "old.mlmodelc", "manifest.csv", "settings.json"}
    assert {path.name for path in there.iterdir()} >= names
    sent = (there / "manifest.csv").read_bytes()
    assert sent == (desk.folder / "suite" / "manifest.csv").read_bytes()
    # settings of the suite's own, once they are written, go there too
    (desk.folder / "suite" / "settings.json").write_text("{}")
    assert desk.run().returncode == 0
    again = desk.steps()
    assert again.count("compile") == 0 and again.count("to") == 2 and again.count("launch") == 1
    assert (there / "settings.json").read_text("utf-8") == "{}"
    # finished.txt of that run says nothing of one in which the app never started
    assert "3 launches began no timing" in only_error(desk.run(NO_LAUNCH="1"))


def check_calls(calls: list[str]) -> None:
    """What the calls name: the team, the app, the phone."""
    built = next(call for call in calls if call.startswith("xcodebuild"))
    assert f"id={PHONE}" in built and f"DEVELOPMENT_TEAM={TEAM}" in built
    assert "PRODUCT_BUNDLE_IDENTIFIER=palmette.timer.abcde12345" in built
    of_phone = [call for call in calls if "devicectl device" in call]
    assert len(of_phone) > 5 and all(f"--device {PHONE}" in call for call in of_phone)
    copies = [call for call in of_phone if " copy " in call]
    assert all("--domain-type appDataContainer" in call for call in copies)
    assert all("remove-existing" not in call for call in calls)  # empties all of the app


def test_a_failed_step_stops_with_one_line_and_the_next_run_goes_on(desk: Desk) -> None:
    found = desk.run(BROKEN="anchor.mlpackage")
    assert "anchor.mlpackage: does not compile; " in only_error(found)
    assert desk.steps() == ["compile"] * 2  # in the order of names
    assert "no such op" in (desk.folder / "app" / "build" / "log.txt").read_text("utf-8")
    found = desk.run(NO_BUILD="1")
    assert "the app does not build" in only_error(found)
    assert desk.steps() == ["compile"] * 2 + ["project", "build"]
    found = desk.run(NO_COPY="1")
    assert "the suite is not copied" in only_error(found)
    assert desk.steps() == ["project", "build", "install", "from", "to"]


def test_launches_that_bring_nothing_end(desk: Desk) -> None:
    found = desk.run(TURNS="")
    assert "3 launches began no timing" in only_error(found)
    assert desk.steps().count("launch") == 3
    assert (desk.folder / "out" / "results.csv").exists()


def test_timings_that_are_there_are_not_overwritten_by_others(desk: Desk) -> None:
    assert desk.run().returncode == 0
    timed = (desk.folder / "out" / "results.csv").read_bytes()
    desk.steps()
    manifest = desk.folder / "suite" / "manifest.csv"
    whole = manifest.read_text("utf-8")
    manifest.write_text(whole.replace("conv 3x8x8", "conv 4x8x8"))
    other_phone = ("suite", PHONE.replace("1", "2"), TEAM, "out")
    assert "timings of another suite" in only_error(desk.run())
    manifest.write_text(whole)
    assert "or another phone" in only_error(desk.run(*other_phone))
    assert desk.steps() == []
    # the app was deleted, and begins anew
    shutil.rmtree(desk.folder / "fake" / "phone")
    assert "fewer timings than out/results.csv" in only_error(desk.run(TURNS="1"))
    assert (desk.folder / "out" / "results.csv").read_bytes() == timed


def test_a_package_that_is_not_the_manifest_s_is_refused(desk: Desk) -> None:
    (desk.folder / "suite" / "a.mlpackage" / "Manifest.json").write_text("half")
    assert "a.mlpackage: is not what the manifest says" in only_error(desk.run())
    shutil.rmtree(desk.folder / "suite" / "a.mlpackage")
    assert "a.mlpackage: is missing; copy the suite again" in only_error(desk.run())
    assert desk.steps() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("suite",), "give SUITE DEVICE TEAM OUT"),
        (("suite", "My iPhone", TEAM, "out"), "'My iPhone' is no identifier of a phone"),
        # of a simulator, or of devicectl's own list
        (("suite", "1B2C3D4E-0000-1111-2222-333344445555", TEAM, "out"), "is no identifier"),
        (("suite", PHONE, "Me", "out"), "'Me' is no team"),
        (("suite", PHONE, TEAM, "my results"), "spaces in paths"),
        (("app", PHONE, TEAM, "out"), "no manifest.csv"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_done(
    desk: Desk, arguments: tuple[str, ...], message: str
) -> None:
    assert message in only_error(desk.run(*arguments))
    assert desk.calls == [] and not (desk.folder / "out").exists()


def test_without_arguments_phones_are_listed_without_simulators(tmp_path: Path, desk: Desk) -> None:
    (tmp_path / "fake" / "devices").write_text(DEVICES)
    found = subprocess.run(
        ["bash", str(desk.folder / "app" / SCRIPT)],
        env={
            **os.environ,
            "FAKE": str(tmp_path / "fake"),
            "PATH": f"{tmp_path / 'fake' / 'bin'}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0 and "(ID)" in found.stdout and "SIM" not in found.stdout


def test_a_folder_with_a_space_is_refused(desk: Desk) -> None:
    moved = Desk(desk.folder.rename(desk.folder.with_name("my desk")))
    assert "spaces in paths" in only_error(moved.run())
    assert moved.calls == []


def test_without_xcode_that_is_said(desk: Desk) -> None:
    (desk.folder / "fake" / "bin" / "xcodegen").unlink()
    assert "xcodegen is missing; install Xcode itself" in only_error(desk.run())
