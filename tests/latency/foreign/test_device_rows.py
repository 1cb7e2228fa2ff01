"""The app's results become timings: one row a package and unit, every bad row by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palmette.latency import published_timings
from palmette.latency.foreign.forms import import_files
from palmette.latency.foreign.imported import Imported
from palmette.latency.foreign.plausible import too_slow
from palmette.latency.suite.manifest import write_manifest
from palmette.latency.timings import read_timing_tables
from palmette.space import InputError
from tests.latency.foreign.conftest import UNITS, Answers

ANE = "iphone-15-pro/ane@coreml-ios18"
CPU = "iphone-15-pro/cpu@coreml-ios18"


def take(answers: Answers, rows: list[dict[str, Any]]) -> Imported:
    return import_files([answers.write(rows)], suite=answers.suite)


def reason(answers: Answers, row: dict[str, Any]) -> str:
    """Why one row among good ones is left out; all the good ones must be there."""
    rows = [one for one in answers.rows() if one["position"] != row["position"]]
    found = take(answers, [*rows, row])
    (bad,) = found.left_out
    assert bad.row == len(rows) + 2 and bad.file == str(answers.results)
    assert len(found.rows) == len(rows) == found.taken
    return bad.reason


def test_ways_of_calling_one_package_are_one_row(answers: Answers) -> None:
    rows = [
        answers.row(mode="sustained", median_ms=0.3, p10_ms=0.2, p90_ms=0.4, mean_ms=0.3),
        answers.row(),
        answers.row(mode="paced", median_ms=0.5, p10_ms=0.2, p90_ms=0.6, mean_ms=0.5),
    ]
    found = take(answers, rows)
    assert found.taken == 3 and not found.left_out and found.without_passport == 0
    assert found.rows.iloc[0].to_dict() == {
        "subject_kind": "op",
        "subject": "conv 32x56x56 -> 64x56x56 relu",
        "target": ANE,
        "latency_ms": "0.2",
        "source": "palmette suite, iPhone16,1, 18.1 22B83, 2026-11-28",
        "input_kind": "tensor",
        "requested_units": UNITS,
        "placement": "ane 52, cpu 3",
        "precision": "fp16",
        "repeats": "100",
        "p10_ms": "0.19",
        "p90_ms": "0.22",
        "burst_ms": "0.2",
        "sustained_ms": "0.3",
        "paced_ms": "0.5",
        "thermal_before": "nominal",
        "thermal_after": "nominal",
        "power_mode": "normal",
        "os_build": "22B83",
        "flags": "",
    }
    lost = f"6 of the suite's 7 timings on {UNITS} have no good row (positions 2-7)"
    others = [
        f"2 of 3 packages on {UNITS} have no good {mode} (p3.mlpackage, p4.mlpackage)"
        for mode in ("sustained", "paced")
    ]
    assert found.notes == tuple(f"{answers.results}: {line}" for line in (lost, *others))


def test_what_comes_in_is_a_timing_table(answers: Answers) -> None:
    found = take(answers, [*answers.rows(), *answers.rows("cpuOnly", ops_ane=0, ops_cpu=55)])
    out = answers.suite.parent / "table.csv"
    found.write(out)
    read = read_timing_tables([out])
    assert not read.quarantined and len(read.rows) == found.taken == 14
    assert read.rows["target"].value_counts().to_dict() == {ANE: 7, CPU: 7}
    assert set(read.rows["flags"]) == {"", "anchor"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"median_ms": "nan"}, "median_ms must be a positive number of milliseconds"),
        ({"median_ms": 0}, "median_ms must be a positive"),
        ({"median_ms": -0.2}, "median_ms must be a positive .*, got '-0.2'"),
        ({"median_ms": "inf"}, "median_ms must be a positive"),
        ({"median_ms": ""}, "median_ms must be a positive"),
        ({"p10_ms": 0.1, "min_ms": 0.1, "p90_ms": 1.0}, "less than 10 times p10_ms, got 1 and 0.1"),
        ({"median_ms": 0.0002}, "at least 0.005 ms, what any call takes, got 0.0002; in seconds"),
        ({"median_ms": 200}, "must not be above p90_ms, got 200 and 0.22; in another unit"),
        ({"mean_ms": 0.001}, "min_ms must not be above mean_ms, .*in another unit"),
        ({"mean_ms": 204}, "mean_ms must be within 100 times median_ms 0.2, got 204"),
        ({"min_ms": 0.21}, "min_ms must not be above p10_ms"),
        ({"thermal_start": "serious"}, "thermal_start of a burst must not be serious or critical"),
        ({"thermal_start": "critical"}, "thermal_start of a burst"),
        ({"thermal_start": "hot"}, "thermal_start must be one of nominal, fair"),
        ({"sha256": "f" * 64}, "sha256 must be that of position 1 of manifest.csv"),
        ({"sha256": "x"}, "sha256 must be 64 hexadecimal digits"),
        ({"file": "p2.mlpackage"}, "file must be 'p1.mlpackage'"),
        ({"units": "npu"}, "units must be one of cpuOnly"),
        ({"mode": "fast"}, "mode must be one of burst"),
        ({"n": 0}, "n must be a whole number from 1, got '0'"),
        ({"os_version": "beta"}, "os_version must be a version"),
        ({"low_power": "yes"}, "low_power must be 0, 1 or blank"),
        ({"started_at": "today"}, "started_at must be a time in UTC"),
        ({"error": "it crashed twice"}, "it could not be timed: it crashed twice"),
        ({"units": "all", "ops_ane": "", "ops_gpu": "", "ops_cpu": ""}, "do not tell which unit"),
        (
            {"median_ms": 0.00052, "p10_ms": "", "p90_ms": "", "min_ms": "", "mean_ms": ""},
            "in seconds",
        ),
    ],
)
def test_a_bad_row_is_left_out_by_itself(
    answers: Answers, change: dict[str, Any], words: str
) -> None:
    assert re.search(words, reason(answers, answers.row(**change)))


def test_a_row_of_no_position_is_left_out(answers: Answers) -> None:
    row = {**answers.row(1), "position": 8}
    assert reason(answers, row) == "position must be one of the 7 of manifest.csv, got 8"


FIGURES = ("median_ms", "p10_ms", "p90_ms", "min_ms", "mean_ms")


def test_a_row_in_another_unit_is_told_by_its_work_or_its_like(answers: Answers) -> None:
    seconds = {name: answers.row(6)[name] / 1000 for name in FIGURES}
    assert "in seconds?" in reason(answers, answers.row(6, **seconds))
    fast = {name: answers.row(6)[name] / 50 for name in FIGURES}
    assert "that its work takes at the unit's peak" in reason(answers, answers.row(6, **fast))
    # enough of its like: what was asked for on all units ran on the same one
    more = [answers.row(position, units="all") for position in (2, 5, 7)]
    microseconds = {name: answers.row(6)[name] * 1000 for name in FIGURES}
    rows = [row for row in answers.rows() if row["position"] != 6]
    (bad,) = take(answers, [*rows, *more, answers.row(6, **microseconds)]).left_out
    assert "times what networks like it take" in bad.reason and bad.row == 11


def test_published_timings_are_told_in_microseconds_alone() -> None:
    """Both sides of `SLOWEST`, on every target of the published table."""
    rows = published_timings().astype({"latency_ms": float})
    rows = rows[rows["subject_kind"] == "network"]
    columns = ("subject_kind", "subject", "target", "latency_ms")
    things = list(zip(*(rows[name].tolist() for name in columns), strict=True))
    assert too_slow(things) == []
    lines = too_slow([(*what, 1000 * ms) for *what, ms in things])
    assert len(lines) == rows["target"].nunique() > 10


def test_hot_calls_count_where_heat_is_meant(answers: Answers) -> None:
    hot = {"thermal_start": "serious", "thermal_end": "serious"}
    rows = [answers.row(), answers.row(mode="sustained", **hot)]
    found = take(answers, rows)
    assert not found.left_out and found.rows["sustained_ms"].tolist() == ["0.2"]


def test_calls_whose_burst_is_bad_are_left_out_with_it(answers: Answers) -> None:
    rows = [
        answers.row(2),
        answers.row(thermal_start="serious"),
        answers.row(mode="sustained"),
        answers.row(3, mode="paced"),
    ]
    found = take(answers, rows)
    assert [(bad.row, bad.reason) for bad in found.left_out][1:] == [
        (4, "there is no burst of it to stand with: row 3 is left out"),
        (5, "there is no burst of it to stand with: the file has no good row of it"),
    ]
    assert found.taken == 1


def test_modes_a_thousand_times_apart_do_not_stand_together(answers: Answers) -> None:
    slow = dict.fromkeys(FIGURES, 0.2e3)
    found = take(answers, [answers.row(), answers.row(mode="paced", **slow)])
    (bad,) = found.left_out
    assert "must be within 100 times that of the burst in row 2" in bad.reason


def test_a_second_timing_of_a_row_is_left_out(answers: Answers) -> None:
    later = answers.row(started_at="2026-11-28T13:00:00Z")
    found = take(answers, [answers.row(), later, answers.row(), answers.row(2)])
    assert [(bad.row, bad.reason) for bad in found.left_out] == [
        (3, "row 2 times the same and is preferred"),
        (4, f"it is the timing in row 2 of {answers.results} again"),
    ]


def test_a_copy_of_a_file_brings_no_second_timing(answers: Answers) -> None:
    path = answers.write(answers.rows())
    (copy := path.with_name("copy.csv")).write_bytes(path.read_bytes())
    found = import_files([path, copy], suite=answers.suite)
    assert len(found.rows) == 7
    assert {(bad.file, bad.reason.split(" of ")[0]) for bad in found.left_out} == {
        (str(copy), f"it is the timing in row {row}") for row in range(2, 9)
    }


def test_what_a_run_lacks_is_counted_by_units_and_by_what_became_timings(answers: Answers) -> None:
    """Ended halfway through the units, a row left out: nothing of it may look whole."""
    cpu = {"units": "cpuOnly", "ops_ane": 0, "ops_cpu": 55}
    rows = [*answers.rows(), answers.row(1, **cpu), answers.row(3, **cpu)]
    rows[3] |= {"median_ms": 0.0002}
    rows += [answers.row(2, mode="sustained"), answers.row(6, mode="sustained")]
    rows += [answers.row(2, mode="paced")]
    assert take(answers, rows).notes == tuple(
        f"{answers.results}: {line}"
        for line in (
            f"1 of the suite's 7 timings on {UNITS} have no good row (positions 4)",
            f"1 of 2 packages on {UNITS} have no good paced (p6.mlpackage)",
            "5 of the suite's 7 timings on cpuOnly have no good row (positions 2, 4-7)",
            "2 of 2 packages on cpuOnly have no good sustained (p2.mlpackage, p6.mlpackage)",
            "2 of 2 packages on cpuOnly have no good paced (p2.mlpackage, p6.mlpackage)",
        )
    )


def test_a_whole_file_in_microseconds_is_told(answers: Answers) -> None:
    """All are off alike, so that none is unlike its like."""
    rows = [{**row, **{name: 1000 * row[name] for name in FIGURES}} for row in answers.rows()]
    found = take(answers, rows)
    assert not found.left_out and len(found.notes) == 2
    for kind, line in zip(("ops", "networks"), found.notes, strict=True):
        assert f"{kind} on {ANE} take " in line and line.endswith("is the file in milliseconds?")
    assert not take(answers, answers.rows()).notes


# Where it ran


def test_what_ran_mostly_elsewhere_is_of_that_unit(answers: Answers) -> None:
    moved = answers.row(3, ops_ane=5, ops_cpu=50)
    found = take(answers, [answers.row(1), moved])
    assert found.rows["target"].tolist() == [ANE, CPU]
    assert found.rows["flags"].tolist() == ["", "ran on cpu"]
    assert found.rows["requested_units"].tolist() == [UNITS, UNITS]


def test_what_fell_back_gives_way_to_a_timing_of_that_unit(answers: Answers) -> None:
    rows = [answers.row(1, ops_ane=0, ops_cpu=9), answers.row(1, units="cpuOnly"), answers.row(2)]
    rows[1] |= {"ops_ane": 0, "ops_cpu": 9}
    found = take(answers, rows)
    (bad,) = found.left_out
    assert bad.reason == (
        "asked for on cpuAndNeuralEngine it ran on cpu 9; row 3 times that unit itself"
    )
    for name in FIGURES:  # a row that is left out itself is no reason to leave another out
        rows[1][name] = 0.006
    rows[1] |= {"position": 6, "file": "p6.mlpackage", "sha256": answers.entries[5].sha256}
    rows[0] |= {name: rows[1][name] for name in ("position", "file", "sha256")}
    (bad,) = take(answers, rows).left_out
    assert bad.row == 3 and "at the unit's peak" in bad.reason


def test_a_probe_is_of_the_unit_that_it_was_asked_for_on(answers: Answers) -> None:
    """It is made to leave the unit: how much of it does is what it is timed for."""
    probe = "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 2*sigmoid@float32"
    first = replace(answers.entries[0], subject_kind="probe", subject=probe, role="probe")
    write_manifest(answers.suite, [first, *answers.entries[1:]])
    found = take(answers, [answers.row(1, ops_ane=4, ops_cpu=9)])
    assert found.rows["target"].tolist() == [ANE] and found.rows["flags"].tolist() == [""]
    assert found.rows["subject"].tolist() == [probe]


def test_estimated_costs_decide_where_the_plan_has_them(answers: Answers) -> None:
    op = {"file": "p1.mlpackage", "operator": "ios17.conv"}
    answers.write_placement(
        [
            {**op, "place": 0, "output": "a", "preferred": "cpu", "cost": 0.1},
            {**op, "place": 1, "output": "b", "preferred": "cpu", "cost": 0.1},
            {**op, "place": 2, "output": "c", "preferred": "ane", "cost": 0.8},
        ]
    )
    found = take(answers, [answers.row(1, ops_ane=1, ops_cpu=2), answers.row(3)])
    assert found.rows["target"].tolist() == [ANE, ANE]
    assert found.rows["placement"].tolist() == ["ane 1, cpu 2", "ane 52, cpu 3"]


def test_all_units_are_the_one_that_ran(answers: Answers) -> None:
    found = take(answers, [answers.row(units="all", ops_ane=0, ops_gpu=50)])
    assert found.rows["target"].tolist() == ["iphone-15-pro/gpu@coreml-ios18"]
    assert found.rows["flags"].tolist() == [""]


def test_a_target_can_be_given_but_not_another_unit(answers: Answers) -> None:
    rows = [answers.row(1), answers.row(3, units="cpuOnly", ops_ane=0)]
    path = answers.write(rows)
    mine = "my-phone/ane@coreml-ios18"
    found = import_files([path], suite=answers.suite, target=mine)
    assert found.rows["target"].tolist() == [mine]
    assert [bad.reason for bad in found.left_out] == [f"it ran on the cpu, not on that of {mine}"]


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"machine": "Mac15,6", "os_version": "15.1"}, "mac-15-6/ane@coreml-macos15"),
        ({"machine": "iMac21,1", "os_version": "15.1"}, "imac-21-1/ane@coreml-macos15"),
        ({"machine": "VirtualMac2,1", "os_version": "14.6"}, "virtualmac-2-1/ane@coreml-macos14"),
        ({"machine": "iPhone99,9"}, "iphone-99-9/ane@coreml-ios18"),
        ({"machine": "synthetic-phone", "os_version": "0.0"}, "synthetic-phone/ane@synthetic"),
    ],
)
def test_machines_that_the_table_lacks_keep_their_names(
    answers: Answers, change: dict[str, Any], target: str
) -> None:
    assert take(answers, [answers.row(**change)]).rows["target"].tolist() == [target]


# Passports and doubts


@pytest.mark.parametrize(
    "change",
    [
        {"os_build": ""},
        {"thermal_start": ""},
        {"thermal_start": "unknown", "thermal_end": "unknown"},
        {"low_power": ""},
        {"ops_ane": "", "ops_gpu": "", "ops_cpu": ""},
    ],
)
def test_a_row_without_a_passport_is_flagged(answers: Answers, change: dict[str, Any]) -> None:
    found = take(answers, [answers.row(**change), answers.row(3)])
    assert found.rows["flags"].tolist() == ["no passport", ""]
    assert found.without_passport == 1


def test_low_power_and_warmth_are_flagged(answers: Answers) -> None:
    found = take(answers, [answers.row(low_power=1), answers.row(3, thermal_start="fair")])
    assert found.rows["flags"].tolist() == ["low power", "warm"]
    assert found.rows["power_mode"].tolist() == ["low", "normal"]


def test_rows_beside_an_anchor_that_drifted_are_flagged(answers: Answers) -> None:
    rows = answers.rows()
    for name in FIGURES:
        rows[6][name] *= 1.06
    found = take(answers, rows)
    assert found.rows["flags"].tolist() == [
        *("", "anchor", "", "", "anchor", "drift", "drift anchor")
    ]
    assert found.notes == (f"{answers.results}: 2 of 7 timings are flagged 'drift'",)
    for name in FIGURES:
        rows[6][name] *= 1.04 / 1.06
    assert "drift" not in " ".join(take(answers, rows).rows["flags"])


def test_drift_of_one_choice_of_units_does_not_touch_another(answers: Answers) -> None:
    rows = [*answers.rows(), *answers.rows("cpuOnly", ops_ane=0, ops_cpu=55)]
    for name in FIGURES:
        rows[1][name] *= 1.2
    flags = take(answers, rows).rows["flags"].tolist()
    assert [at for at, flag in enumerate(flags) if "drift" in flag] == [0, 1, 2, 3]


# Files that came half


def test_a_torn_last_line_spoils_itself_alone(answers: Answers) -> None:
    path = answers.write(answers.rows())
    whole = path.read_bytes()
    for cut in (2, 30, 60, 90):
        path.write_bytes(whole[:-cut])
        found = import_files([path], suite=answers.suite)
        (bad,) = found.left_out
        assert bad.row == 8 and "the line is torn: a row has 24 cells" in bad.reason
        assert len(found.rows) == 6
    path.write_bytes(whole[:-1])  # nothing but the line's end is gone
    assert not import_files([path], suite=answers.suite).left_out


def test_lines_that_a_crash_ran_together_are_one_bad_row(answers: Answers) -> None:
    path = answers.write(answers.rows())
    lines = path.read_text().splitlines()
    lines[3:5] = [lines[3][:40] + lines[4]]
    path.write_text("\n".join(lines) + "\n")
    found = import_files([path], suite=answers.suite)
    assert [bad.row for bad in found.left_out] == [4] and len(found.rows) == 5


def test_a_quote_without_end_spoils_its_line_alone(answers: Answers) -> None:
    path = answers.write(answers.rows())
    lines = path.read_text().splitlines()
    lines[2] += '"half'
    lines[4] = '"' + lines[4]
    path.write_text("\n".join(lines) + "\n")
    assert [bad.row for bad in import_files([path], suite=answers.suite).left_out] == [3, 5]


def test_packages_that_were_not_copied_are_told(answers: Answers) -> None:
    (answers.suite / "p2.mlpackage").rmdir()
    found = take(answers, answers.rows())
    assert {bad.row for bad in found.left_out} == {3, 6, 8}
    assert found.left_out[0].reason == (
        "package 'p2.mlpackage' is in manifest.csv but not in the folder; copy the suite whole"
    )


def test_a_manifest_that_stands_alone_will_do(answers: Answers) -> None:
    for package in answers.suite.glob("*.mlpackage"):
        package.rmdir()
    assert not take(answers, answers.rows()).left_out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("position,sha256,mode,median_ms\n1,a,b,c\n", "the first line must be 'position,file,"),
        (None, "no row is good|none is good"),
    ],
)
def test_a_file_without_a_good_row_is_refused(
    answers: Answers, text: str | None, words: str
) -> None:
    path = answers.write([answers.row(median_ms=0)])
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words):
        import_files([path], suite=answers.suite)


def test_results_need_what_they_are_of(answers: Answers) -> None:
    path = answers.write(answers.rows())
    with pytest.raises(InputError, match="results of a device need --suite"):
        import_files([path])
    with pytest.raises(InputError, match="give one of them"):
        import_files([path], suite=answers.suite, subject="mobilenet_v2")
    with pytest.raises(InputError, match="name its folder with --suite"):
        import_files([path], subject="mobilenet_v2")
    with pytest.raises(InputError, match="results of devices need none"):
        import_files([answers.suite / "manifest.csv"], suite=answers.suite)


# Nothing is silently dropped

PIECES = st.sampled_from(["nan", "", "0", "-1", "serious", "x", '"', ",", "\x00", "1e9", "a,b"])
HARM = st.tuples(st.integers(1, 10), st.integers(0, 400), st.integers(0, 30), PIECES)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(HARM, max_size=4), st.integers(0, 60))
def test_every_row_ends_in_a_timing_or_among_those_left_out(
    answers: Answers, harms: list[tuple[int, int, int, str]], cut: int
) -> None:
    rows = [*answers.rows(), answers.row(mode="paced"), answers.row(3, mode="sustained")]
    path = answers.write(rows)
    text = path.read_text().splitlines()
    for line, start, length, piece in harms:
        at = min(line, len(text) - 1)
        text[at] = text[at][:start] + piece + text[at][start + length :]
    whole = "\n".join(text) + "\n"
    path.write_bytes(whole.encode()[: len(whole) - cut])
    given_rows = [one for one in path.read_bytes().split(b"\n")[1:] if one.strip(b"\r")]
    try:
        found = import_files([path], suite=answers.suite)
    except InputError as error:
        assert f"(of {len(given_rows)} rows none is good)" in str(error)
        return
    assert found.taken + len(found.left_out) == len(given_rows)
    assert all(bad.reason and bad.row >= 2 for bad in found.left_out)
    numbers = [bad.row for bad in found.left_out]
    assert len(set(numbers)) == len(numbers)
    found.write(answers.suite.parent / "table.csv")
    assert not read_timing_tables([answers.suite.parent / "table.csv"]).quarantined
