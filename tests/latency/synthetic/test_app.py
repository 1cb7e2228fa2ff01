import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from palmette import cli
from palmette.latency.planning.plan import Plan, Planned
from palmette.latency.suite.manifest import read_manifest, write_manifest
from palmette.latency.suite.results import COLUMNS, MODES, PLACEMENT, PLACEMENT_COLUMNS
from palmette.latency.synthetic import is_synthetic, target_of
from palmette.latency.synthetic.app import Conditions, run_suite
from palmette.latency.synthetic.body import Body
from palmette.latency.synthetic.planned import manifest_of
from palmette.latency.synthetic.results import write_results
from palmette.latency.synthetic.subjects import subject_truth
from palmette.latency.synthetic.truth import truth
from palmette.space import InputError, Op

OPS = [f"conv {c}x28x28 -> {c}x28x28 k3" for c in (16, 32, 48, 64, 80, 96)]
LEAVES = "permute 32x28x28 -> 28x28x32"
QUIET = Conditions(noise=0.0, load_noise=0.0, outliers=0.0, drift=0.0)


def plan_of(*subjects: str, anchors: int = 0) -> Plan:
    rows = [Planned("op", text, "op", target_of("ane"), 2.0) for text in subjects]
    anchor = Planned("op", "conv 24x28x28 -> 24x28x28", "anchor", target_of("ane"), 2.0)
    return Plan((*rows, *[anchor] * anchors))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_have_the_apps_columns_and_say_what_they_are(tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    found = write_results(manifest_of(plan_of(*OPS)), out, units=["cpuOnly", "all"])
    rows = rows_of(out)
    assert (found.rows, found.failed, found.kept) == (len(rows), 0, 0) == (36, 0, 0)
    assert list(rows[0]) == list(COLUMNS)
    assert all(is_synthetic(row["machine"]) and is_synthetic(row["os_build"]) for row in rows)
    assert [row["mode"] for row in rows[:3]] == list(MODES)
    placed = rows_of(tmp_path / PLACEMENT)
    assert list(placed[0]) == list(PLACEMENT_COLUMNS) and len(placed) == 12


def test_without_noise_rows_are_the_truth() -> None:
    chain = "8*(ir_r1_k3_s1_e6_c32_relu)@28x28x32"
    rows = [*plan_of(*OPS).rows, Planned("chain", chain, "chain", target_of("ane"), 2.0)]
    entries = manifest_of(Plan(tuple(rows)))
    for row in run_suite(entries, ["cpuOnly", "cpuAndGPU", "all"], conditions=QUIET):
        entry = entries[row["position"] - 1]
        unit = {"cpuOnly": "cpu", "cpuAndGPU": "gpu", "all": "ane"}[row["units"]]
        true_ms = subject_truth(entry.subject_kind, entry.subject, unit).ms(row["mode"])
        # calls without a pause near the heat that they hold; a minute is not for ever
        near = 0.01 if row["mode"] == "sustained" else 1e-5
        assert row["median_ms"] == pytest.approx(true_ms, rel=near), (entry.subject, row)


def test_noise_is_relative_and_hardly_moves_the_median() -> None:
    entries = manifest_of(plan_of(*OPS))
    rows = [row for row in run_suite(entries, seed=3) if row["mode"] == "burst"]
    true_ms = [subject_truth("op", entries[row["position"] - 1].subject).ms() for row in rows]
    ratios = np.array([row["median_ms"] for row in rows]) / true_ms
    assert 0.001 < ratios.std() < 0.02 and abs(ratios.mean() - 1) < 0.02
    spread = [math.log(row["p90_ms"] / row["p10_ms"]) for row in rows]
    assert np.median(spread) == pytest.approx(2.56 * 0.02, rel=0.4)
    assert all(row["min_ms"] < row["p10_ms"] < row["mean_ms"] for row in rows)


def test_an_app_that_waits_times_bursts_on_a_cool_phone_and_one_that_does_not_a_hot_one() -> None:
    big = "256x56x56 -> 256x56x56"
    entries = manifest_of(plan_of(*(f"conv {big} k{k}" for k in range(3, 8))))
    runs = [
        list(run_suite(entries, modes=["burst", "sustained"], conditions=about))
        for about in (Conditions(), Conditions(patient=False))
    ]
    bursts = [[row for row in rows if row["mode"] == "burst"] for rows in runs]
    assert {row["thermal_start"] for row in bursts[0]} == {"nominal"}
    assert {"fair", "serious", "critical"} & {row["thermal_start"] for row in bursts[1]}
    slower = [late["median_ms"] / row["median_ms"] for row, late in zip(*bursts, strict=True)]
    assert max(slower) > 1.2 and min(slower) > 0.97


def test_the_phone_nears_the_heat_of_its_load_and_cools() -> None:
    body, cost = Body(), truth([Op.from_text("conv 256x56x56 -> 256x56x56 k3")] * 20)
    states = []
    for _ in range(6):
        states.append(body.state)
        body.call(cost, 10.0)
    assert states[0] == "nominal" and states[-1] == body.state == "critical"
    assert cost.busy_ms * body.factor + cost.idle_ms == pytest.approx(
        cost.ms("sustained"), rel=0.02
    )
    body.cool()
    assert body.state == "nominal" and body.factor == 1
    assert body.seconds > 60


def test_drift_shows_in_the_anchors() -> None:
    entries = manifest_of(plan_of(*[f"conv 8x{n}x8 -> 8x{n}x8" for n in range(8, 58)], anchors=1))
    about = Conditions(noise=0.0, load_noise=0.0, outliers=0.0, drift=0.1)
    rows = list(run_suite(entries, modes=["burst"], conditions=about))
    own = [row["median_ms"] for row in rows if entries[row["position"] - 1].role == "anchor"]
    assert len(own) == 4 and own[-1] / own[0] == pytest.approx(1.1, rel=1e-4)


def test_what_leaves_the_neural_engine_is_counted_and_placed(tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    write_results(manifest_of(plan_of(f"{OPS[1]} ; {LEAVES}")), out)
    row, placed = rows_of(out)[0], rows_of(tmp_path / PLACEMENT)
    assert (row["ops_ane"], row["ops_gpu"], row["ops_cpu"]) == ("1", "0", "1")
    assert [one["preferred"] for one in placed] == ["ane", "cpu"]
    assert [one["supported"] for one in placed] == ["ane;cpu", "cpu"]
    assert sum(float(one["cost"]) for one in placed) == pytest.approx(1, abs=1e-5)


def test_a_package_that_cannot_be_run_has_an_error_and_the_others_their_rows(
    tmp_path: Path,
) -> None:
    entries = manifest_of(plan_of(*OPS[:2]))
    entries[0] = replace(entries[0], subject="no op")
    found = write_results(entries, tmp_path / "results.csv")
    rows = rows_of(found.results)
    assert found.failed == 1 and "no op" in rows[0]["error"] and rows[0]["median_ms"] == ""
    assert [row["error"] for row in rows[1:]] == ["", "", ""]


@pytest.mark.parametrize("cut", [0, 40, 400, 900, 2000])
def test_a_run_that_was_cut_off_anywhere_ends_in_the_same_bytes(cut: int, tmp_path: Path) -> None:
    entries, whole, torn = manifest_of(plan_of(*OPS)), tmp_path / "whole.csv", tmp_path / "torn.csv"
    write_results(entries, whole, seed=5)
    torn.write_bytes(whole.read_bytes()[:cut])
    found = write_results(entries, torn, seed=5)
    assert torn.read_bytes() == whole.read_bytes()
    assert found.kept == max(whole.read_bytes()[:cut].count(b"\n") - 1, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("position", "place"), "the columns must be"),
        (lambda text: text.replace("synthetic.0", "synthetic.1"), "another suite, seed or phone"),
        (lambda text: text.replace("\n1,", "\n9,"), "another suite, seed or phone"),
        (lambda text: text.replace("burst,synthetic", "synthetic"), "must have 24 cells, got 23"),
        (lambda text: "\0\udcff" + text, "cannot be read"),
    ],
)
def test_results_of_something_else_are_left_alone(
    change: Callable[[str], str], words: str, tmp_path: Path
) -> None:
    entries, out = manifest_of(plan_of(*OPS[:2])), tmp_path / "results.csv"
    write_results(entries, out)
    other = change(out.read_text()).encode("utf-8", "surrogateescape")
    out.write_bytes(other)
    with pytest.raises(InputError, match=words):
        write_results(entries, out)
    assert out.read_bytes() == other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": ["npu"]}, "units must be of cpuOnly.*got npu"),
        ({"units": []}, "once each, got none"),
        ({"modes": ["hot"]}, "modes must be of burst"),
        ({"units": ["all", "all"]}, "once each"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        write_results(manifest_of(plan_of(OPS[0])), tmp_path / "results.csv", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_plan_is_a_suite_without_packages(tmp_path: Path) -> None:
    add = "add 8x4x4 + 8x4x4 -> 8x4x4"
    entries = manifest_of(plan_of(*OPS, *OPS, add, anchors=2), seed=1)
    write_manifest(tmp_path, entries)
    assert read_manifest(tmp_path) == entries
    assert [entry.role for entry in entries].count("anchor") == 2
    assert len({entry.file for entry in entries}) == len({entry.sha256 for entry in entries}) == 8
    (two,) = (entry for entry in entries if entry.subject == add)
    assert (two.input_name, two.input_shape) == ("input0;input1", "1x8x4x4;1x8x4x4")
    assert manifest_of(plan_of(*OPS), 1) != manifest_of(plan_of(*OPS), 2)


def test_a_plan_with_an_unreadable_subject_is_refused() -> None:
    with pytest.raises(InputError, match="op 'conv what'"):
        manifest_of(plan_of("conv what"))


def test_the_command_times_a_plan_and_leaves_another_ones_results_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    plan_of(*OPS[:2]).write(Path("plan.csv"))
    plan_of(*OPS[:3]).write(Path("other.csv"))
    command = ["latency", "synthetic", "plan.csv", "--out", "first/results.csv", "--json"]
    assert not cli.app(command, standalone_mode=False)
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows"], answer["kept"]) == (6, 0)
    before = {path.name: path.read_bytes() for path in Path("first").iterdir()}
    assert set(before) == {"results.csv", "placement.csv", "manifest.csv"}
    assert not cli.app(command, standalone_mode=False)
    printed = capsys.readouterr()
    assert json.loads(printed.out)["kept"] == 6 and "never quote" in printed.err
    for changed, words in (
        ([*command[:2], "other.csv", *command[3:]], "another suite"),
        ([*command[:2], "other.csv", "--out", "first/more.csv"], "manifest.csv: is of another"),
        ([*command, "--units", "cpuOnly"], "has rows of cpuAndNeuralEngine; name another folder"),
    ):
        with pytest.raises(InputError, match=words):
            cli.app(changed, standalone_mode=False)
    # a folder is a suite
    assert not cli.app([*command[:2], "first", *command[3:]], standalone_mode=False)
    assert {path.name: path.read_bytes() for path in Path("first").iterdir()} == before
    # other units beside it have a placement of their own, and write over no other
    more = [*command[:4], "first/more.csv", "--units", "cpuOnly"]
    assert not cli.app(more, standalone_mode=False)
    after = {path.name: path.read_bytes() for path in Path("first").iterdir()}
    assert set(after) - set(before) == {"more.csv", "more.placement.csv"}
    assert {name: after[name] for name in before} == before
    Path("first/more.csv").unlink()
    with pytest.raises(InputError, match=r"more.placement.csv: is of another"):
        cli.app([*more[:-1], "all"], standalone_mode=False)
