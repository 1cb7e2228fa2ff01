"""Reading timings per op: rows become kernels, bad rows are put aside with their reason."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from palmette.latency.op_rows import (
    NETWORK_COLUMNS,
    OP_COLUMNS,
    read_families,
    read_network_rows,
    read_op_rows,
)
from palmette.space import InputError

ROW: dict[str, Any] = {
    **{"framework": "lite", "device": "phone", "processor": "gpu", "precision": "fp16"},
    **{"network": "net", "op_index": 0, "op": "conv", "unit": "ms", "latency_ms": 0.5},
    **{"in_h": 14, "in_w": 14, "in_c": 8, "out_h": 14, "out_w": 14, "out_c": 16},
    **{"kernel": 1, "stride": 1, "groups": 1, "n_inputs": "", "act": "", "fused": "", "macs": ""},
}
VECTOR = {"in_h": 1, "in_w": 1, "out_h": 1, "out_w": 1}


def write(path: Path, columns: tuple[str, ...], *rows: dict[str, Any]) -> Path:
    lines = [",".join(columns), *(",".join(str(row[c]) for c in columns) for row in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def ops_file(folder: Path, *changes: dict[str, Any], extra: tuple[str, ...] = ()) -> Path:
    """A good row, op 0 of `net`, then rows that differ from it as told, each the next op."""
    rows = [{**ROW, "op_index": at, **change} for at, change in enumerate(({}, *changes))]
    return write(folder / "ops.csv", OP_COLUMNS + extra, *rows)


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({"act": "relu"}, ["conv 8x14x14 -> 16x14x14 relu"]),
        ({"kernel": "3.0", "stride": 2, "out_h": 7, "out_w": 7}, ["conv 8x14x14 -> 16x7x7 k3 s2"]),
        ({"op": "gconv", "groups": 4}, ["conv 8x14x14 -> 16x14x14 g4"]),
        ({"op": "dwconv", "out_c": 8, "groups": ""}, ["conv 8x14x14 -> 8x14x14 g8"]),
        ({"op": "fc", **VECTOR}, ["linear 8 -> 16"]),
        ({"op": "mean", "out_h": 1, "out_w": 1, "out_c": 8}, ["mean 8x14x14 -> 8x1x1"]),
        (
            {"op": "avgpool", "kernel": 14, "out_h": 1, "out_w": 1, "out_c": 8},
            ["mean 8x14x14 -> 8x1x1"],
        ),
        (
            {"op": "maxpool", "kernel": 2, "stride": 2, "out_h": 7, "out_w": 7, "out_c": 8},
            ["pool 8x14x14 -> 8x7x7 k2 s2"],
        ),
        (
            {"op": "concat", "n_inputs": 3, "out_c": 19, "kernel": ""},
            ["concat 8x14x14 + 5x14x14 + 6x14x14 -> 19x14x14"],
        ),
        (
            {"fused": "add+relu", "act": "relu"},
            ["conv 8x14x14 -> 16x14x14", "add 16x14x14 + 16x14x14 -> 16x14x14 relu"],
        ),
        (
            {"fused": "relu+mul"},
            ["conv 8x14x14 -> 16x14x14 relu", "mul 16x14x14 + 16x14x14 -> 16x14x14"],
        ),
        ({"fused": "minimum+relu"}, ["conv 8x14x14 -> 16x14x14 relu6"]),
        ({"fused": "relu+minimum"}, ["conv 8x14x14 -> 16x14x14 relu6"]),
        ({"fused": "hard_swish"}, ["conv 8x14x14 -> 16x14x14 hswish"]),
        (
            {"fused": "relu+sigmoid"},
            ["conv 8x14x14 -> 16x14x14 relu", "act 16x14x14 -> 16x14x14 sigmoid"],
        ),
    ],
)
def test_a_row_is_a_kernel(tmp_path: Path, change: dict[str, Any], texts: list[str]) -> None:
    rows = read_op_rows(ops_file(tmp_path, change))
    assert [op.to_text() for op in rows.kernels[1]] == texts
    assert rows.networks == ("net", "net") and rows.latency_ms.tolist() == [0.5, 0.5]
    assert not rows.quarantined and not rows.incomplete


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"latency_ms": "nan"}, "latency_ms must be positive"),
        ({"latency_ms": ""}, "latency_ms must be positive"),
        ({"latency_ms": 0}, "latency_ms must be positive"),
        ({"latency_ms": -0.1}, "latency_ms must be positive"),
        ({"latency_ms": "inf"}, "latency_ms must be positive"),
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
        ({"op_index": "x"}, "op_index must be a whole number"),
        ({"network": " "}, "network must not be blank"),
    ],
)
def test_a_bad_row_is_put_aside_and_the_good_one_kept(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    path = ops_file(tmp_path, change, extra=("macs",))
    rows = read_op_rows(path)
    assert len(rows.kernels) == 1
    (bad,) = rows.quarantined
    assert (bad.file, bad.row) == (str(path), 3) and reason in bad.reason
    assert set(rows.incomplete) == ({"net"} if str(change.get("network", "net")).strip() else set())


def test_equal_kernels_ten_times_apart_contradict_each_other(tmp_path: Path) -> None:
    other = {"network": "other", "op_index": 0}
    rows = read_op_rows(ops_file(tmp_path, {"kernel": 3}, {**other, "latency_ms": 5.1}))
    assert [bad.row for bad in rows.quarantined] == [2, 4]  # neither of two can be trusted
    assert set(rows.incomplete) == {"net", "other"}
    third = {"network": "third", "op_index": 0, "latency_ms": 0.45}
    rows = read_op_rows(ops_file(tmp_path, {**other, "latency_ms": 5.1}, third))
    assert [bad.row for bad in rows.quarantined] == [3]  # two agree against one
    rows = read_op_rows(ops_file(tmp_path, {**other, "latency_ms": 4.9}))
    assert not rows.quarantined


def test_a_repeated_op_is_put_aside_without_its_network(tmp_path: Path) -> None:
    rows = read_op_rows(ops_file(tmp_path, {"op_index": 0, "latency_ms": 0.6}))
    assert rows.latency_ms.tolist() == [0.5] and not rows.incomplete
    assert "is in row 2 too" in rows.quarantined[0].reason


def test_a_gap_in_the_ops_of_a_network_is_noticed(tmp_path: Path) -> None:
    rows = read_op_rows(ops_file(tmp_path, {"op_index": 2}))
    assert rows.incomplete == {"net": "no good row for op 1"}


def test_packed_files_are_read_and_torn_ones_refused(tmp_path: Path) -> None:
    plain = ops_file(tmp_path, {"fused": "relu"})
    packed = tmp_path / "ops.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_op_rows(packed).kernels == read_op_rows(plain).kernels
    packed.write_bytes(packed.read_bytes()[:40])
    with pytest.raises(InputError, match="ops.csv.gz: cannot be"):
        read_op_rows(packed)


def test_files_without_a_good_row_or_of_two_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no good row"):
        read_op_rows(write(tmp_path / "a.csv", OP_COLUMNS, {**ROW, "latency_ms": "nan"}))
    with pytest.raises(InputError, match="no rows"):
        read_op_rows(write(tmp_path / "b.csv", OP_COLUMNS))
    with pytest.raises(InputError, match="'device' has phone and tablet"):
        read_op_rows(ops_file(tmp_path, {"device": "tablet"}))
    with pytest.raises(InputError, match="no such file"):
        read_op_rows(tmp_path / "none.csv")


@pytest.mark.parametrize("column", OP_COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = write(tmp_path / "ops.csv", tuple(c for c in OP_COLUMNS if c != column), ROW)
    with pytest.raises(InputError, match=f"columns are missing: {column}$"):
        read_op_rows(path)


def test_whole_networks_are_read_and_bad_ones_put_aside(tmp_path: Path) -> None:
    base = {"device": "phone", "processor": "gpu", "unit": "ms"}
    rows = [("a", 1.5), ("b", "nan"), ("a", 2.0), ("", 1.0)]
    path = write(
        tmp_path / "networks.csv",
        NETWORK_COLUMNS,
        *({**base, "network": name, "latency_ms": ms} for name, ms in rows),
        {**base, "network": "c", "latency_ms": 1, "unit": "s"},
    )
    found = read_network_rows(path)
    assert found.latency_ms == {"a": 1.5}
    assert [(bad.row, bad.network) for bad in found.quarantined] == [
        (3, "b"),
        (4, "a"),
        (5, ""),
        (6, "c"),
    ]


def test_a_network_of_two_families_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "families.csv"
    path.write_text("network,family\na,one\nb,one\na,one\n", "utf-8")
    assert read_families(path) == {"a": "one", "b": "one"}
    path.write_text("network,family\na,one\na,two\n", "utf-8")
    with pytest.raises(InputError, match="row 3: network 'a' is in 'one' and in 'two'"):
        read_families(path)
    path.write_text("network,family\na,\n", "utf-8")
    with pytest.raises(InputError, match="must not be blank"):
        read_families(path)
    path.write_text("network\na\n", "utf-8")
    with pytest.raises(InputError, match="columns are missing: family"):
        read_families(path)


def test_times_come_back_to_the_digit(tmp_path: Path) -> None:
    times = [0.1, 1 / 3, 2.5e-3]
    changes = [{"latency_ms": ms, "in_c": 4 * at + 4} for at, ms in enumerate(times)]
    assert np.array_equal(read_op_rows(ops_file(tmp_path, *changes)).latency_ms[1:], times)
