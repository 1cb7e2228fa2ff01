"""Files of every form together: from what devices gave, by the command line, to a fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker
from typer.testing import CliRunner

from palmette.cli import app
from palmette.latency import LatencyPredictor, read_timings
from palmette.latency.foreign.forms import import_files, is_device_file
from palmette.latency.foreign.maps import find_map
from palmette.latency.foreign.measurements import FORMAT
from palmette.latency.phones import device_of
from palmette.latency.placement import PlacedOp, read_placements
from palmette.space import InputError
from tests.latency.foreign.conftest import SERIAL, UNITS, Answers, report

ANE = "iphone-15-pro/ane@coreml-ios18"


def run(*args: str, told: str = "") -> str:
    found = CliRunner().invoke(app, ["latency", *args])
    assert found.exit_code == 0, found.output + str(found.exception)
    assert told in found.stderr
    return found.stdout


def measurements(folder: Path, package: str, samples: list[float]) -> Path:
    measured = MLModelBenchmarker.Measurement.from_samples(samples)
    entry = {"package": package, "units": UNITS, **dataclasses.asdict(measured)}
    path = folder / "timed.json"
    machine = {"machine": "iPhone16,1", "os_version": "18.1", "os_build": "22B83"}
    path.write_text(json.dumps({"format": FORMAT, **machine, "measurements": [entry]}), "utf-8")
    return path


def test_what_three_tools_gave_is_fitted_together(answers: Answers, tmp_path: Path) -> None:
    """The app timed two networks, Xcode one, coremltools one: four make a target."""
    rows = [answers.row(2), answers.row(5, median_ms=0.61), answers.row(6, median_ms=0.62)]
    rows += [answers.row(7, median_ms="nan")]
    app_table, xcode, tools = (str(tmp_path / f"{name}.csv") for name in ("app", "xcode", "tools"))
    suite = ["--suite", str(answers.suite), "--json"]
    left = str(tmp_path / "left.csv")
    told = run("import", str(answers.write(rows)), "--out", app_table, "--quarantine", left, *suite)
    assert json.loads(told) == {
        **{"table": app_table, "rows": 3, "taken": 3, "left_out": 1, "without_passport": 0}
    }
    assert "median_ms must be a positive number" in Path(left).read_text()
    path = report(tmp_path)
    told = run("import", str(path), "--subject", "mobilenet_v3_large", "--out", xcode)
    assert told.splitlines()[0] == f"{xcode}: 1 timings"
    assert SERIAL not in Path(xcode).read_text()
    path = measurements(tmp_path, "e0.mlpackage", [1.0, 1.1, 1.05])
    bare = "1 of 1 timings have no passport"
    run("import", str(path), "--subject", "efficientnet_b0", "--out", tools, told=bare)
    out = tmp_path / "mine.json"
    tables = [app_table, xcode, tools]
    half = "2 of 5 timings count half beside others of their target"
    run("fit", *tables, "--target", ANE, "--out", str(out), "--json", told=half)
    predictor = LatencyPredictor.read(out)
    assert set(predictor.held_out_errors_) == {
        *("mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0")
    }


def test_an_import_never_writes_over_what_it_reads(answers: Answers, tmp_path: Path) -> None:
    path = answers.write(answers.rows())
    manifest, new = answers.suite / "manifest.csv", str(tmp_path / "new.csv")
    wrong = [("--out", path), ("--out", path.with_name("placement.csv")), ("--out", manifest)]
    wrong += [("--quarantine", path.parent / "." / path.name), ("--quarantine", Path(new))]
    for option, place in wrong:
        before = place.read_bytes() if place.exists() else b""
        args = ["latency", "import", str(path), "--suite", str(answers.suite)]
        options = {"--out": new, option: str(place)}
        found = CliRunner().invoke(app, [*args, *(word for one in options.items() for word in one)])
        assert isinstance(found.exception, InputError)
        assert "name another path" in str(found.exception)
        assert (place.read_bytes() if place.exists() else b"") == before
    assert not Path(new).exists()


def test_devices_and_foreign_tables_come_in_together(answers: Answers, tmp_path: Path) -> None:
    lines = [
        'format = "palmette/import-map@1"\n[columns]\nsubject_kind = "network"',
        'subject = "{model}"\ntarget = "my/ane@coreml-ios18"\nlatency_ms = "{ms}"\nsource = "me"',
        'paced_ms = { from = "{paced}", unit = "us" }',
    ]
    (tmp_path / "m.toml").write_text("\n".join(lines))
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("model,ms,paced\nmobilenet_v1,0.5,700\n")
    files = [answers.write(answers.rows()), foreign]
    found = import_files(files, [find_map(str(tmp_path / "m.toml"))], suite=answers.suite)
    assert found.taken == len(found.rows) == 8 and found.without_passport == 1
    found.write(tmp_path / "table.csv")
    read = read_timings(tmp_path / "table.csv")
    assert read["paced_ms"].tolist()[-1] == 0.7 and read["paced_ms"].notna().sum() == 1


def test_files_are_known_by_what_they_are(answers: Answers, tmp_path: Path) -> None:
    path = report(tmp_path)
    path.rename(tmp_path / "renamed")
    assert is_device_file(tmp_path / "renamed") and is_device_file(tmp_path / "none.mlperf")
    renamed = answers.write([]).rename(tmp_path / "from my phone.csv")
    assert is_device_file(renamed)
    assert not is_device_file(answers.suite / "manifest.csv")
    assert not is_device_file(tmp_path / "none.csv")


def test_results_go_by_the_texts_of_their_subject(tmp_path: Path) -> None:
    texts = {
        "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24": "chain",
        "conv 32x56x56 -> 64x56x56 relu": "op",
        "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 2*sigmoid@float32": "probe",
        "mobilenet_v2@192x192": "network",
    }
    path = report(tmp_path)
    for text, kind in texts.items():
        found = import_files([path], subject=text)
        assert found.rows["subject_kind"].tolist() == [kind]
    with pytest.raises(InputError, match="network 'warpnet' is unknown"):
        import_files([path], subject="warpnet")


@pytest.mark.parametrize(
    ("machine", "device"),
    [
        ("iPhone12,1", "iphone-11"),
        ("iPhone 12 mini", "iphone-12-mini"),
        ("iPhone SE (2nd generation)", "iphone-se-2"),
        ("iPhone99,12", "iphone-99-12"),
        ("Mac15,6", "mac-15-6"),
        ("synthetic-phone", "synthetic-phone"),
    ],
)
def test_a_device_has_one_name(machine: str, device: str) -> None:
    assert device_of(machine) == device


def test_a_machine_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match="has no name that a target could have"):
        device_of("?!")


def test_bad_rows_of_a_placement_are_left_out(answers: Answers) -> None:
    op = {"file": "p1.mlpackage", "place": 0, "operator": "ios16.conv", "output": "a"}
    op |= {"preferred": "ane", "supported": "cpu;ane", "cost": 0.5}
    answers.write_placement(
        [
            op,
            op,
            {**op, "output": "b"},
            {**op, "preferred": "npu"},
            {**op, "place": "x"},
            {**op, "cost": 1.5},
            {**op, "units": "npu"},
            {**op, "file": ""},
            {**op, "place": 1, "supported": "unknown", "cost": ""},
            {**op, "place": 2, "preferred": "unknown", "supported": "cpu;unknown"},
        ]
    )
    found, bad = read_placements(answers.results.parent / "placement.csv")
    assert [row.row for row in bad] == [4, 5, 6, 7, 8, 9]
    assert [row.reason.split()[0] for row in bad] == [
        *("place", "a", "place", "cost", "units", "file")
    ]
    ops = found["p1.mlpackage", UNITS].ops
    assert ops == (
        PlacedOp("conv", "a", "ane", ("cpu", "ane"), 0.5),
        PlacedOp("conv", "a", "ane", (), None),
    )
    told = import_files([answers.write(answers.rows())], suite=answers.suite).left_out
    assert {row.file for row in told} == {str(answers.results.parent / "placement.csv")}


@pytest.mark.parametrize("text", ["", "file,units\n", "a,b\n1,2\n1,2,3\n"])
def test_a_damaged_placement_costs_no_timing(answers: Answers, text: str) -> None:
    placement = answers.results.parent / "placement.csv"
    placement.write_text(text)
    found = import_files([answers.write(answers.rows())], suite=answers.suite)
    assert len(found.rows) == 7 and set(found.rows["placement"]) == {"ane 52, cpu 3"}
    (bad,) = found.left_out
    assert bad.file == str(placement) and bad.reason.endswith("is read off the counts")
