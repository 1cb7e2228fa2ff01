"""Importing: foreign rows become timings, and every other row is left out with its reason."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.foreign.imported import Imported
from palmette.latency.foreign.importing import import_timings
from palmette.latency.foreign.maps import SHIPPED, ImportMap, find_map, parse_map
from palmette.latency.foreign.rows import map_rows
from palmette.latency.timings import read_timing_tables, read_timings
from palmette.space import InputError
from palmette.space.third_party import third_party_files

XS = "iphone-xs/gpu@tflite-2.10"
PHONE = "my-phone/gpu@tflite-2.14"
HEAD = 'format = "palmette/import-map@1"\n'
COLUMNS = {
    **{"subject_kind": "network", "subject": "{model}", "target": PHONE},
    **{"latency_ms": "{ms}", "source": "my phone"},
}
ROW: dict[str, Any] = {
    **{"framework": "tflite-2.10-gpu", "device": "iphonexs", "processor": "gpu"},
    **{"precision": "fp16", "network": "net", "op_index": 0, "op": "conv"},
    **{"in_h": 14, "in_w": 14, "in_c": 8, "out_h": 14, "out_w": 14, "out_c": 16},
    **{"kernel": 1, "stride": 1, "groups": 1, "n_inputs": "", "act": "", "fused": "", "macs": ""},
    **{"latency_ms": 0.5, "unit": "ms"},
}
VECTOR = {"in_h": 1, "in_w": 1, "out_h": 1, "out_w": 1}
FAMILIES = "network,family\n" + "".join(f"{name},{name[0]}\n" for name in ("net", "other", "third"))


def own_map(head: str = "", tail: str = "", **columns: str) -> ImportMap:
    """The map of `COLUMNS`, changed; TOML before and after its table of columns."""
    lines = [f'{name} = "{text}"' for name, text in (COLUMNS | columns).items() if text]
    return parse_map("\n".join([HEAD, head, "[columns]", *lines, tail]), "my map")


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def take(folder: Path, text: str, import_map: ImportMap, **options: Any) -> Imported:
    """Import CSV text by a map."""
    return import_timings([(write(folder / "mine.csv", text), import_map)], **options)


def ops_file(folder: Path, *changes: dict[str, Any]) -> Path:
    """A good row, kernel 0 of `net`, then rows that differ from it as told, each the next one."""
    write(folder / "network_families.csv", FAMILIES)
    rows = [{**ROW, "op_index": at, **change} for at, change in enumerate(({}, *changes))]
    lines = [",".join(ROW), *(",".join(map(str, row.values())) for row in rows)]
    return write(folder / "ops.csv", "\n".join(lines) + "\n")


def take_ops(folder: Path, *changes: dict[str, Any], **options: Any) -> Imported:
    return import_timings([(ops_file(folder, *changes), find_map("mobile_ml_ops"))], **options)


# Cells


@pytest.mark.parametrize(
    ("unit", "given_ms", "ms"),
    [
        ("ms", "7.90", "7.90"),
        ("us", "412.5", "0.4125"),
        ("µs", "1500", "1.500"),
        ("s", "0.02", "20.00"),
        ("ns", "412500", "0.412500"),
    ],
)
def test_times_become_milliseconds_with_all_their_digits(
    tmp_path: Path, unit: str, given_ms: str, ms: str
) -> None:
    units = own_map(latency_ms="", tail='latency_ms = { from = "{ms}", unit = "{unit}" }')
    imported = take(tmp_path, f"model,ms,unit\nmobilenet_v2,{given_ms},{unit}\n", units)
    assert imported.rows["latency_ms"].tolist() == [ms]


@given(st.decimals("0.001", "1000", places=3))
def test_microseconds_come_back_exactly(us: Any) -> None:
    units = own_map(latency_ms="", tail='latency_ms = { from = "{us}", unit = "us" }')
    table = pd.DataFrame([{"model": "a", "us": str(us)}])
    (ms,) = map_rows(Path("a.csv"), table, units)["latency_ms"]
    assert float(ms) == float(us / 1000)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("mobilenet_v2,nan,ms", "latency_ms must be a positive number of milliseconds"),
        ("mobilenet_v2,,ms", "latency_ms must be a positive"),
        ("mobilenet_v2,0,ms", "latency_ms must be a positive"),
        ("mobilenet_v2,-0.1,us", "latency_ms must be a positive"),
        ("mobilenet_v2,inf,ms", "latency_ms must be a positive"),
        ("mobilenet_v2,fast,us", "latency_ms must be a positive .* got 'fast'"),
        ("mobilenet_v2,1e9,s", "latency_ms must be a positive"),
        ("mobilenet_v2,30,fps", "unit must be ns or us or µs or ms or s, got 'fps'"),
        ("mobilenet_v2,30,", "unit must be"),
        ("warpnet,1.5,ms", "subject: network 'warpnet' is unknown"),
        (",1.5,ms", "subject must name what was timed"),
    ],
)
def test_a_bad_row_is_left_out_and_alone_ends_in_one_line(
    tmp_path: Path, row: str, reason: str
) -> None:
    units = own_map(latency_ms="", tail='latency_ms = { from = "{ms}", unit = "{unit}" }')
    head = "model,ms,unit\n"
    imported = take(tmp_path, f"{head}mobilenet_v1,2.5,ms\n{row}\n", units)
    assert imported.rows["subject"].tolist() == ["mobilenet_v1"]
    (bad,) = imported.left_out
    assert bad.row == 3 and bad.file.endswith("mine.csv")
    with pytest.raises(InputError, match=rf"row 2: {reason}.*\(of 1 rows none is good\)$") as error:
        take(tmp_path, f"{head}{row}\n", units)
    assert "\n" not in str(error.value)


def test_a_value_that_the_map_lacks_leaves_its_row_out(tmp_path: Path) -> None:
    tail = '[columns.target]\nfrom = "{phone}"\nvalues = { A = "a/gpu@x", B = "b/gpu@x" }'
    phones = own_map(target="", tail=tail)
    text = "model,ms,phone\nmobilenet_v2,1,A\nmobilenet_v2,1,C\n"
    imported = take(tmp_path, text, phones)
    assert [str(bad).split("mine.csv: ")[1] for bad in imported.left_out] == [
        "row 3: target must be A or B, got 'C'"
    ]
    assert take(tmp_path, text, phones, target=PHONE).rows["target"].tolist() == [PHONE] * 2


def test_targets_get_their_full_names_and_malformed_ones_are_left_out(tmp_path: Path) -> None:
    imported = take(
        tmp_path,
        "model,ms,t\nmobilenet_v2,1,iphone-13/ane\nmobilenet_v2,1,My Phone\n",
        own_map(target="{t}"),
    )
    assert imported.rows["target"].tolist() == ["iphone-13/ane@coreml-ios16"]
    assert "target must be device/unit@runtime" in imported.left_out[0].reason


def test_chains_and_ops_come_in_by_templates(tmp_path: Path) -> None:
    text = (
        "kind,what,ms\nchain,4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24,1.5\nop,linear 8 -> 16,0.1\n"
        "op,warp 8 -> 16,0.1\nchain,4*(ir_r1_k3_s1_e6_c32_relu6)@56x56x24,1.5\nthing,a,1\n"
    )
    imported = take(tmp_path, text, own_map(subject_kind="{kind}", subject="{what}"))
    assert imported.rows["subject_kind"].tolist() == ["chain", "op"]
    assert [bad.row for bad in imported.left_out] == [4, 5, 6]


def test_paths_of_op_lists_are_those_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "net.csv", "op,count\nlinear 8 -> 16,1\n")
    imported = take(tmp_path, "model,ms\nnet.csv,1\n", own_map())
    imported.write(tmp_path / "elsewhere" / "t.csv")
    (subject,) = read_timings(tmp_path / "elsewhere" / "t.csv")["subject"]
    assert Path(subject) == tmp_path / "net.csv"


# Files


def test_a_missing_column_is_named_with_the_key_that_reads_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        take(tmp_path, "model,time\na,1\n", own_map())
    assert str(caught.value).endswith(
        "mine.csv: column 'ms' is missing, my map reads it in columns.latency_ms; the file has"
        " model, time"
    )
    with pytest.raises(InputError, match="my map: columns.target is missing"):
        take(tmp_path, "model,ms\na,1\n", own_map(target=""))


@pytest.mark.parametrize("column", [name for name in ROW if name not in ("macs", "framework")])
def test_a_missing_column_of_kernels_is_named(tmp_path: Path, column: str) -> None:
    path = ops_file(tmp_path)
    pd.read_csv(path).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"column '{column}' is missing"):
        import_timings([(path, find_map("mobile_ml_ops"))])


def test_packed_files_are_read_and_torn_ones_refused(tmp_path: Path) -> None:
    plain, ops = ops_file(tmp_path, {"fused": "relu"}), find_map("mobile_ml_ops")
    packed = tmp_path / "ops.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert import_timings([(packed, ops)]).rows.equals(import_timings([(plain, ops)]).rows)
    packed.write_bytes(packed.read_bytes()[:40])
    with pytest.raises(InputError, match="ops.csv.gz: cannot be"):
        import_timings([(packed, ops)])


def test_empty_missing_and_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mine.csv: the table has no rows"):
        take(tmp_path, "model,ms\n", own_map())
    with pytest.raises(InputError, match="none.csv: no such file"):
        import_timings([(tmp_path / "none.csv", own_map())])
    with pytest.raises(InputError, match="give one file or more"):
        import_timings([])


def test_devices_are_never_pooled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'device' has iphonexs and tablet; devices"):
        take_ops(tmp_path, {"device": "tablet"})
    files = [write(tmp_path / f"{name}.csv", f"model,ms,d\na,1,{name}\n") for name in "ab"]
    one = own_map('one_value = ["d"]')
    with pytest.raises(InputError, match="a.csv is of d 'a', .*b.csv of 'b'"):
        import_timings([(file, one) for file in files], target=PHONE)


def test_a_joined_file_adds_its_cells(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", "model,family\nmobilenet_v2,mobile\nmobilenet_v2,mobile\n")
    write(tmp_path / "g.csv", "model,family\nmobilenet_v2,other\n")
    join = own_map('join = { file = "f.csv", on = "model" }', family="{family}")
    text = "model,ms\nmobilenet_v2,1\nmobilenet_v1,2\n"
    imported = take(tmp_path, text, join)
    assert imported.rows["family"].tolist() == ["mobile", ""]
    (note,) = imported.notes
    assert "f.csv has no row for 1 model of" in note and note.endswith("'mobilenet_v1'")
    assert take(tmp_path, text, join, joined=tmp_path / "g.csv").rows["family"][0] == "other"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("model,family\na,one\na,two\n", "row 3: model 'a' is in a row before, with other cells"),
        ("model,family\n ,one\n", "row 2: model must not be blank"),
        ("network,family\na,one\n", "column 'model' is missing, by which files join"),
        ("model,ms\na,one\n", "both have the column 'ms'"),
        ("model,family\nb,one\n", "none of its model is in .*; got 'b'"),
        ("model,family\n", "f.csv: the table has no rows"),
    ],
)
def test_a_joined_file_that_is_not_one_to_one_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    write(tmp_path / "f.csv", text)
    join = own_map('join = { file = "f.csv", on = "model" }', family="{family}")
    with pytest.raises(InputError, match=reason):
        take(tmp_path, "model,ms\na,1\n", join)


# Rows together


@pytest.mark.parametrize(
    ("prefer", "kept"), [("all", [2, 3, 4, 5]), ("first", [2, 5]), ("digits", [3, 5])]
)
def test_of_equal_things_the_preferred_stays(tmp_path: Path, prefer: str, kept: list[int]) -> None:
    text = "model,ms\nmobilenet_v2,1.1\nmobilenet_v2,1.15\nmobilenet_v2,1.2\nmobilenet_v1,2\n"
    imported = take(tmp_path, text, own_map(f'prefer = "{prefer}"'))
    assert sorted({2, 3, 4, 5} - {bad.row for bad in imported.left_out}) == kept
    assert len(imported.rows) == len(kept)


def test_rows_are_sorted_where_the_map_says_so(tmp_path: Path) -> None:
    text = "model,ms\nmobilenet_v2,1\nmobilenet_v1,2\n"
    by_name = take(tmp_path, text, own_map('sort = ["subject"]'))
    assert by_name.rows["latency_ms"].tolist() == ["2", "1"]
    assert take(tmp_path, text, own_map()).rows["latency_ms"].tolist() == ["1", "2"]


def test_timings_ten_times_apart_contradict_each_other(tmp_path: Path) -> None:
    text = "model,ms\nmobilenet_v2,1\nmobilenet_v2,{}\nmobilenet_v1,2\n"
    imported = take(tmp_path, text.format("10.1"), own_map())
    assert [bad.row for bad in imported.left_out] == [2, 3]  # neither of two can be trusted
    assert not take(tmp_path, text.format("9.9"), own_map()).left_out


def test_every_row_is_taken_or_left_out_and_reasons_are_counted(tmp_path: Path) -> None:
    rows = ["mobilenet_v2,1,18", "a,1,18", "b,1,18", "mobilenet_v2,0,18", "c,1,17"]
    imported = take(
        tmp_path, "model,ms,os\n" + "\n".join(rows) + "\n", own_map('[keep]\nos = ["18"]')
    )
    assert len(imported.rows) + len(imported.left_out) == len(rows)
    found = {reason.text.split(";")[0]: reason for reason in imported.reasons()}
    assert {text: (reason.count, reason.first_rows) for text, reason in found.items()} == {
        "subject: network 'a' is unknown": (2, (3, 4)),
        "latency_ms must be a positive number of milliseconds up to 1e+06, got '0'": (1, (5,)),
        "not kept: os must be 18, got '17'": (1, (6,)),
    }
    imported.write_left_out(tmp_path / "bad.csv")
    bad = pd.read_csv(tmp_path / "bad.csv")
    assert list(bad) == ["file", "row", "subject", "reason", "part_of", "target"]
    assert bad["row"].tolist() == [3, 4, 5, 6]


# Kernels


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"act": "relu"}, "conv 8x14x14 -> 16x14x14 relu"),
        ({"kernel": "3.0", "stride": 2, "out_h": 7, "out_w": 7}, "conv 8x14x14 -> 16x7x7 k3 s2"),
        ({"op": "gconv", "groups": 4}, "conv 8x14x14 -> 16x14x14 g4"),
        ({"op": "dwconv", "out_c": 8, "groups": ""}, "conv 8x14x14 -> 8x14x14 g8"),
        ({"op": "fc", **VECTOR}, "linear 8 -> 16"),
        ({"op": "mean", "out_h": 1, "out_w": 1, "out_c": 8}, "mean 8x14x14 -> 8x1x1"),
        (
            {"op": "avgpool", "kernel": 14, "out_h": 1, "out_w": 1, "out_c": 8},
            "mean 8x14x14 -> 8x1x1",
        ),
        (
            {"op": "maxpool", "kernel": 2, "stride": 2, "out_h": 7, "out_w": 7, "out_c": 8},
            "pool 8x14x14 -> 8x7x7 k2 s2",
        ),
        (
            {"op": "concat", "n_inputs": 3, "out_c": 19, "kernel": ""},
            "concat 8x14x14 + 5x14x14 + 6x14x14 -> 19x14x14",
        ),
        (
            {"fused": "add+relu", "act": "relu"},
            "conv 8x14x14 -> 16x14x14 ; add 16x14x14 + 16x14x14 -> 16x14x14 relu",
        ),
        (
            {"fused": "relu+mul"},
            "conv 8x14x14 -> 16x14x14 relu ; mul 16x14x14 + 16x14x14 -> 16x14x14",
        ),
        ({"fused": "minimum+relu"}, "conv 8x14x14 -> 16x14x14 relu6"),
        ({"fused": "relu+minimum"}, "conv 8x14x14 -> 16x14x14 relu6"),
        ({"fused": "hard_swish"}, "conv 8x14x14 -> 16x14x14 hswish"),
        (
            {"fused": "relu+sigmoid"},
            "conv 8x14x14 -> 16x14x14 relu ; act 16x14x14 -> 16x14x14 sigmoid",
        ),
    ],
)
def test_a_row_is_a_kernel_of_its_network(
    tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    imported = take_ops(tmp_path, change)
    assert imported.rows["subject"][1] == text
    assert imported.rows["part_of"].tolist() == ["net", "net"]
    assert imported.rows["family"].tolist() == ["n", "n"]
    assert set(imported.rows["target"]) == {XS}
    assert not imported.left_out and not imported.notes


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"latency_ms": "nan"}, "latency_ms must be a positive number"),
        ({"latency_ms": 0}, "latency_ms must be a positive number"),
        ({"latency_ms": -0.1}, "latency_ms must be a positive number"),
        ({"unit": "us"}, "unit must be ms, got 'us'"),
        ({"op": "warp"}, "op 'warp' is unknown"),
        ({"fused": "relu+warp"}, "fused 'warp' is unknown"),
        ({"in_c": 0}, "in_c must be a whole number"),
        ({"in_h": 14.5}, "in_h must be a whole number"),
        ({"kernel": ""}, "kernel must be a whole number"),
        ({"out_h": 15}, "out_h must be 14 to 14"),
        ({"kernel": 3, "out_w": 11}, "out_w must be 12 to 14"),
        ({"op": "gconv", "groups": 3}, "groups must divide"),
        ({"op": "dwconv", "groups": 4}, "groups of a dwconv must be in_c 8, got 4"),
        ({"op": "mean"}, "a pool keeps its channels"),
        ({"op": "fc"}, "the output of an fc must be 1x1"),
        ({"op": "concat", "out_c": 8}, "cannot be joined"),
        ({"op": "relu"}, "must keep the shape"),
        ({"macs": 1}, "macs are 1, but the shapes give 25088"),
        ({"op_index": "x"}, "index must be a whole number"),
    ],
)
def test_a_bad_kernel_leaves_its_network_incomplete(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    imported = take_ops(tmp_path, change, {"network": "other", "op_index": 0})
    (bad,) = imported.left_out
    assert bad.row == 3 and bad.part_of == "net" and reason in bad.reason
    assert imported.rows["part_of"].tolist() == ["net", "other"]
    assert imported.rows["flags"].tolist() == ["incomplete", ""]
    (note,) = imported.notes
    assert note.startswith(f"network 'net' on {XS} is incomplete: row 3: ") and reason in note


def test_a_kernel_without_a_network_is_left_out_where_kernels_are_numbered(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", FAMILIES + "mobilenet_v2,m\n")
    imported = take_ops(tmp_path, {"network": " "}, joined=tmp_path / "f.csv")
    assert imported.left_out[0].reason == "part_of must name the network of kernel 1, got ''"


def test_contradicting_kernels_leave_all_their_networks_incomplete(tmp_path: Path) -> None:
    other = {"network": "other", "op_index": 0, "latency_ms": 5.1}
    imported = take_ops(tmp_path, {"kernel": 3}, other)
    assert [bad.row for bad in imported.left_out] == [2, 4]  # neither of two can be trusted
    assert len(imported.notes) == 2
    third = {"network": "third", "op_index": 0, "latency_ms": 0.45}
    imported = take_ops(tmp_path, other, third)
    assert [bad.row for bad in imported.left_out] == [3]  # two agree against one


def test_a_repeated_kernel_is_left_out_and_its_network_stays_whole(tmp_path: Path) -> None:
    imported = take_ops(tmp_path, {"op_index": 0, "latency_ms": 50})
    assert imported.rows["latency_ms"].tolist() == ["0.5"] and not imported.notes
    assert imported.left_out[0].reason == "kernel 0 of network 'net' is in row 2 too"


def test_a_gap_among_the_kernels_of_a_network_is_noticed(tmp_path: Path) -> None:
    imported = take_ops(tmp_path, {"op_index": 2})
    assert imported.notes == (f"network 'net' on {XS} is incomplete: there is no row for kernel 1",)


def test_other_names_of_columns_ops_and_activations_come_from_the_map(tmp_path: Path) -> None:
    kernels = own_map(
        **{"subject": "", "subject_kind": "op"},
        tail='[kernel.columns]\nop = "{layer}"\nact = "{activation}"\nfused = ""\nn_inputs = ""\n'
        '[kernel.names]\nConv2D = "conv"\nHardSwish = "hswish"\n',
    )
    head = "layer,activation,in_h,in_w,in_c,out_h,out_w,out_c,kernel,stride,groups,ms\n"
    text = head + "Conv2D,HardSwish,14,14,8,14,14,16,1,1,1,0.5\n"
    imported = take(tmp_path, text + "Conv3D,,14,14,8,14,14,16,1,1,1,0.5\n", kernels)
    assert imported.rows["subject"].tolist() == ["conv 8x14x14 -> 16x14x14 hswish"]
    assert "op 'Conv3D' is unknown" in imported.left_out[0].reason


def networks_file(folder: Path, *rows: tuple[str, Any]) -> Path:
    start = "tflite-2.10,iphonexs,gpu,fp16"
    lines = [f"{start},{name},{ms},ms" for name, ms in rows]
    head = "framework,device,processor,precision,network,latency_ms,unit"
    return write(folder / "networks.csv", "\n".join([head, *lines]) + "\n")


def test_networks_are_known_by_their_kernels_in_the_same_table(tmp_path: Path) -> None:
    ops = ops_file(tmp_path, {"network": "other", "op_index": 1})
    networks = networks_file(
        tmp_path, ("net", 1.5), ("third", 1.5), ("net", 1.6), ("other", 2), ("net", "nan")
    )
    sources = [(ops, find_map("mobile_ml_ops")), (networks, find_map("mobile_ml_networks"))]
    imported = import_timings(sources)
    assert imported.rows["subject"].tolist()[2:] == ["net", "other"]
    assert imported.rows["flags"].tolist() == ["", "incomplete", "", "incomplete"]
    assert [(bad.row, bad.reason.split(",")[0].split(";")[0]) for bad in imported.left_out] == [
        (3, "subject: network 'third' is unknown"),
        (4, "row 2 times the same and is preferred"),
        (6, "latency_ms must be a positive number of milliseconds up to 1e+06"),
    ]
    imported.write(tmp_path / "t.csv")
    assert len(read_timings(tmp_path / "t.csv")) == 4


# Shipped maps


def test_the_per_op_timings_come_in_whole(tmp_path: Path) -> None:
    files = third_party_files(
        [f"iphone_xs_gpu_tflite_{name}.csv.gz" for name in ("ops", "networks")]
    )
    if files is None:
        pytest.skip("the third-party timings are not part of the repository")
    maps = (find_map("mobile_ml_ops"), find_map("mobile_ml_networks"))
    imported = import_timings(list(zip(files, maps, strict=True)))
    assert not imported.left_out and not imported.notes
    imported.write(tmp_path / "xs.csv")
    read = read_timing_tables([tmp_path / "xs.csv"])
    assert not read.quarantined and set(read.rows["target"]) == {XS}
    assert read.rows["subject_kind"].value_counts().to_dict() == {"op": 5556, "network": 102}
    assert read.rows["family"].nunique() == 20 and read.rows["part_of"].nunique() == 103


def test_the_example_takes_the_table_of_its_comment(tmp_path: Path) -> None:
    lines = (SHIPPED / "example.toml").read_text("utf-8").splitlines()
    table = "\n".join(line[6:] for line in lines if line.startswith("#     ")) + "\n"
    imported = take(tmp_path, table, find_map("example"))
    columns = ["subject", "target", "latency_ms", "repeats", "os_build", "flags"]
    ane, gpu = (f"iphone-15-pro/{unit}@coreml-ios18" for unit in ("ane", "gpu"))
    assert imported.rows[columns].values.tolist() == [
        ["mobilenet_v2", ane, "0.4125", "200", "iOS 18.1", ""],
        ["mobilenet_v3_large", ane, "0.431", "200", "iOS 18.1", ""],
        ["mobilenet_v2", gpu, "1.820", "200", "iOS 18.1", "after a restart"],
    ]
    assert [bad.row for bad in imported.left_out] == [5]
    imported.write(tmp_path / "t.csv")
    assert len(read_timings(tmp_path / "t.csv")) == 3
