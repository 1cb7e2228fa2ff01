"""The timing table: what a row may hold, and what is said of a bad one."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency import TARGETS, conflicts, read_timing_tables, read_timings
from palmette.latency.tables import read_csv
from palmette.latency.timings import INCOMPLETE, PASSPORT, REQUIRED, RULES, UNITS
from palmette.space import InputError, load

HEADER = "subject_kind,subject,target,latency_ms,source"
GOOD = "network,mobilenet_v2,iphone-11/cpu,19.0,me"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def message(path: Path) -> str:
    """What is said of a bad table, without its path."""
    with pytest.raises(InputError) as caught:
        read_timings(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text
    return text.removeprefix(f"{path}: ")


# Good tables


def test_a_row_becomes_full_names_and_numbers(tmp_path: Path) -> None:
    found = read_timings(write(tmp_path, GOOD))
    assert list(found.columns) == list(RULES)
    row = found.iloc[0].to_dict()
    assert row["target"] == "iphone-11/cpu@coreml-ios13"
    assert row["latency_ms"] == 19.0
    assert pd.isna(row["p10_ms"]) and row["flags"] == "" and row["warmup"] == ""
    assert all(found[name].dtype == float for name in RULES if name.endswith("_ms"))


@pytest.mark.parametrize("target", TARGETS)
def test_full_names_stay(tmp_path: Path, target: str) -> None:
    found = read_timings(write(tmp_path, GOOD.replace("iphone-11/cpu", target)))
    assert found["target"].tolist() == [target]


@pytest.mark.parametrize(
    ("text", "ms"), [("1", 1.0), ("1e-3", 0.001), (" 2.50 ", 2.5), ("1e6", 1e6)]
)
def test_milliseconds_are_any_positive_number(tmp_path: Path, text: str, ms: float) -> None:
    found = read_timings(write(tmp_path, GOOD.replace("19.0", text)))
    assert found["latency_ms"].tolist() == [ms]


def test_a_full_passport_is_kept(tmp_path: Path) -> None:
    values = {
        "input_kind": "image",
        "requested_units": "cpuAndNeuralEngine",
        "placement": "ane 61 of 63",
        "precision": "fp16",
        "warmup": "10",
        "repeats": "100",
        "p10_ms": "18.5",
        "p90_ms": "20.5",
        "burst_ms": "17",
        "sustained_ms": "25",
        "paced_ms": "21",
        "thermal_before": "nominal",
        "thermal_after": "fair",
        "power_mode": "low",
        "os_build": "17A577",
        "flags": "digitised",
        "part_of": "some network",
        "family": "its kin",
    }
    assert set(values) == set(PASSPORT)
    path = write(
        tmp_path,
        f"{GOOD},{','.join(values.values())}",
        header=f"{HEADER},{','.join(values)}",
    )
    row = read_timings(path).iloc[0]
    for name, text in values.items():
        assert row[name] == (float(text) if name.endswith("_ms") else text)


def test_columns_come_in_any_order_and_blank_rows_are_skipped(tmp_path: Path) -> None:
    columns = HEADER.split(",")[::-1]
    values = GOOD.split(",")[::-1]
    path = write(tmp_path, "", ",".join(values), ",,,,", header=",".join(columns))
    assert len(read_timings(path)) == 1


def test_networks_may_be_names_texts_resolutions_and_files(tmp_path: Path) -> None:
    from palmette.latency.op_lists import network_ops, write_op_list

    write_op_list(tmp_path / "lists" / "it.csv", load("mobilenet_v1").ops())
    subjects = [
        "mobilenet_v2@192x256",
        "repvit_m1.0",
        load("fbnet_c").with_resolution(160).to_text(),
        "lists/it.csv",
    ]
    found = read_timings(write(tmp_path, *(GOOD.replace("mobilenet_v2", s) for s in subjects)))
    assert found["subject"].tolist()[:3] == subjects[:3]
    # from then on the path holds wherever the program runs
    assert found["subject"][3] == str(tmp_path / "lists" / "it.csv")
    assert sum(op.macs for op in network_ops(found["subject"][3])) == load("mobilenet_v1").macs()


def test_ops_and_chains_are_rows_too(tmp_path: Path) -> None:
    op = "op,conv 3x224x224 -> 32x112x112 k3 s2,iphone-11/gpu,0.4,me"
    chain = "chain,4*(ir_k3_s1_e6_c64_relu6)@14x14x64,iphone-11/gpu,0.4,me"
    assert read_timings(write(tmp_path, op, chain))["subject_kind"].tolist() == ["op", "chain"]


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{GOOD}\n".encode()))
    assert len(read_timings(path)) == 1


def test_the_shipped_timings_are_those_that_the_design_counts(timings: pd.DataFrame) -> None:
    counts = timings["target"].value_counts().to_dict()
    assert set(counts) == {name for name, target in TARGETS.items() if target.family or target.like}
    assert sum(counts[name] for name in counts if TARGETS[name].family.endswith("2020")) == 130
    assert counts["iphone-13/ane@coreml-ios16"] == 24
    anchored = {name: counts[name] for name in counts if TARGETS[name].like}
    assert {name.partition("/")[0]: rows for name, rows in anchored.items()} == {
        "iphone-14": 6,
        "iphone-14-pro": 4,
        "iphone-15-pro": 2,
    }
    assert timings["latency_ms"].between(0.1, 1000).all()
    assert (timings["source"] != "").all()
    assert not timings.duplicated(["subject", "target"]).any()


# Bad tables


@pytest.mark.parametrize(
    "text", ["-1", "0", "nan", "NaN", "", " ", "inf", "-inf", "1e400", "1000001"]
)
def test_milliseconds_that_are_no_positive_number_are_refused(tmp_path: Path, text: str) -> None:
    said = message(write(tmp_path, GOOD, GOOD.replace("19.0", text)))
    rule = "row 3: latency_ms must be a positive number of milliseconds up to 1e+06"
    assert said == f"{rule}, got {text!r}"


@pytest.mark.parametrize("text", ["fast", "19 ms", "1_9", "0x13", "19;0", "True"])
def test_milliseconds_that_are_no_number_are_refused(tmp_path: Path, text: str) -> None:
    said = message(write(tmp_path, GOOD.replace("19.0", text)))
    assert said.startswith("row 2: latency_ms must be a positive number") and repr(text) in said


@pytest.mark.parametrize(
    ("old", "new", "start"),
    [
        ("network,", "net,", "row 2: subject_kind must be one of op, chain, network, probe, got"),
        ("mobilenet_v2", "", "row 2: subject must name what was timed, got ''"),
        ("mobilenet_v2", "mobilenet_v9", "row 2: subject: network 'mobilenet_v9' is unknown; did"),
        ("mobilenet_v2", "no.csv", "row 2: subject: "),
        ("mobilenet_v2", "64x64 stem | head", "row 2: subject: "),
        ("mobilenet_v2", "mobilenet_v2@big", "row 2: subject: network 'mobilenet_v2@big': resol"),
        ("iphone-11/cpu", "iphone-99/cpu", "row 2: target must be device/unit@runtime in lower"),
        ("iphone-11/cpu", "iphone-11/npu@x", "row 2: target must be device/unit@runtime in lower"),
        ("iphone-11/cpu", "iPhone/cpu@x", "row 2: target must be device/unit@runtime in lower"),
        ("iphone-11/cpu", "", "row 2: target must be device/unit@runtime in lower"),
        (",me", ",", "row 2: source must say where the figure is from, got ''"),
        ("network,mobilenet_v2", "op,conv 3x8 -> 8x8", "row 2: subject: op 'conv 3x8 -> 8x8': "),
    ],
)
def test_a_cell_against_its_rule_is_refused(tmp_path: Path, old: str, new: str, start: str) -> None:
    assert message(write(tmp_path, GOOD.replace(old, new))).startswith(start)


@pytest.mark.parametrize(
    ("column", "text", "rule"),
    [
        ("input_kind", "sound", "must be one of tensor, image, or blank"),
        ("requested_units", "npu", f"must be one of {', '.join(UNITS)}, or blank"),
        ("warmup", "-1", "must be a whole number, or blank"),
        ("repeats", "1.5", "must be a whole number, or blank"),
        ("repeats", "²", "must be a whole number, or blank"),
        ("p10_ms", "-1", "must be a positive number of milliseconds up to 1e+06, or blank"),
        ("p90_ms", "nan", "must be a positive number of milliseconds up to 1e+06, or blank"),
        ("burst_ms", "x", "must be a positive number of milliseconds up to 1e+06, or blank"),
        ("sustained_ms", "0", "must be a positive number of milliseconds up to 1e+06, or blank"),
    ],
)
def test_a_passport_against_its_rule_is_refused(
    tmp_path: Path, column: str, text: str, rule: str
) -> None:
    said = message(write(tmp_path, f"{GOOD},", f"{GOOD},{text}", header=f"{HEADER},{column}"))
    assert said == f"row 3: {column} {rule}, got {text!r}"


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    header = ",".join("flags" if name == column else name for name in HEADER.split(","))
    said = message(write(tmp_path, GOOD, header=header))
    assert said == (
        f"column '{column}' is missing; a timing table needs"
        " subject_kind, subject, target, latency_ms, source"
    )


@pytest.mark.parametrize("column", ["ms", "latency_ms", " flags"])
def test_an_unknown_column_is_named(tmp_path: Path, column: str) -> None:
    said = message(write(tmp_path, f"{GOOD},1", header=f"{HEADER},{column}"))
    assert said.startswith("unknown column '") and column in said and "known: subject_kind" in said


def test_the_first_bad_row_is_named_and_the_others_counted(tmp_path: Path) -> None:
    bad = GOOD.replace("19.0", "-1").replace(",me", ",")
    said = message(write(tmp_path, GOOD, bad, GOOD, GOOD.replace("network", "net")))
    assert said.startswith("row 3: latency_ms ") and said.endswith("got '-1' (and 1 more)")


def test_row_numbers_count_blank_rows(tmp_path: Path) -> None:
    said = message(write(tmp_path, GOOD, "", ",,,,", GOOD.replace("19.0", "x")))
    assert said.startswith("row 5: latency_ms")


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b"", "is empty; a table begins with a line of its columns' names"),
        (f"{HEADER}\n".encode(), "the table has no rows"),
        (f"{HEADER}\n\n,,,,\n".encode(), "the table has no rows"),
        (f"{HEADER}\n{GOOD},x\n".encode(), "rows have more cells than the header has columns"),
        (f"{HEADER}\n{GOOD},\n{GOOD},\n".encode(), "rows have more cells than the header"),
        (
            f"{HEADER}\n{GOOD}\n{GOOD},x\n".encode(),
            "row 3 has 6 cells, those before it 5; is there a",
        ),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "cannot be read as CSV ("),
        (b'"\n', "cannot be read as CSV ("),
        (f"{HEADER.replace(',', ';')}\n".encode(), "has semicolons between cells"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, start: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert message(path).startswith(start)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        assert message(path).startswith("cannot be read as CSV (")


@settings(max_examples=60)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=6), st.text(max_size=40))
def test_no_text_is_read_halfway(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], rest: str
) -> None:
    """Whatever comes from outside is a table or one line of complaint."""
    path = tmp_path_factory.mktemp("made") / "table.csv"
    path.write_text(f"{HEADER}\n{','.join(cells)}\n{rest}", "utf-8", errors="replace")
    with pytest.raises(InputError) as caught:
        read_timings(path)
    assert "\n" not in str(caught.value)


def test_cells_stay_text_and_the_index_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "any.csv"
    path.write_text("a,b\n1,NA\n\n007,\n", "utf-8")
    table = read_csv(path)
    assert table.index.tolist() == [2, 4]
    assert table["a"].tolist() == ["1", "007"] and table["b"].tolist() == ["NA", ""]


def test_the_schema_is_imported_when_a_table_is_read_not_before() -> None:
    code = (
        "import sys, palmette.latency; print([m for m in ('pandera', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Bad rows, put aside one by one


OP = "op,conv 8x14x14 -> 8x14x14,my-phone/gpu@made,0.5,me"
CHAIN = "chain,4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24,my-phone/gpu@made,0.5,me"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD.replace("19.0", "nan"), "latency_ms must be a positive number of"),
        (GOOD.replace("19.0", "0"), "latency_ms must be a positive number of"),
        (GOOD.replace("19.0", "-3"), "latency_ms must be a positive number of"),
        (GOOD.replace("19.0", ""), "latency_ms must be a positive number of"),
        (GOOD.replace("19.0", "19 ms"), "latency_ms must be a positive number of"),
        (GOOD.replace("19.0", "2e7"), "latency_ms must be a positive number of"),
        (
            GOOD.replace("mobilenet_v2", "net_x"),
            "subject: network 'net_x' is unknown; did you mean",
        ),
        (GOOD.replace("iphone-11/cpu", "iphone-11/npu"), "target must be device/unit@runtime"),
        (GOOD.replace("network,", "net,"), "subject_kind must be one of op, chain, network, probe"),
        (OP.replace("conv", "convolve"), "subject: op 'convolve 8x14x14 -> 8x14x14': unknown kind"),
        (OP.replace("0.5", "0x1"), "latency_ms must be a positive number of"),
        (OP.replace("8x14x14 ->", "8x0x14 ->"), "subject: op 'conv 8x0x14 -> 8x14x14': a shape is"),
        (OP.replace("8x14x14 ->", "7x14x14 ->").replace(",my", " g2,my"), "subject: op 'conv 7x14"),
        (OP.replace("8x14x14,my", "8x14x14 ; ,my"), "subject: op '': expected 'kind inputs ->"),
        (CHAIN.replace("4*", "0*"), "subject: chain '0*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24'"),
        (CHAIN.replace("56x56x24", "56x56"), "subject: chain '4*(ir_r1_k3_s1_e6_c24_relu6)@56x56'"),
        (CHAIN.replace("_s1_", "_s2_"), "subject: chain '4*(ir_r1_k3_s2_e6_c24_relu6)@56x56x24'"),
    ],
)
def test_a_bad_row_is_put_aside_with_file_row_and_reason(
    tmp_path: Path, row: str, reason: str
) -> None:
    path = write(tmp_path, GOOD, row, OP, CHAIN)
    found = read_timing_tables([path])
    (bad,) = found.quarantined
    assert (bad.file, bad.row, bad.subject) == (str(path), 3, row.split(",")[1])
    assert bad.reason.startswith(reason) and "\n" not in bad.reason
    assert found.rows["subject"].tolist() == [text.split(",")[1] for text in (GOOD, OP, CHAIN)]
    assert found.rows["latency_ms"].tolist() == [19.0, 0.5, 0.5]


def test_every_row_of_every_file_is_kept_or_put_aside_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    second = write(tmp_path / "b", OP.replace("conv", "magic"), CHAIN)
    first = write(tmp_path, GOOD, GOOD.replace("19.0", "x"), OP, GOOD.replace(",me", ","))
    found = read_timing_tables([first, second])
    assert [(row.file, row.row) for row in found.quarantined] == [
        (str(first), 3),
        (str(first), 5),
        (str(second), 2),
    ]
    assert found.rows["subject_kind"].tolist() == ["network", "op", "chain"]
    assert list(found.rows.columns) == list(RULES) and found.rows.index.tolist() == [0, 1, 2]


def test_one_source_that_contradicts_itself_tenfold_loses_the_rows_that_do(tmp_path: Path) -> None:
    rows = [GOOD, GOOD.replace("19.0", "21"), GOOD.replace("19.0", "0.02"), GOOD]
    found = read_timing_tables([write(tmp_path, *rows, GOOD.replace("19.0,me", "190.5,you"))])
    (bad,) = found.quarantined
    assert bad.row == 4
    assert bad.reason == (
        "latency_ms 0.02 ms, but the same took 19 ms (median of 4); more than 10 times between them"
    )
    assert found.rows["latency_ms"].tolist() == [19.0, 21.0, 19.0, 190.5]


def test_the_same_op_on_another_phone_contradicts_nothing(tmp_path: Path) -> None:
    other = OP.replace("my-phone", "other-phone").replace("0.5", "50")
    assert read_timing_tables([write(tmp_path, OP, other)]).quarantined == ()


def test_two_sources_that_disagree_are_told_and_both_kept(tmp_path: Path) -> None:
    rows = [
        GOOD,
        GOOD.replace("19.0,me", "21,me"),
        GOOD.replace("19.0,me", "30,you"),
        GOOD.replace("19.0,me", "21.9,them"),
        OP,
        OP.replace("0.5,me", "0.54,you"),  # within a tenth: they agree
        CHAIN,
        CHAIN.replace("0.5,me", "50,you"),  # a hundredfold, by another source: not dropped
    ]
    found = read_timing_tables([write(tmp_path, *rows)])
    assert found.quarantined == () and len(found.rows) == len(rows)
    table = conflicts(found.rows)
    assert table.to_dict("records") == [
        {
            "target": "my-phone/gpu@made",
            "subject": "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24",
            "low_ms": 0.5,
            "low_source": "me",
            "high_ms": 50.0,
            "high_source": "you",
            "differs": "",
            "ratio": 100.0,
        },
        {
            "target": "iphone-11/cpu@coreml-ios13",
            "subject": "mobilenet_v2",
            "low_ms": 20.0,  # the median of one source
            "low_source": "me",
            "high_ms": 30.0,
            "high_source": "you",
            "differs": "",
            "ratio": 1.5,
        },
    ]


def test_two_passports_of_one_source_that_disagree_are_told_with_what_differs(
    tmp_path: Path,
) -> None:
    rows = [
        f"{GOOD},20G75,normal",
        f"{GOOD.replace('19.0', '25')},22B91,normal",
        f"{GOOD.replace('19.0', '24')},22B91,low",
        f"{OP},20G75,",
        f"{OP.replace('0.5', '0.6')},20G75,low",
        f"{CHAIN},20G75,low",
        f"{CHAIN.replace('0.5', '0.6')},20G75,low",  # one passport: its median stands for both
    ]
    table = conflicts(read_timings(write(tmp_path, *rows, header=f"{HEADER},os_build,power_mode")))
    assert table["differs"].tolist() == [
        "os_build 20G75 and 22B91",
        "power_mode - and low",
    ]
    assert table["low_source"].tolist() == table["high_source"].tolist() == ["me", "me"]
    assert table["ratio"].tolist() == pytest.approx([25 / 19, 0.6 / 0.5])


def test_the_command_says_which_passports_disagree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from palmette.cli.latency import given_timings

    rows = [f"{GOOD},20G75", f"{GOOD.replace('19.0', '25')},22B91", GOOD.replace("me", "you") + ","]
    given_timings([write(tmp_path, *rows, header=f"{HEADER},os_build")])
    assert capsys.readouterr().err == (
        "passports disagree: mobilenet_v2 on iphone-11/cpu@coreml-ios13: 19 ms (me) and 25 ms (me);"
        " os_build 20G75 and 22B91\n"
    )


def test_the_shipped_timings_have_no_conflict(timings: pd.DataFrame) -> None:
    table = conflicts(timings)
    assert len(table) == 0 and "ratio" in table


def parts(*ms: str, target: str = "my-phone/gpu@made", network: str = "my_net") -> list[str]:
    """A network timed whole and by its kernels, in rows of `HEADER` and part_of."""
    ops = [
        f"op,conv 8x{9 + at}x9 -> 8x{9 + at}x9,{target},{one},me,{network}"
        for at, one in enumerate(ms)
    ]
    return [f"network,{network},{target},9,me,", *ops]


def test_a_network_may_be_any_name_whose_kernels_the_table_holds(tmp_path: Path) -> None:
    path = write(tmp_path, *parts("1", "2"), header=f"{HEADER},part_of")
    found = read_timing_tables([path])
    assert found.quarantined == () and found.rows["flags"].tolist() == ["", "", ""]
    elsewhere = write(
        tmp_path,
        *parts("1", "2"),
        "network,my_net,my-phone/cpu@made,9,me,",
        header=f"{HEADER},part_of",
    )
    (bad,) = read_timing_tables([elsewhere]).quarantined  # held for another target alone
    assert bad.row == 5 and "network 'my_net' is unknown" in bad.reason


@pytest.mark.parametrize("wrong", ["", "nan", "0", "-1", "x"])
def test_a_network_that_lost_a_kernel_is_flagged_incomplete(tmp_path: Path, wrong: str) -> None:
    rows = [*parts("1", wrong, "2"), *parts("1", "2", network="whole")]
    found = read_timing_tables([write(tmp_path, *rows, header=f"{HEADER},part_of")])
    (bad,) = found.quarantined
    assert (bad.row, bad.part_of) == (4, "my_net")
    flagged = found.rows[found.rows["flags"] != ""]
    assert flagged["subject"].tolist() == ["my_net"]
    assert flagged["flags"].tolist() == [INCOMPLETE]


def test_the_flag_stands_behind_flags_that_are_there(tmp_path: Path) -> None:
    rows = [f"{row}," for row in parts("1", "2", "0")]
    rows[0] += "digitised"
    found = read_timing_tables([write(tmp_path, *rows, header=f"{HEADER},part_of,flags")])
    assert found.rows["flags"].tolist() == [f"digitised {INCOMPLETE}", "", ""]


def test_a_network_that_lost_a_kernel_on_one_phone_is_whole_on_another(tmp_path: Path) -> None:
    rows = [*parts("1", "0"), *parts("1", "2", target="other-phone/gpu@made")]
    found = read_timing_tables([write(tmp_path, *rows, header=f"{HEADER},part_of")])
    networks = found.rows[found.rows["subject_kind"] == "network"]
    flags = dict(zip(networks["target"], networks["flags"], strict=True))
    assert flags == {"my-phone/gpu@made": INCOMPLETE, "other-phone/gpu@made": ""}


def test_a_lost_kernel_of_an_unreadable_target_hurts_that_network_everywhere(
    tmp_path: Path,
) -> None:
    rows = parts("1", "2")
    rows.append(rows[-1].replace("my-phone/gpu@made", "My Phone"))
    found = read_timing_tables([write(tmp_path, *rows, header=f"{HEADER},part_of")])
    assert found.rows["flags"].tolist() == [INCOMPLETE, "", ""]


def test_a_table_without_a_good_row_is_refused_by_its_first(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("19.0", "0"), OP.replace("conv", "magic"))
    with pytest.raises(InputError) as caught:
        read_timing_tables([path])
    said = str(caught.value)
    assert said.startswith(f"{path}: row 2: latency_ms must be") and "\n" not in said
    assert said.endswith("got '0' (and 1 more; no row is good)")
