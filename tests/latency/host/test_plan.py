"""The default plan of a host measurement."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from palmette.latency.chains import Chain
from palmette.latency.host.plan import (
    DEPTHS,
    HostPlan,
    dressed,
    host_plan,
    prior_ms,
    read_subjects,
    sample_architectures,
)
from palmette.latency.op_lists import network_ops
from palmette.space import InputError, Op, SearchSpace


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.preset("mobilenet_v2")


@pytest.fixture(scope="module")
def plan(space: SearchSpace) -> HostPlan:
    return host_plan(space, seed=3)


def test_a_plan_has_what_was_asked_for_and_nothing_twice(plan: HostPlan) -> None:
    assert 320 < len(plan.ops) <= 350
    assert len(plan.chains) == 24 and len(plan.networks) == 8
    assert len(set(plan.subjects)) == len(plan.subjects)
    assert Counter(kind for kind, _ in plan.subjects) == {
        "op": len(plan.ops),
        "chain": 24,
        "network": 8,
    }


def test_every_text_of_a_plan_can_be_read(plan: HostPlan) -> None:
    assert all(Op.from_text(text).to_text() == text for text in plan.ops)
    assert all(Chain.from_text(text).to_text() == text for text in plan.chains)
    assert all(network_ops(text) for text in plan.networks)


def test_a_seed_gives_the_same_plan_again_and_another_seed_another(
    space: SearchSpace, plan: HostPlan
) -> None:
    assert host_plan(space, seed=3) == plan
    assert host_plan(space, seed=4).ops != plan.ops


def test_every_block_of_a_chain_comes_at_both_depths(plan: HostPlan) -> None:
    chains = [Chain.from_text(text) for text in plan.chains]
    depths = Counter((chain.block, chain.shape) for chain in chains)
    assert set(depths.values()) == {len(DEPTHS)}
    assert {chain.depth for chain in chains} == set(DEPTHS)


def test_kinds_that_the_space_lacks_are_timed_too(plan: HostPlan) -> None:
    ops = [Op.from_text(text) for text in plan.ops]
    assert {"conv", "add", "mul", "mean", "pool", "concat", "permute"} <= {op.kind for op in ops}
    assert {"swish", "hswish", "relu", "relu6"} <= {op.act for op in ops}
    assert any(op.kind == "conv" and op.kernel == (3, 3) and op.groups == 1 for op in ops)


def test_dressing_keeps_widths_depths_and_strides(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for architecture in space.decode_batch(space.sample(20, rng)):
        other = dressed(architecture, rng)
        assert other.resolution == architecture.resolution
        assert [[b.out_channels for b in s] for s in other.stages] == [
            [b.out_channels for b in s] for s in architecture.stages
        ]
        assert other.total_stride == architecture.total_stride
        kinds |= {block.kind for stage in other.stages for block in stage}
    assert kinds == {"ir", "ds", "er", "cn"}


def test_every_second_sample_is_of_the_space_itself(space: SearchSpace) -> None:
    drawn = sample_architectures(space, 6, np.random.default_rng(5))
    for architecture in drawn[::2]:
        assert space.decode(space.encode(architecture)) == architecture


def test_the_plan_prefers_ops_with_more_work_that_occur_more_often(space: SearchSpace) -> None:
    rng = np.random.default_rng([0, 0])
    every = {op.to_text() for one in sample_architectures(space, 120, rng) for op in one.ops()}
    taken = [prior_ms(Op.from_text(text)) for text in host_plan(space, others=0).ops]
    assert np.mean(taken) > 1.5 * np.mean([prior_ms(Op.from_text(text)) for text in every])


def test_the_prior_grows_with_work() -> None:
    texts = ["conv 8x8x8 -> 8x8x8", "conv 8x8x8 -> 8x8x8 relu", "conv 64x8x8 -> 64x8x8 k3"]
    guesses = [prior_ms(Op.from_text(text)) for text in texts]
    assert guesses == sorted(guesses) and guesses[0] > 0


def test_subjects_are_read_from_a_table_with_any_further_columns(tmp_path: Path) -> None:
    file = tmp_path / "subjects.csv"
    file.write_text(
        "subject,latency_ms,subject_kind\nlinear 8 -> 8,1,op\n\nmobilenet_v1,2,network\n"
    )
    assert read_subjects(file) == [("op", "linear 8 -> 8"), ("network", "mobilenet_v1")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("subject\nlinear 8 -> 8\n", "column 'subject_kind' is missing"),
        ("subject_kind\nop\n", "column 'subject' is missing"),
        ("subject_kind,subject\n", "no rows"),
        ("subject_kind,subject\nop,linear 8 -> 8\nthing,x\n", "row 3: subject_kind must be"),
        ("subject_kind,subject\nop, \n", "row 2: subject is empty"),
    ],
)
def test_a_table_without_subjects_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "subjects.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=reason):
        read_subjects(file)
