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

from palmette.latency import TARGETS, read_timings
from palmette.latency.tables import read_csv
from palmette.latency.timings import PASSPORT, REQUIRED, RULES, UNITS
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
        "thermal_before": "nominal",
        "thermal_after": "fair",
        "power_mode": "low",
        "os_build": "17A577",
        "flags": "digitised",
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
    assert set(counts) == set(TARGETS)
    assert sum(counts[name] for name in counts if "ios16" not in name) == 130
    assert counts["iphone-13/ane@coreml-ios16"] == 24
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
        ("network,", "net,", "row 2: subject_kind must be one of op, chain, network, got 'net'"),
        ("mobilenet_v2", "", "row 2: subject must name what was timed, got ''"),
        ("mobilenet_v2", "mobilenet_v9", "row 2: subject: network 'mobilenet_v9' is unknown; give"),
        ("mobilenet_v2", "no.csv", "row 2: subject: "),
        ("mobilenet_v2", "64x64 stem | head", "row 2: subject: "),
        ("mobilenet_v2", "mobilenet_v2@big", "row 2: subject: network 'mobilenet_v2@big': resol"),
        ("iphone-11/cpu", "iphone-99/cpu", "row 2: target must be a known target: iphone-11/cpu@"),
        ("iphone-11/cpu", "iphone-11/npu", "row 2: target must be a known target: "),
        ("iphone-11/cpu", "iphone-11/cpu@coreml-ios16", "row 2: target must be a known target: "),
        ("iphone-11/cpu", "", "row 2: target must be a known target: "),
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
    assert said.startswith("row 3: latency_ms ") and said.endswith("got '-1' (and 2 more)")


def test_row_numbers_count_blank_rows(tmp_path: Path) -> None:
    said = message(write(tmp_path, GOOD, "", ",,,,", GOOD.replace("19.0", "x")))
    assert said.startswith("row 5: latency_ms")


@pytest.mark.parametrize(
    ("content", "start"),
    [
        (b"", "cannot be read as CSV (No columns to parse from file)"),
        (f"{HEADER}\n".encode(), "the table has no rows"),
        (f"{HEADER}\n\n,,,,\n".encode(), "the table has no rows"),
        (f"{HEADER}\n{GOOD},x\n".encode(), "rows have more cells than the header has columns"),
        (f"{HEADER}\n{GOOD},\n{GOOD},\n".encode(), "rows have more cells than the header"),
        (f"{HEADER}\n{GOOD}\n{GOOD},x\n".encode(), "cannot be read as CSV (Error tokenizing"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "cannot be read as CSV ("),
        (b'"\n', "cannot be read as CSV ("),
        (f"{HEADER.replace(',', ';')}\n".encode(), "column 'subject_kind' is missing"),
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
