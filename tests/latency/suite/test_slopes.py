"""Slopes and intercepts of chains, cost of a change of units, drift: by hand and with noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from palmette.latency.chains import Chain
from palmette.latency.suite.probes import Probe, series
from palmette.latency.suite.slopes import chain_costs, drift, floors, transfer_costs, unmoved

BLOCK = "ir_r1_k3_s1_e2_c8_relu6"
PHONE = "my-phone/ane@coreml-ios18"
FLOOR, BLOCK_MS, OP_MS, TRANSFER_MS = 0.2, 0.05, 0.01, 0.3

Row = tuple[str, str, float]


def table(rows: Sequence[Row], target: str = PHONE) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["subject_kind", "subject", "latency_ms"])
    return frame.assign(target=target, source="me", p10_ms=math.nan, p90_ms=math.nan)


def chain(depth: int, channels: int = 8) -> str:
    return f"{depth}*({BLOCK.replace('c8', f'c{channels}')})@16x16x{channels}"


def probe_rows(text: str) -> list[Row]:
    rows = []
    for probe in series(Chain.from_text(text)):
        ms = FLOOR + probe.chain.depth * BLOCK_MS + probe.count * OP_MS
        rows.append(("probe", probe.to_text(), ms + probe.transfers * TRANSFER_MS))
    return rows


def test_two_depths_give_the_block_and_the_floor() -> None:
    (cost,) = chain_costs(table([("chain", chain(4), 0.4), ("chain", chain(16), 1.0)]))
    assert cost.target == PHONE and cost.chain == Chain.from_text(chain(1))
    assert cost.depths == (4, 16)
    assert cost.block.ms == pytest.approx(0.05) and cost.floor.ms == pytest.approx(0.2)
    # nothing says how noisy these are
    assert math.isnan(cost.block.lower_ms) and math.isnan(cost.floor.upper_ms)


def test_one_depth_tells_nothing_and_other_kinds_are_passed_over() -> None:
    rows: list[Row] = [("chain", chain(4), 0.4), ("chain", chain(4), 0.41)]
    rows += [("network", "mobilenet_v2", 0.5), ("op", "x", 0.1), *probe_rows(chain(16))]
    assert chain_costs(table(rows)) == []


def test_targets_and_blocks_are_apart() -> None:
    one: list[Row] = [("chain", chain(2), 0.3), ("chain", chain(4), 0.4)]
    other: list[Row] = [("chain", chain(2, 16), 0.5), ("chain", chain(6, 16), 0.9)]
    gpu = table(one, "my-phone/gpu@coreml-ios18").assign(latency_ms=lambda t: t.latency_ms + 5)
    found = chain_costs(pd.concat([table(one + other), gpu]))
    slopes = [(cost.target.split("/")[1][:3], cost.chain.shape[0], cost.block.ms) for cost in found]
    assert slopes == [
        ("ane", 8, pytest.approx(0.05)),
        ("ane", 16, pytest.approx(0.1)),
        ("gpu", 8, pytest.approx(0.05)),
    ]
    assert floors(found)["my-phone/gpu@coreml-ios18"].ms == pytest.approx(5.2)


def test_the_spread_of_calls_gives_an_interval_where_nothing_was_repeated() -> None:
    rows = table([("chain", chain(4), 0.4), ("chain", chain(16), 1.0)])
    for share in (0.01, 0.1):
        spread = rows.assign(
            p10_ms=rows.latency_ms * math.exp(-share), p90_ms=rows.latency_ms * math.exp(share)
        )
        (cost,) = chain_costs(spread)
        # (1.0 - 0.4) / 12: deviations of both ends, times Student's t of 2 rows at 80 %
        one = 2 * share / 2.5631
        half = 1.8856 * one * math.hypot(0.4, 1.0) / 12
        assert cost.block.upper_ms - cost.block.ms == pytest.approx(half, rel=1e-3)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random, hits = np.random.default_rng(0), np.zeros(2)
    truth = [("chain", chain(depth), FLOOR + depth * BLOCK_MS) for depth in (4, 16) * 3]
    for _ in range(400):
        noisy = [(kind, text, ms * random.lognormal(0, 0.03)) for kind, text, ms in truth]
        (cost,) = chain_costs(table(noisy))
        ends = [(cost.block, BLOCK_MS), (cost.floor, FLOOR)]
        hits += [figure.lower_ms < ms < figure.upper_ms for figure, ms in ends]
    assert (np.abs(hits / 400 - 0.8) < 0.06).all()


def test_the_floor_of_a_target_believes_the_surest_chains() -> None:
    rows = [("chain", chain(depth), FLOOR + depth * BLOCK_MS) for depth in (4, 16)]
    # a block so dear that 1 % of it is more than the floor, timed 1 % wrong
    rows += [("chain", chain(4, 16), FLOOR + 40), ("chain", chain(16, 16), 1.01 * (FLOOR + 160))]
    anchor = [("network", "mobilenet_v2", 1.0 + 0.01 * (at % 2)) for at in range(6)]
    costs = chain_costs(table(rows + anchor))
    assert costs[1].floor.ms < -0.1
    assert floors(costs)[PHONE].ms == pytest.approx(FLOOR, rel=0.02)


def test_probes_and_their_control_give_the_change_of_units_without_the_op() -> None:
    (cost,) = transfer_costs(table(probe_rows(chain(8))))
    assert cost.chain == Chain.from_text(chain(8))
    assert cost.op is not None and cost.transfer is not None
    assert cost.forced.ms == pytest.approx(OP_MS + TRANSFER_MS)
    assert cost.op.ms == pytest.approx(OP_MS)
    assert cost.transfer.ms == pytest.approx(TRANSFER_MS)


def test_the_chain_itself_is_a_probe_of_no_ops() -> None:
    text = chain(8)
    rows: list[Row] = [
        ("chain", text, 0.6),
        ("probe", Probe(Chain.from_text(text), 2).to_text(), 1.2),
    ]
    (cost,) = transfer_costs(table(rows))
    assert cost.forced.ms == pytest.approx(0.3)
    assert cost.op is None and cost.transfer is None
    assert transfer_costs(table(rows[:1])) == transfer_costs(table(rows[1:])) == []


def test_probes_that_changed_no_units_are_named_and_do_not_count() -> None:
    rows = table(probe_rows(chain(8)))
    assert len(transfer_costs(rows)) == 1 and unmoved(rows) == []
    on_cpu = rows.assign(target="my-phone/cpu@coreml-ios18")
    assert transfer_costs(on_cpu) == []
    assert {one.reason for one in unmoved(on_cpu)} == {"nothing changes units on the cpu"}
    moved = [Probe.from_text(text).transfers for text in rows["subject"]]
    good = rows.assign(placement=[f"ane 17, cpu {count}" if count else "ane 17" for count in moved])
    assert len(transfer_costs(good)) == 1 and unmoved(good) == []
    for wrong in ("ane 17", "cpu 17"):
        bad = good.assign(placement=[wrong if count else "ane 17" for count in moved])
        assert transfer_costs(bad) == []
        assert [one.subject for one in unmoved(bad)] == [
            text for text, count in zip(rows["subject"], moved, strict=True) if count
        ]


def test_one_thing_with_two_requests_for_units_is_not_timed_twice() -> None:
    rows = table([("network", "fbnet_c", 1.0), ("network", "fbnet_c", 1.1)])
    assert len(drift(rows)) == 1
    assert drift(rows.assign(requested_units=["all", "cpuAndNeuralEngine"])) == []


def test_the_cost_of_a_change_is_found_within_five_per_cent_under_noise() -> None:
    random = np.random.default_rng(1)
    rows = [row for row in probe_rows(chain(8)) for _ in range(3)]
    noisy = [(kind, text, ms * random.lognormal(0, 0.01)) for kind, text, ms in rows]
    (cost,) = transfer_costs(table(noisy))
    assert cost.transfer is not None
    assert cost.transfer.ms == pytest.approx(TRANSFER_MS, rel=0.05)
    assert cost.transfer.lower_ms < cost.transfer.ms < cost.transfer.upper_ms


def test_drift_is_the_farthest_timing_from_the_median() -> None:
    times = {"mobilenet_v2": [1.0, 1.01, 0.99, 1.06, 1.0], "fbnet_c": [2.0, 2.02], "mixnet": [3.0]}
    found = drift(table([("network", name, ms) for name, every in times.items() for ms in every]))
    assert [(one.subject, one.times) for one in found] == [("mobilenet_v2", 5), ("fbnet_c", 2)]
    assert found[0].largest == pytest.approx(1.06) and found[0].last_to_first == 1.0
    assert found[1].last_to_first == pytest.approx(1.01)
    assert [one.flagged for one in found] == [True, False]


def test_a_run_that_got_faster_drifted_too() -> None:
    (one,) = drift(table([("network", "fbnet_c", ms) for ms in (2.0, 1.0, 1.0)]))
    assert one.largest == 2.0 and one.last_to_first == 0.5
    (one,) = drift(table([("network", "fbnet_c", ms) for ms in (1.0, 1.0, 0.5)]))
    assert one.largest == 2.0
