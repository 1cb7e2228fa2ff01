"""`palmette latency plan`: what it prints, and the file that it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from palmette import cli
from palmette.cli.door import check_planned
from palmette.cli.plan import say_plan_next
from palmette.latency.planning.plan import Plan
from palmette.latency.targets import parse_target
from palmette.space import InputError

Printed = pytest.CaptureFixture[str]
HOST = ("--target", "host/cpu@torch-eager")


def run(*arguments: object) -> None:
    cli.app(["latency", "plan", *map(str, arguments)], standalone_mode=False)


def test_a_plan_is_written_and_shown(space_file: Path, tmp_path: Path, capsys: Printed) -> None:
    out = tmp_path / "plan.csv"
    run("--space", space_file, *HOST, "--minutes", 1, "--out", out)
    shown = capsys.readouterr().out
    assert "To time for 'small' on host/cpu@torch-eager" in shown
    assert "scales the sum" in shown and "price of kernels" in shown
    assert "guessed, as no predictor is known" in shown
    measure = f"palmette latency measure --target {HOST[1]} --plan {out} --out table.csv"
    assert f"next: {measure} (" in shown
    plan = Plan.read(out)
    assert 30 < plan.seconds <= 60
    assert {kind for kind, _ in plan.subjects} == {"op", "chain", "network"}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("iphone-15/ane@coreml-ios18", "next: palmette latency suite p.csv --out suite ("),
        ("synthetic-phone/ane@synthetic", "next: palmette latency synthetic p.csv --out results"),
        ("iphone-xs/gpu@tflite-2.10", "palmette times nothing on tflite-2.10: use its own tools"),
    ],
)
def test_a_plan_is_followed_by_what_times_its_target(
    target: str, words: str, capsys: Printed
) -> None:
    say_plan_next(parse_target(target), Path("p.csv"))
    answer = capsys.readouterr()
    assert words in answer.out + answer.err


@pytest.mark.parametrize("runtime", ["ios18", "coreml-18", "coreml-ios18.2", "coreml18", "ios-18"])
def test_a_runtime_meant_as_core_mls_is_asked_about(runtime: str) -> None:
    with pytest.raises(InputError, match="did you mean my/ane@coreml-ios18[?]"):
        check_planned(parse_target(f"my/ane@{runtime}"))


@pytest.mark.parametrize(
    "runtime",
    ["coreml-ios18", "coreml-ios12", "tflite-2.10", "torch-eager", "synthetic", "onnx-1.20"],
)
def test_other_runtimes_are_planned_for(runtime: str) -> None:
    check_planned(parse_target(f"my/ane@{runtime}"))


def test_a_program_gets_the_rows(space_file: Path, capsys: Printed) -> None:
    run("--space", space_file, "--target", "iphone-13/ane", "--minutes", 3, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "iphone-13/ane@coreml-ios16" and found["guessed"] is False
    assert found["seconds"] == pytest.approx(sum(row["seconds"] for row in found["rows"]))
    assert [row["role"] for row in found["rows"][:5]] == ["calibration"] * 5
    assert 0 < found["covered"] <= 1 and 0 < found["untimed"] < 1


def test_what_nothing_times_is_said(space_file: Path, capsys: Printed) -> None:
    run("--space", space_file, "--target", "iphone-13/ane", "--minutes", 30)
    shown = capsys.readouterr().out
    assert "too short to be timed alone and in no chain of equal blocks" in shown
    assert "counted above as far as they are like a timed one" in shown
    assert "further minutes add nothing: all that can be timed is planned" in shown


def test_no_two_networks_read_alike(space_file: Path, capsys: Printed) -> None:
    run("--space", space_file, "--target", "iphone-13/ane", "--minutes", 3)
    shown = capsys.readouterr().out
    names = [line.split("  ")[0] for line in shown.splitlines() if "scales the sum" in line]
    assert len(names) == len(set(names)) and all("..." not in name for name in names)
    assert any(re.fullmatch("[0-9]+x[0-9]+ [0-9a-f]{8}", name) for name in names)
    assert "has its size and its id; the plan's file has its text" in shown
    assert max(map(len, shown.partition("\n\n")[0].splitlines())) <= 80


def test_few_minutes_and_unknown_names_are_refused(space_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.csv"
    with pytest.raises(InputError, match="minutes are too few"):
        run("--space", space_file, "--target", "iphone-13/ane", "--minutes", 0.1, "--out", out)
    with pytest.raises(InputError, match="target"):
        run("--space", space_file, "--target", "nothing", "--out", out)
    with pytest.raises(InputError, match="space"):
        run("--space", "nothing", *HOST, "--out", out)
    assert not out.exists()
