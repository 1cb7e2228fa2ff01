"""What a table holds of one target: kernels, blocks of chains, networks, what is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from palmette.latency import parse_target
from palmette.latency.chains import Chain
from palmette.latency.per_op.kernels import KernelTable, kernel_from_text, kernel_text
from palmette.latency.per_op.op_timings import (
    LEAST_FAMILIES,
    LEAST_KERNELS,
    LEAST_OVER_CALL,
    OpTimings,
    gather,
)
from palmette.latency.timings import INCOMPLETE
from palmette.space import CompiledSpace, InputError, Op, OpTable

CALL_MS = 0.05
Read = Callable[[Sequence[str]], pd.DataFrame]


class Host:
    """A made phone that starts every op by itself, and what a call of anything costs on it."""

    def __init__(self, phone_of: Any, networks: list[Any]) -> None:
        self.phone = phone_of("made-host/cpu@plain", 1.0, CALL_MS)
        self.target = parse_target(self.phone.target)
        self.networks = networks

    def op_ms(self, ops: Sequence[Op]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.phone.kernel_ms([(op,) for op in ops])
        return found

    def ops(self, ops: Sequence[Op], factor: float = 1.0, **cells: str) -> list[str]:
        """Rows of ops, each timed in a call of its own."""
        ms = (self.op_ms(ops) + CALL_MS) * factor
        pairs = zip(ops, ms.tolist(), strict=True)
        return [self.phone.row("op", op.to_text(), one, **cells) for op, one in pairs]

    def chains(self, *blocks: str, depths: tuple[int, ...] = (2, 6)) -> list[str]:
        """Rows of chains at two depths."""
        rows = []
        for block in blocks:
            for depth in depths:
                chain = Chain.from_text(f"{depth}*{block}")
                ms = self.op_ms(chain.ops()).sum() + CALL_MS
                rows.append(self.phone.row("chain", chain.to_text(), ms))
        return rows

    def whole(self, count: int = LEAST_FAMILIES) -> list[str]:
        """Rows of networks, each a family of its own."""
        some = self.networks[:count]
        return [
            self.phone.row("network", net.to_text(), self.phone.ms(net.ops()), "", f"family{at}")
            for at, net in enumerate(some)
        ]

    def some_ops(self, count: int = 40) -> list[Op]:
        """Ops that differ, of the networks."""
        return list(dict.fromkeys(op for net in self.networks for op in net.ops()))[:count]


@pytest.fixture(scope="module")
def host(small: CompiledSpace, made_phone_of: Any) -> Host:
    """Twelve networks of the small space on a made host."""
    codes = small.space.sample(12, np.random.default_rng(2))
    return Host(made_phone_of, small.space.decode_batch(codes))


BLOCKS = (
    "(ir_r1_k3_s1_e3_c16_relu6)@28x28x16",
    "(ir_r1_k5_s1_e3_c24_relu6)@14x14x24",
    "(ir_r1_k3_s1_e6_c32_relu6)@28x28x32",
    "(ds_r1_k3_s1_c16_relu6)@56x56x16",
    "(ds_r1_k5_s1_c32_relu6)@28x28x32",
    "(cn_r1_k3_s1_c16_relu6)@28x28x16",
    "(cn_r1_k1_s1_c64_relu6)@14x14x64",
)


def texts(rows: pd.DataFrame) -> list[str]:
    return rows.loc[rows["subject_kind"] == "op", "subject"].tolist()


def apart_of(found: OpTimings) -> Any:
    assert found.apart is not None
    return found.apart


# Kernels and networks


def test_ops_timed_by_themselves_are_kernels_and_networks_are_made_of_their_own_ops(
    host: Host, made_table: Read
) -> None:
    ops = host.some_ops()
    found = gather(made_table([*host.ops(ops), *host.whole()]), host.target)
    assert found.call_ms == 0.0 and found.left_out == ()
    assert apart_of(found).ms == pytest.approx(host.op_ms(ops) + CALL_MS, rel=1e-5)
    assert apart_of(found).families.tolist() == [""] * len(ops)
    nets = {net.to_text(): net for net in host.networks[:4]}
    assert sorted(found.names) == sorted(nets)
    for at, name in enumerate(found.names):
        own = found.networks.kernels.take(found.networks.network == at)
        assert np.array_equal(own.work, KernelTable.of([(op,) for op in nets[name].ops()]).work)
        assert found.networks.ms[at] == pytest.approx(host.phone.ms(nets[name].ops()), rel=1e-5)
    assert np.isnan(found.networks.kernel_ms).all()
    assert len(found.kernels) == len(ops)


def test_networks_keep_the_kernels_that_were_timed_inside_them(
    made_phone: Any, made_rows: pd.DataFrame, small: CompiledSpace
) -> None:
    found = gather(made_rows, parse_target(made_phone.target))
    assert found.apart is None and found.call_ms == 0.0
    assert len(found.names) == 20 and set(found.networks.families) == {
        f"family{at}" for at in range(4)
    }
    parts = made_rows[made_rows["part_of"] != ""]
    for at, name in enumerate(found.names):
        own = parts[parts["part_of"] == name]
        rows = found.networks.network == at
        table = KernelTable.of([kernel_from_text(text) for text in own["subject"]])
        assert np.array_equal(found.networks.kernels.take(rows).work, table.work)
        assert found.networks.kernel_ms[rows].tolist() == own["latency_ms"].tolist()
    assert len(found.kernels) == len(parts)


def test_kernels_timed_inside_a_network_that_was_not_timed_whole_stand_apart(
    made_phone: Any, made_rows: pd.DataFrame
) -> None:
    lone = (made_rows["subject_kind"] == "network") & (made_rows["subject"] == "net3")
    found = gather(made_rows[~lone], parse_target(made_phone.target))
    assert "net3" not in found.names and len(found.names) == 19
    assert len(apart_of(found)) == (made_rows["part_of"] == "net3").sum()
    assert set(apart_of(found).families.tolist()) == {"family3"}
    nameless = made_rows.assign(family="")[~lone]
    found = gather(nameless, parse_target(made_phone.target))
    assert set(apart_of(found).families.tolist()) == {"net3"}  # the network's own design


def test_timings_of_one_network_are_averaged_in_logs(host: Host, made_table: Read) -> None:
    whole = host.whole()
    name = host.networks[0].to_text()
    twice = [host.phone.row("network", name, ms, "", "family0") for ms in (2.0, 8.0)]
    table = made_table([*host.ops(host.some_ops()), *twice, *whole[1:]])
    found = gather(table, host.target)
    assert found.networks.ms[found.names.index(name)] == pytest.approx(4.0, rel=1e-9)


def test_a_network_without_a_family_is_kin_of_its_own_widths_and_resolutions(
    host: Host, made_table: Read
) -> None:
    names = ("mobilenet_v2", "mobilenet_v2@192x192", "mobilenet_v1", "fbnet_c", "mnasnet_a1")
    whole = [host.phone.row("network", name, 5.0) for name in names]
    found = gather(made_table([*host.ops(host.some_ops()), *whole]), host.target)
    families = dict(zip(found.names, found.networks.families, strict=True))
    assert families["mobilenet_v2"] == families["mobilenet_v2@192x192"] == "mobilenet_v2"
    assert len(set(families.values())) == 4


def test_rows_of_other_targets_are_not_taken(host: Host, made_table: Read) -> None:
    rows = [*host.ops(host.some_ops()), *host.whole()]
    others = [row.replace("made-host/cpu", "other-host/cpu") for row in rows]
    both = gather(made_table([*rows, *others]), host.target)
    assert len(both.kernels) == 40 and len(both.names) == 4


# What is left out, and said


def test_a_network_that_lost_a_kernel_is_left_out_with_a_reason(
    made_phone: Any, made_rows: pd.DataFrame
) -> None:
    flagged = made_rows["subject"] == "net5"
    rows = made_rows.assign(flags=np.where(flagged, f"digitised {INCOMPLETE}", ""))
    found = gather(rows, parse_target(made_phone.target))
    assert found.left_out == ("network net5: one of its timed ops is missing",)
    assert "net5" not in found.names and len(found.names) == 19
    # its good kernels teach all the same, as kin of their family
    assert len(apart_of(found)) == (made_rows["part_of"] == "net5").sum()
    assert set(apart_of(found).families.tolist()) == {"family1"}


def test_kernels_thirty_times_off_their_like_are_left_out_and_said(
    host: Host, made_table: Read
) -> None:
    ops = host.some_ops()
    rows = host.ops(ops)
    rows[7] = host.ops(ops[7:8], factor=1000.0)[0]  # microseconds taken for milliseconds
    rows[9] = host.ops(ops[9:10], factor=20.0)[0]  # odd, yet possible
    found = gather(made_table([*rows, *host.whole()]), host.target)
    (said,) = found.left_out
    assert said.startswith(f"{ops[7].to_text()}: ")
    assert "times what its like take; in another unit?" in said
    assert len(found.kernels) == len(ops) - 1


def test_a_network_whose_kernel_is_thirty_times_off_is_not_calibrated_on(
    made_phone: Any, made_rows: pd.DataFrame
) -> None:
    part = made_rows.index[made_rows["part_of"] == "net2"][3]
    rows = made_rows.copy()
    rows.loc[part, "latency_ms"] *= 1000
    found = gather(rows, parse_target(made_phone.target))
    assert found.left_out[0].startswith(f"{rows.loc[part, 'subject']}: ")
    assert found.left_out[1:] == ("network net2: one of its timed ops is missing",)
    assert "net2" not in found.names


def test_a_network_all_of_whose_kernels_are_in_another_unit_is_left_out_alone(
    made_phone: Any, made_rows: pd.DataFrame
) -> None:
    part = made_rows["part_of"] == "net2"
    rows = made_rows.assign(latency_ms=made_rows["latency_ms"] * np.where(part, 1000, 1))
    found = gather(rows, parse_target(made_phone.target))
    assert len(found.left_out) == part.sum() + 1
    assert found.left_out[-1] == "network net2: one of its timed ops is missing"
    assert len(found.names) == 19 and len(found.kernels) == (
        made_rows["part_of"] != ""
    ).sum() - sum(part)


@pytest.mark.parametrize(
    ("ops", "networks", "said"),
    [
        (11, 4, "11 timed ops and networks of 4 families can be used"),
        (12, 3, "12 timed ops and networks of 3 families can be used"),
        (0, 0, "0 timed ops and networks of 0 families can be used"),
    ],
)
def test_a_table_with_too_little_says_what_is_missing(
    host: Host, made_table: Read, ops: int, networks: int, said: str
) -> None:
    table = made_table([*host.ops(host.some_ops(ops or 1)), *host.whole(networks)])
    target = host.target if ops else parse_target("no-phone/cpu@plain")
    with pytest.raises(InputError) as caught:
        gather(table, target)
    assert str(caught.value) == (
        f"target '{target}': {said}; what an op costs needs at least 12 ops, and how their sum"
        " becomes a network's time at least 4 families"
    )
    assert (LEAST_KERNELS, LEAST_FAMILIES) == (12, 4)


def test_a_table_with_just_enough_is_taken(host: Host, made_table: Read) -> None:
    rows = [*host.ops(host.some_ops(LEAST_KERNELS)), *host.whole(LEAST_FAMILIES)]
    found = gather(made_table(rows), host.target)
    assert len(found.kernels) == LEAST_KERNELS and len(found.names) == LEAST_FAMILIES


def test_what_is_missing_is_told_with_what_was_left_out(
    made_phone: Any, made_rows: pd.DataFrame
) -> None:
    names = [f"net{at}" for at in range(4)]
    some = made_rows[made_rows["subject"].isin(names) | made_rows["part_of"].isin(names)]
    rows = some.assign(flags=np.where(some["subject"].isin(names[:2]), INCOMPLETE, ""))
    with pytest.raises(InputError) as caught:
        gather(rows, parse_target(made_phone.target))
    assert "networks of 2 families can be used" in str(caught.value)
    assert str(caught.value).endswith(
        "; left out: network net0: one of its timed ops is missing (and 1 more)"
    )


# Chains


def test_the_slope_over_depth_is_the_blocks_time_and_the_intercept_the_calls(
    host: Host, made_table: Read
) -> None:
    ops = host.some_ops()
    table = made_table([*host.ops(ops), *host.chains(*BLOCKS), *host.whole()])
    found = gather(table, host.target)
    assert found.call_ms == pytest.approx(CALL_MS, rel=1e-3)
    # one op is mostly call unless it takes half as long as a call by itself
    heavy = [op for op in ops if host.op_ms([op])[0] + CALL_MS >= LEAST_OVER_CALL * CALL_MS]
    light = [op for op in ops if op not in heavy]
    assert heavy and light
    apart = apart_of(found)
    assert apart.ms[: len(heavy)] == pytest.approx(host.op_ms(heavy), rel=0.02)
    assert [line.partition(":")[0] for line in found.left_out] == [op.to_text() for op in light]
    assert all("is mostly the 0.05 ms that a call of anything costs" in t for t in found.left_out)
    shares = apart.ms[len(heavy) :]
    true = [host.op_ms(Chain.from_text(f"1*{block}").ops()).sum() for block in sorted(BLOCKS)]
    sizes = [len(Chain.from_text(f"1*{block}").ops()) for block in sorted(BLOCKS)]
    starts = np.cumsum([0, *sizes[:-1]])
    assert np.add.reduceat(shares, starts) == pytest.approx(true, rel=1e-3)


def test_a_blocks_time_is_shared_as_its_kernels_deserve(host: Host, made_table: Read) -> None:
    heavy = [op for op in host.some_ops(200) if host.op_ms([op])[0] > CALL_MS / 2]
    table = made_table([*host.ops(heavy), *host.chains(*BLOCKS), *host.whole()])
    apart = apart_of(gather(table, host.target))
    ops = [op for block in sorted(BLOCKS) for op in Chain.from_text(f"1*{block}").ops()]
    error = np.log(apart.ms[len(heavy) :] / host.op_ms(ops))
    assert np.abs(error).mean() < 0.3  # of parts that were never timed by themselves


def test_chains_alone_are_enough(host: Host, made_table: Read) -> None:
    found = gather(made_table([*host.chains(*BLOCKS), *host.whole()]), host.target)
    assert found.call_ms == pytest.approx(CALL_MS, rel=1e-3) and found.left_out == ()
    apart = apart_of(found)
    blocks = [Chain.from_text(f"1*{block}") for block in BLOCKS]
    assert len(apart) == sum(len(block.ops()) for block in blocks)
    total = sum(float(host.op_ms(block.ops()).sum()) for block in blocks)
    assert apart.ms.sum() == pytest.approx(total, rel=1e-3)
    ops = [op for block in sorted(BLOCKS) for op in Chain.from_text(f"1*{block}").ops()]
    error = np.log(apart.ms / host.op_ms(ops))
    assert np.abs(error).mean() < 0.15  # of parts that were never timed by themselves


def test_a_call_costs_a_kernel_timed_inside_a_network_nothing(host: Host, made_table: Read) -> None:
    rows = []
    for at, net in enumerate(host.networks[:4]):
        rows += host.phone.network_rows(f"net{at}", net.ops(), f"family{at}")
    inside = made_table(rows)
    found = gather(made_table([*rows, *host.chains(*BLOCKS)]), host.target)
    assert found.call_ms > 0 and found.left_out == () and len(found.names) == 4
    parts = inside.loc[inside["part_of"] != "", "latency_ms"]
    assert np.sort(found.networks.kernel_ms) == pytest.approx(np.sort(parts), rel=1e-12)


def test_from_one_depth_of_a_chain_the_call_of_the_others_is_taken_off(
    host: Host, made_table: Read
) -> None:
    one, two = BLOCKS[:2]
    rows = [*host.chains(one, depths=(5,)), *host.chains(two)]
    found = gather(made_table([*host.ops(host.some_ops()), *rows, *host.whole()]), host.target)
    assert found.call_ms == pytest.approx(CALL_MS, rel=1e-3)
    ops = Chain.from_text(f"1*{one}").ops()
    assert apart_of(found).ms[-len(ops) :].sum() == pytest.approx(host.op_ms(ops).sum(), rel=1e-3)


def test_one_depth_alone_is_the_block_with_its_part_of_the_call(
    host: Host, made_table: Read
) -> None:
    rows = host.chains(BLOCKS[0], depths=(5,))
    found = gather(made_table([*host.ops(host.some_ops()), *rows, *host.whole()]), host.target)
    ops = Chain.from_text(f"1*{BLOCKS[0]}").ops()
    whole = host.op_ms(ops).sum() + CALL_MS / 5
    assert found.call_ms == 0.0
    assert apart_of(found).ms[-len(ops) :].sum() == pytest.approx(whole, rel=1e-3)


def test_a_chain_that_does_not_grow_is_left_out_and_said(host: Host, made_table: Read) -> None:
    flat = [host.phone.row("chain", f"{depth}*{BLOCKS[0]}", 3.0) for depth in (2, 6)]
    table = made_table([*host.ops(host.some_ops()), *flat, *host.whole()])
    found = gather(table, host.target)
    assert found.left_out == (f"1*{BLOCKS[0]}: 6 blocks took no longer than 2; time both again",)
    assert found.call_ms == 0.0 and len(apart_of(found)) == 40


def test_one_depth_that_takes_no_longer_than_a_call_is_left_out_and_said(
    host: Host, made_table: Read
) -> None:
    lone = host.phone.row("chain", f"5*{BLOCKS[0]}", CALL_MS / 2)
    rows = [*host.ops(host.some_ops()), lone, *host.chains(BLOCKS[1]), *host.whole()]
    said = gather(made_table(rows), host.target).left_out
    assert said[0] == (
        f"1*{BLOCKS[0]}: 5 blocks took no longer than a call of anything; time more of them"
    )


def test_depths_of_a_chain_are_one_chain_however_they_are_written(
    host: Host, made_table: Read
) -> None:
    block = BLOCKS[0]
    ms = [host.op_ms(Chain.from_text(f"{d}*{block}").ops()).sum() + CALL_MS for d in (2, 6)]
    other = block.replace("_r1", "")
    rows = [
        host.phone.row("chain", f"2*{block}", ms[0]),
        host.phone.row("chain", f"6*{other}", ms[1]),
    ]
    found = gather(made_table([*host.ops(host.some_ops()), *rows, *host.whole()]), host.target)
    assert found.call_ms == pytest.approx(CALL_MS, rel=1e-3)


def test_kernel_texts_of_a_runtime_that_joins_are_read_back_as_its_kernels(
    made_phone: Any, small: CompiledSpace
) -> None:
    from palmette.latency.per_op.fusion import fusion_of

    for net in small.space.decode_batch(small.space.sample(8, np.random.default_rng(3))):
        kernels = made_phone.kernels(net.ops())
        again = KernelTable.of([kernel_from_text(kernel_text(one)) for one in kernels])
        start = np.zeros(1, dtype=np.int64)
        joined = fusion_of("tflite-1.0").kernels(OpTable.of(net.ops()), start)[0]
        assert np.array_equal(again.work, joined.work)
        assert np.array_equal(again.traits, joined.traits)
