"""Transfer probes: notation, rules, and which ops are forced off the Neural Engine."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency.chains import MAX_DEPTH, Chain
from palmette.latency.fit_targets import timed_per_op
from palmette.latency.per_op.op_timings import gather
from palmette.latency.suite.probes import PRECISIONS, Probe, series
from palmette.latency.targets import parse_target
from palmette.latency.timings import read_timing_tables
from palmette.space import InputError, Op
from palmette.space.trace import trace_ops

CHAIN = "6*(ir_r1_k3_s1_e2_c8_relu6)@12x16x8"
EXAMPLE = f"{CHAIN} + 2*sigmoid@float32"


@st.composite
def probes(draw: st.DrawFn) -> Probe:
    depth, channels = draw(st.integers(1, MAX_DEPTH)), draw(st.integers(1, 40)) * 4
    block = draw(st.sampled_from(["cn_r1_k3_s1_c{}_relu", "ds_r1_k5_s1_c{}_hswish_se0.25"]))
    side = st.integers(1, 300)
    shape = f"{draw(side)}x{draw(side)}x{channels}"
    chain = Chain.from_text(f"{depth}*({block.format(channels)})@{shape}")
    return Probe(chain, draw(st.integers(0, depth - 1)), draw(st.sampled_from(PRECISIONS)))


@given(probes())
def test_text_and_back_gives_the_same_probe(probe: Probe) -> None:
    assert Probe.from_text(probe.to_text()) == probe


@given(probes())
def test_ops_between_blocks_have_gaps_of_their_own_inside_the_chain(probe: Probe) -> None:
    gaps = probe.gaps
    assert len(set(gaps)) == len(gaps) == probe.count
    assert all(0 < gap < probe.chain.depth for gap in gaps)


def test_a_probe_is_read_from_its_text() -> None:
    probe = Probe.from_text(EXAMPLE)
    assert probe == Probe(Chain.from_text(CHAIN), 2, "float32")
    assert (probe.to_text(), probe.gaps, probe.transfers) == (EXAMPLE, (2, 4), 2)


def test_the_ops_of_a_probe_are_those_of_its_chain_and_those_between() -> None:
    probe = Probe.from_text(EXAMPLE)
    between = Op("act", ((8, 12, 16),), (8, 12, 16), act="sigmoid")
    ops, block = probe.ops(), Chain.from_text(CHAIN.replace("6*", "1*")).ops()
    assert ops == (*block * 2, between, *block * 2, between, *block * 2)
    assert probe.forced() == (2 * len(block), 4 * len(block) + 1)
    assert sum(op.macs for op in ops) == sum(op.macs for op in probe.chain.ops())


def test_nothing_is_forced_in_the_control_nor_in_a_probe_of_no_ops() -> None:
    for text in (f"{CHAIN} + 2*sigmoid@float16", f"{CHAIN} + 0*sigmoid@float32"):
        assert (Probe.from_text(text).forced(), Probe.from_text(text).transfers) == ((), 0)


def test_the_module_of_a_probe_runs_those_ops() -> None:
    probe = Probe.from_text(EXAMPLE)
    module = probe.build().eval()
    assert tuple(module(torch.zeros(1, 8, 12, 16)).shape) == (1, 8, 12, 16)
    traced = trace_ops(module, (8, 12, 16))
    # a trace lets the addition before it take a sigmoid in
    assert [op.kind for op in traced] == [op.kind for op in probe.ops() if op.kind != "act"]
    assert [op.act for op in traced].count("sigmoid") == 2
    names = [name for name, _ in module.named_children()]
    assert names.index("between2") + 1 == names.index("block2")


def test_a_series_has_every_number_in_both_precisions_and_none_that_has_no_room() -> None:
    found = series(Chain.from_text(CHAIN.replace("6*", "3*")))
    assert [(probe.count, probe.precision) for probe in found] == [
        (count, precision) for count in (0, 1, 2) for precision in ("float32", "float16")
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CHAIN, "expected 'chain [+] count[*]sigmoid@precision'"),
        (f"{CHAIN} + 6*sigmoid@float32", "room for 0 to 5 ops between them, got 6"),
        (f"{CHAIN} + 1*sigmoid@float64", "expected 'chain"),
        (f"{CHAIN} + 1*tanh@float32", "expected 'chain"),
        ("6*(conv)@8x8x8 + 1*sigmoid@float32", "chain '6[*][(]conv"),
    ],
)
def test_a_text_that_is_no_probe_is_refused_and_quoted(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        Probe.from_text(text)
    assert str(error.value).startswith(f"probe '{text}': ")
    with pytest.raises(InputError, match="precision must be one of float16, float32"):
        Probe(Chain.from_text(CHAIN), 0, "int8")


# In the timing table

HEADER = "subject_kind,subject,target,latency_ms,source\n"
PHONE = "my-phone/ane@coreml-ios18"


def test_the_timing_table_knows_probes_and_puts_unreadable_ones_aside(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}probe,{EXAMPLE},{PHONE},1.5,me\nprobe,{CHAIN},{PHONE},1.5,me\n")
    found = read_timing_tables([path])
    assert found.rows["subject"].tolist() == [EXAMPLE]
    assert [(bad.row, bad.reason[:14]) for bad in found.quarantined] == [(3, "subject: probe")]


def test_a_fit_leaves_probes_out(made_rows: pd.DataFrame, made_phone: object) -> None:
    target = made_rows["target"].iloc[0]
    probe = made_rows.iloc[:1].assign(subject_kind="probe", subject=EXAMPLE, latency_ms=50.0)
    before = gather(made_rows, parse_target(target))
    after = gather(pd.concat([made_rows, probe], ignore_index=True), parse_target(target))
    assert after.names == before.names and math.isclose(after.call_ms, before.call_ms)
    assert after.kernels.ms.tolist() == before.kernels.ms.tolist()
    assert not timed_per_op(probe, target)
