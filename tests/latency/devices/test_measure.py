"""The loop over a suite: rows as the app has them, one for each timing, whatever happens."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from palmette import cli
from palmette.latency.devices import mac, measure
from palmette.latency.devices.place import Lost, Place
from palmette.latency.suite.manifest import hash_package, read_manifest
from palmette.latency.suite.results import COLUMNS
from palmette.latency.suite.settings import Settings
from palmette.space.errors import InputError

MAC = Place("Mac15,6", "15.1", "24B83")
QUICK = Settings(
    units=("cpuOnly", "all"),
    modes={"burst": ("op", "network"), "sustained": ("network",)},
    warmup_calls=1,
    warmup_s=0,
    least_calls=5,
    most_calls=5,
    timed_s=0,
    sustained_s=0,
)


def run(suite: Path, place: Place = MAC, settings: Settings = QUICK) -> measure.Finished:
    entries = read_manifest(suite)
    out = suite.parent / "results.csv"
    return asyncio.run(
        measure.run(suite, out, place, entries, settings, lambda what, done, of: None)
    )


def rows(suite: Path) -> list[dict[str, str]]:
    with (suite.parent / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def key(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("position", "file", "units", "mode"))


def test_every_timing_is_a_row_in_the_order_of_modes_and_of_the_run(
    suite_of: Callable[..., Path], wrapper: Any
) -> None:
    suite = suite_of("conv", "add", "conv")
    assert run(suite) == measure.Finished(rows=8, failed=0)
    found = rows(suite)
    files = ("conv", "add", "conv")
    assert [key(row) for row in found] == [
        *(
            (str(at), f"{name}.mlpackage", units, "burst")
            for at, name in enumerate(files, start=1)
            for units in ("cpuOnly", "all")
        ),
        *(("2", "add.mlpackage", units, "sustained") for units in ("cpuOnly", "all")),
    ]
    first = found[0]
    assert list(first) == list(COLUMNS)
    assert (first["load_ms"], first["median_ms"], first["n"]) == ("5.000000", "2.000000", "5")
    assert first["sha256"] == hash_package(suite / "conv.mlpackage")
    assert (first["machine"], first["os_version"], first["os_build"]) == (
        *("Mac15,6", "15.1", "24B83"),
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["started_at"])
    # what neither the Mac nor coremltools says; here there is no compute plan either
    blank = ("thermal_start", "thermal_end", "low_power", "battery", "ops_ane", "error")
    assert {first[name] for name in blank} == {""}


def test_quantiles_are_of_the_calls_that_count(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # one call to warm up, then 1, 2, 3, 4 and 10 ms
    monkeypatch.setattr(wrapper, "times_ns", (99, *(at * 10**6 for at in (1, 2, 3, 4, 10))))
    suite = suite_of("conv")
    run(suite, settings=replace(QUICK, units=("all",)))
    (row,) = rows(suite)
    figures = ("min_ms", "p10_ms", "median_ms", "mean_ms", "p90_ms")
    assert [float(row[name]) for name in figures] == [1.0, 1.4, 3.0, 4.0, 7.6]


def test_an_error_of_one_package_is_its_row_and_the_run_goes_on(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of("conv", "add")

    async def load(self: Any) -> None:
        self.note("load", None)
        if len(self.spec_or_path.description.input) == 2:
            raise RuntimeError("the model could not\nbe loaded")

    monkeypatch.setattr(wrapper, "load", load)
    assert run(suite, settings=replace(QUICK, units=("all",))) == measure.Finished(3, 2)
    good, *bad = rows(suite)
    assert good["error"] == "" and good["median_ms"] != ""
    assert {row["error"] for row in bad} == {"the model could not be loaded"}
    assert {row["median_ms"] for row in bad} == {""}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 4])
def test_a_run_that_was_killed_goes_on_with_what_is_missing(
    suite_of: Callable[..., Path], wrapper: Any, after: int
) -> None:
    suite = suite_of("conv", "add")
    entries = read_manifest(suite)

    def kill(what: str, done: int, of: int) -> None:
        if done == after:
            raise Killed

    out = suite.parent / "results.csv"
    with pytest.raises(Killed):
        asyncio.run(measure.run(suite, out, MAC, entries, QUICK, kill))
    before = rows(suite)
    assert len(before) == after
    loaded = len(wrapper.log)
    assert run(suite).rows == 6
    assert rows(suite)[:after] == before
    assert len({key(row) for row in rows(suite)}) == 6
    loads = sum(what == "load" for what, _ in wrapper.log[loaded:])
    assert loads == 6 - after
    # a finished one only reads
    loaded = len(wrapper.log)
    run(suite)
    assert len(wrapper.log) == loaded


def test_models_are_given_back_one_by_one(suite_of: Callable[..., Path], wrapper: Any) -> None:
    run(suite_of("conv", "add"))
    kinds = [what for what, _ in wrapper.log if what != "predict"]
    assert kinds == ["load", "unload"] * 6


def test_a_load_that_fails_once_is_tried_again_where_that_helps(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2]

    async def load(self: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError("still compiling")

    monkeypatch.setattr(wrapper, "load", load)
    suite = suite_of("conv")
    assert run(suite, replace(MAC, loads=3), replace(QUICK, units=("all",))).failed == 0


def test_a_place_that_answers_no_more_ends_the_run_and_keeps_the_rows(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of("conv", "add")

    async def hang(self: Any, inputs: Any, state: Any) -> Any:
        self.note("predict", None)
        if len(inputs) == 2:
            await asyncio.sleep(60)

    monkeypatch.setattr(wrapper, "predict", hang)
    with pytest.raises(Lost, match=r"did not answer within 0.2 s"):
        run(suite, replace(MAC, call_s=0.2), replace(QUICK, units=("all",)))
    assert [row["file"] for row in rows(suite)] == ["conv.mlpackage"]
    with pytest.raises(Lost, match="has ended"):
        run(suite, replace(MAC, is_alive=lambda: False))
    assert len(rows(suite)) == 1


def test_a_phone_that_ends_during_a_call_takes_no_package_with_it(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, alive = suite_of("conv"), [True]

    async def die(self: Any) -> None:
        alive[0] = False
        raise RuntimeError("the session has ended")

    one = replace(QUICK, units=("all",), modes={"burst": ("op",)})
    with monkeypatch.context() as patch:
        patch.setattr(wrapper, "load", die)
        with pytest.raises(Lost, match="has ended"):
            run(suite, replace(MAC, is_alive=lambda: alive[0]), one)
    assert rows(suite) == []
    assert run(suite, settings=one) == measure.Finished(1, 0)


def test_ops_are_counted_where_there_is_a_plan_and_it_is_made_once(
    suite_of: Callable[..., Path], wrapper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    async def plan_rows(path: Path, units: str, device: Any) -> list[dict[str, str]]:
        made.append((path.name, units))
        cells = {"file": path.name, "units": units, "operator": "conv", "cost": ""}
        return [{**cells, "place": str(at), "preferred": "ane"} for at in range(3)]

    monkeypatch.setattr(measure, "plan_rows", plan_rows)
    suite = suite_of("add", "conv", "add")
    run(suite)
    assert sorted(made) == sorted(
        (f"{name}.mlpackage", units) for name in ("add", "conv") for units in ("all", "cpuOnly")
    )
    assert {(row["ops_ane"], row["ops_cpu"]) for row in rows(suite)} == {("3", "0")}
    lines = (suite.parent / "placement.csv").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 4 * 3


# What is refused before anything is timed


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "require_mac", lambda option: None)
    monkeypatch.setattr(measure, "this_mac", lambda: MAC)


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac is a Mac")
@pytest.mark.parametrize("on", ["mac", "my iPhone"])
def test_elsewhere_it_is_said_on_one_line_that_a_mac_is_needed(
    on: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["palmette", "latency", "measure", "suite", "--on", on, "--out", "r.csv"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --on {on}: needs macOS 14.4 or later on Apple silicon, this is")


@pytest.mark.parametrize(
    ("system", "version", "processor", "found"),
    [
        ("darwin", "14.3.1", "arm64", "this is macOS 14.3.1"),
        ("darwin", "26.0", "x86_64", "this is x86_64"),
        ("darwin", "14.4", "arm64", ""),
        ("darwin", "26.0", "arm64", ""),
    ],
)
def test_which_macs_will_do(
    monkeypatch: pytest.MonkeyPatch, system: str, version: str, processor: str, found: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mac.sys, "platform", system)
        patch.setattr(mac.platform, "mac_ver", lambda: (version, ("", "", ""), processor))
        patch.setattr(mac.platform, "machine", lambda: processor)
        try:
            mac.require_mac("--on mac")
            message = ""
        except InputError as error:
            message = str(error)
    assert message.endswith(found) and bool(message) == bool(found)


def test_a_mac_says_what_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = {"hw.model": "Mac15,6", "kern.osversion": "24B83"}
    cases = "\n".join(f"{name}) echo {value} ;;" for name, value in told.items())
    (tmp_path / "sysctl").write_text(f'#!/bin/bash\n[ "$1" = -n ] && case "$2" in {cases} esac\n')
    (tmp_path / "sysctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(mac.platform, "mac_ver", lambda: ("15.1", ("", "", ""), "arm64"))
    assert mac.this_mac() == MAC
    (tmp_path / "sysctl").write_text("#!/bin/bash\nexit 1\n")
    with pytest.raises(InputError, match="sysctl -n hw.model"):
        mac.this_mac()


def test_the_command_answers_with_numbers_of_rows(
    suite_of: Callable[..., Path],
    wrapper: Any,
    on_a_mac: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(mac, "require_mac", lambda option: None)
    suite = suite_of("conv")
    (suite / "settings.json").write_text(json.dumps(asdict(QUICK) | {"paced_s": 0}))
    out = suite.parent / "results.csv"
    words = f"latency measure {suite} --on mac --units all --mode burst --out {out} --json"
    monkeypatch.setattr(sys, "argv", ["palmette", *words.split()])
    with pytest.raises(SystemExit, match="0"):
        cli.main()
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer == {"table": str(out), "rows": 1, "failed": 0}


def test_what_the_command_line_says_stands_in_place_of_the_settings(
    suite_of: Callable[..., Path], wrapper: Any, on_a_mac: None
) -> None:
    suite = suite_of("conv")
    quick = '{"units": ["all"], "modes": {"burst": ["network", "op"]}, "warmup_calls": 0,'
    quick += '"warmup_s": 0, "least_calls": 1, "most_calls": 1, "timed_s": 0, "sustained_s": 0,'
    (suite / "settings.json").write_text(quick + '"paced_s": 0, "cool_s": 0}')
    out = suite.parent / "results.csv"
    modes = ["burst", "sustained"]  # sustained is for networks, of which there are none
    measure.time_suite(suite, out, "mac", units=["cpuOnly"], modes=modes)
    assert [key(row)[2:] for row in rows(suite)] == [("cpuOnly", "burst")]


def test_a_suite_that_is_not_whole_is_refused(
    suite_of: Callable[..., Path], wrapper: Any, on_a_mac: None
) -> None:
    suite = suite_of("conv", "add")
    out = suite.parent / "results.csv"
    (suite / "add.mlpackage" / "Manifest.json").write_text("half")
    with pytest.raises(InputError, match=r"add.mlpackage: is not what the manifest says"):
        measure.time_suite(suite, out, "mac")
    (suite / "conv.mlpackage").rename(suite / "away")
    with pytest.raises(InputError, match=r"conv.mlpackage: is missing"):
        measure.time_suite(suite, out, "mac")
    assert not out.exists() and wrapper.log == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": ["ane"]}, "--units: must be of cpuOnly"),
        ({"modes": ["fast"]}, "--mode: must be of burst"),
        ({"modes": ["sustained"]}, "--mode: every kind needs burst"),
        ({"on": "iphone", "modes": ["paced"]}, "--mode: paced: calls of a phone from here are"),
        ({"on": "iphone"}, "--team: name the development team"),
        ({"out": Path("results.json")}, "it is a .csv file"),
    ],
)
def test_wrong_choices_are_refused(
    suite_of: Callable[..., Path], on_a_mac: None, given: dict[str, Any], message: str
) -> None:
    suite = suite_of("conv")
    with pytest.raises(InputError, match=message):
        measure.time_suite(**{"suite": suite, "out": suite.parent / "r.csv", "on": "mac", **given})


def test_kinds_that_no_mode_is_for_are_said_to_be_none(
    suite_of: Callable[..., Path], wrapper: Any
) -> None:
    with pytest.raises(InputError, match="ask for nothing that can be timed here"):
        run(suite_of("conv"), settings=replace(QUICK, modes={"burst": ("chain",)}))
