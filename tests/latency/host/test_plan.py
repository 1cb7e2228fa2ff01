"""The default plan of a host measurement."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from palmette.latency.host.plan import host_plan, read_subjects
from palmette.latency.planning.dressed import dressed
from palmette.latency.planning.plan import Plan
from palmette.latency.planning.space_plan import sample_architectures
from palmette.space import InputError, Op, SearchSpace


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.preset("mobilenet_v2")


@pytest.fixture(scope="module")
def plan(space: SearchSpace) -> Plan:
    return host_plan(space, seed=3)


def test_a_plan_has_all_three_kinds_and_nothing_twice(plan: Plan) -> None:
    counts = Counter(kind for kind, _ in plan.subjects)
    assert counts["op"] > 200 and counts["chain"] >= 16 and counts["network"] >= 5
    assert len(plan.subjects) == len(plan.rows)


def test_no_reference_network_is_in_it(plan: Plan) -> None:
    assert all("|" in text for kind, text in plan.subjects if kind == "network")


def test_kinds_that_the_space_lacks_are_timed_too(plan: Plan) -> None:
    ops = [Op.from_text(text) for kind, text in plan.subjects if kind == "op"]
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
    drawn = sample_architectures(space, 6, np.random.default_rng(5), broad=True)
    for architecture in drawn[::2]:
        assert space.decode(space.encode(architecture)) == architecture


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
