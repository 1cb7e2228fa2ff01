"""Plans: what is in them, in which order, and that they keep to their minutes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmette.latency.chains import Chain
from palmette.latency.op_lists import network_ops
from palmette.latency.per_op.kernels import kernel_from_text, kernel_text
from palmette.latency.planning import choose, space_plan
from palmette.latency.planning.choose import NETWORKS, Proposal, depths, propose
from palmette.latency.planning.explained import explain
from palmette.latency.planning.needs import Needs
from palmette.latency.planning.plan import Planned
from palmette.latency.planning.space_plan import plan_space
from palmette.latency.suite.order import run_order
from palmette.latency.suite.probes import Probe
from palmette.latency.targets import parse_target
from palmette.space import InputError, SearchSpace

PHONE = parse_target("iphone-99/cpu@coreml-ios30")
HOST = parse_target("host/cpu@torch-eager")


@pytest.fixture(scope="module")
def ten(phone_needs: Needs) -> Proposal:
    return propose(phone_needs, PHONE, 10)


def without_anchors(proposal: Proposal) -> list[Planned]:
    return [row for row in proposal.plan.rows if row.role != "anchor"]


@settings(max_examples=25)
@given(st.floats(0.6, 30))
def test_a_plan_keeps_to_its_minutes_and_is_the_beginning_of_a_longer_one(
    phone_needs: Needs, ten: Proposal, minutes: float
) -> None:
    found = propose(phone_needs, PHONE, minutes)
    assert found.plan.seconds <= 60 * minutes
    shorter, longer = sorted((found, ten), key=lambda one: len(one.steps))
    assert without_anchors(longer)[: len(without_anchors(shorter))] == without_anchors(shorter)
    assert shorter.covered <= longer.covered + 1e-12


def test_no_further_step_would_fit(phone_needs: Needs) -> None:
    found = propose(phone_needs, PHONE, 2)
    assert found.more and found.more[0].minutes == 1
    # a block is two rows, and may bring a round of three anchors with it
    assert 120 - found.plan.seconds < 5 * 4


def test_rows_stand_in_the_order_of_their_use(ten: Proposal) -> None:
    roles = [row.role for row in ten.plan.rows]
    assert roles[:NETWORKS] == ["calibration"] * NETWORKS
    assert roles[NETWORKS : NETWORKS + 3] == ["anchor"] * 3
    assert set(roles[NETWORKS + 3 :]) == {"op", "chain", "calibration"}


def test_calibration_networks_differ_and_known_ones_are_among_them(ten: Proposal) -> None:
    first = [row.subject for row in ten.plan.rows[:NETWORKS]]
    assert len(set(first)) == NETWORKS
    assert all(network_ops(text) for text in first)


def test_every_subject_can_be_read_and_is_needed(ten: Proposal, phone_needs: Needs) -> None:
    kernels = set(phone_needs.kernels.texts)
    for kind, text in ten.plan.subjects:
        if kind == "op":
            assert kernel_text(kernel_from_text(text)) == text and text in kernels
        elif kind == "chain":
            assert {op.to_text() for op in Chain.from_text(text).ops()} <= kernels
        else:
            assert text in phone_needs.networks.texts


def test_every_block_comes_at_two_depths(ten: Proposal) -> None:
    pairs = [step.rows for step in ten.steps if step.rows[0].kind == "chain"]
    assert pairs
    for rows in pairs:
        low, high = (Chain.from_text(row.subject) for row in rows)
        assert low.block == high.block and low.shape == high.shape and low.depth < high.depth


def test_depths_are_such_that_a_call_does_not_drown_the_slope() -> None:
    assert depths(1.0, 0.15) == (2, 6)
    assert depths(0.08, 0.15) == (2, 6)  # four blocks take two calls
    assert depths(0.07, 0.15) == depths(0.03, 0.15) == (4, 16)
    assert depths(0.001, 0.15) == (8, 32)
    assert depths(0.001, 0.0) == (2, 6)


def test_ops_that_are_mostly_call_are_left_to_chains(
    phone_needs: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ms = dict(zip(phone_needs.kernels.texts, phone_needs.kernels.ms, strict=True))
    limit = 2 * float(sorted(ms.values())[len(ms) // 2])
    monkeypatch.setattr(choose, "CALL_MS", {"cpu": limit})
    found = propose(phone_needs, PHONE, 60)
    timed = [row.subject for row in found.plan.rows if row.kind == "op"]
    assert 0 < len(timed) < len(ms) and all(ms[text] >= limit / 2 for text in timed)
    assert found.more == ()  # all that can be timed is in it
    chained = {at for inside in phone_needs.blocks.kernels for at in inside.tolist()}
    never = [at for at, took in enumerate(ms.values()) if took < limit / 2 and at not in chained]
    total_ms = phone_needs.kernels.total_ms
    assert found.untimed == pytest.approx(total_ms[never].sum() / total_ms.sum()) and never
    exact = sum(total_ms[list({at for step in found.steps for at in step.shows})])
    assert found.untimed == pytest.approx(1 - exact / total_ms.sum())


def test_anchors_cost_all_their_repeats(ten: Proposal) -> None:
    rows = {(row.subject, row.role): row for row in ten.plan.rows}
    repeated = [row for row in ten.plan.rows if row.role == "anchor"]
    assert [row.kind for row in repeated] == ["network", "network", "chain"]
    # as often as in the order of their suite
    subjects = {row.subject for row in repeated}
    others = [row.subject for row in ten.plan.rows if row.subject not in subjects]
    rounds = run_order(others, sorted(subjects), 0).count(repeated[0].subject)
    for row in repeated:
        own = rows[row.subject, "calibration" if row.kind == "network" else "chain"]
        assert row.seconds == pytest.approx(rounds * own.seconds)


def test_a_neural_engine_is_probed_behind_the_first_chains(phone_needs: Needs) -> None:
    found = propose(phone_needs, parse_target("iphone-99/ane@coreml-ios30"), 5)
    kinds = [row.kind for row in found.plan.rows if row.role in ("chain", "probe")]
    assert kinds[:10] == ["chain"] * 2 + ["probe"] * 8 and set(kinds[10:]) == {"chain"}
    probes = [Probe.from_text(row.subject) for row in found.plan.rows if row.kind == "probe"]
    first = next(
        row.subject for row in found.plan.rows if row.role == "anchor" and "*(" in row.subject
    )
    assert {probe.chain.to_text() for probe in probes} == {first}


def test_this_machine_needs_no_anchors_and_takes_other_ops_besides(host_needs: Needs) -> None:
    extras = ["pool 8x8x8 -> 8x4x4 k3 s2", "concat 8x4x4 + 8x4x4 -> 16x4x4"]
    found = propose(host_needs, HOST, 3, extras)
    assert {row.role for row in found.plan.rows} == {"calibration", "op", "chain"}
    subjects = [row.subject for row in found.plan.rows]
    assert set(extras) <= set(subjects)


def test_too_few_minutes_are_refused_with_what_it_takes(phone_needs: Needs) -> None:
    with pytest.raises(InputError, match=r"0\.1 minutes are too few.*anchors.* take 0\.\d"):
        propose(phone_needs, PHONE, 0.1)
    for minutes in (-1, 0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="more than 0"):
            propose(phone_needs, PHONE, minutes)


def test_a_seed_gives_the_same_plan_again_and_another_seed_another(
    space: SearchSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_plan, "SAMPLED", 8)
    one, same, other = (plan_space(space, PHONE, 3, seed=seed).plan for seed in (1, 1, 2))
    assert one == same != other


def test_a_table_says_what_and_why(ten: Proposal) -> None:
    cells = explain(ten)
    assert cells[0][4] == "scales the sum"
    whole = sum(float(row[2]) for row in cells)
    assert whole == pytest.approx(ten.plan.seconds / 60, abs=0.01 * len(cells))
    kinds = {row[0]: row for row in cells}
    again = [name for name in kinds if name.endswith(", again")]
    assert 0 < len(again) == sum(row[4] == "shows drift" for row in cells)
    assert {"conv 1x1", "depthwise 3x3", "blocks ir, as chains"} <= set(kinds)
    assert 0 < float(kinds["conv 1x1"][3]) < 100
