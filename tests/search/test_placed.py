"""A compute plan held against what the rules of thumb expect of the same ops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from palmette.cli import app
from palmette.export.coreml import export
from palmette.export.interpreter.program import read_program
from palmette.latency import parse_target
from palmette.latency.foreign.measurements import FORMAT
from palmette.latency.placement import PlacedOp, Placement
from palmette.latency.suite.manifest import write_manifest
from palmette.search.placed import (
    ABSENT,
    LEAVES,
    STAYS,
    PlacementReport,
    compare_placement,
    with_operators,
)
from palmette.search.placed_files import hold
from palmette.space import Architecture, InputError
from tests.latency.foreign.conftest import Answers, report, structure

OLD = parse_target("iphone-11/ane@coreml-ios13")
NEW = parse_target("iphone-13/ane@coreml-ios16")
SMALL = Architecture.from_text(
    "32x32 stem_k3_s2_c16_hswish | ir_r1_k3_s2_e2_c16_se0.25_relu6 |"
    " ir_r1_k3_s1_e2_c16_swish | head_c32_relu"
)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("placed") / "small"
    export(SMALL, path)
    return next(path.parent.rglob("*.mlpackage"))


@pytest.fixture(scope="module")
def placement(package: Path) -> Placement:
    """What a plan would say of the package: all on the Neural Engine but products."""
    operations = read_program(package, weights=False).operations
    ops = tuple(
        PlacedOp(one.kind, one.outputs[0].name, "cpu" if one.kind == "mul" else "ane")
        for one in operations
        if one.kind != "const"
    )
    return Placement(ops)


def of_kind(found: PlacementReport, kind: str) -> Iterator[tuple[str, str]]:
    return ((one.predicted, one.actual) for one in found.ops if one.op.kind == kind)


def test_every_op_of_a_real_package_is_found_in_its_plan(placement: Placement) -> None:
    found = compare_placement(SMALL, NEW, placement)
    assert len(found.ops) == len(SMALL.ops())
    assert all(one.actual != ABSENT for one in found.ops)
    # what is left normalises the image, changes types, and flattens before the classifier
    assert [op.operator for op in found.others] == ["add", "cast", "reshape"]


def test_an_activation_s_product_is_not_the_gate_s(placement: Placement) -> None:
    """Hard swish ends in a product of its own, which the plan has on the CPU too."""
    found = compare_placement(SMALL, NEW, placement)
    assert set(of_kind(found, "conv")) == {(STAYS, "ane")}
    assert list(of_kind(found, "mul")) == [(STAYS, "cpu")]


def test_what_differs_depends_on_what_was_expected(placement: Placement) -> None:
    (new,) = compare_placement(SMALL, NEW, placement).differing
    assert new.op.kind == "mul" and new.actual == "cpu" and new.place
    old = compare_placement(SMALL, OLD, placement)
    assert old.differing == ()  # that the old one refuses it is a rule
    assert list(of_kind(old, "mul")) == [(LEAVES, "cpu")]
    stayed = Placement(tuple(PlacedOp(op.operator, op.output, "ane") for op in placement.ops))
    (mul,) = compare_placement(SMALL, OLD, stayed).differing
    assert (mul.predicted, mul.actual, mul.rule) == (LEAVES, "ane", "scale-by-channel")


def test_operators_are_known_by_the_outputs_of_their_package(
    package: Path, placement: Placement
) -> None:
    nameless = Placement(tuple(PlacedOp("", op.output, op.preferred) for op in placement.ops))
    assert with_operators(nameless, package) == placement
    found = compare_placement(SMALL, NEW, nameless)
    assert {one.actual for one in found.ops} == {ABSENT}


def test_ops_that_a_plan_lacks_are_absent(placement: Placement) -> None:
    half = Placement(placement.ops[: len(placement.ops) // 2])
    found = compare_placement(SMALL, NEW, half)
    actual = [one.actual == ABSENT for one in found.ops]
    assert 0 < sum(actual) < len(actual) and actual == sorted(actual)


def test_a_report_of_xcode_is_held_against_its_network(tmp_path: Path) -> None:
    units = ["neuralEngine", "cpu"]
    results = {"predict": {"samples": [0.001]}, **structure(units)}
    path = report(tmp_path, deviceResults=results)
    chain = "2*(ds_r1_k3_s1_c8_relu)@8x8x8"
    ((name, found),) = hold(path, subject=chain).reports
    assert name == chain and str(found.target) == "iphone-15-pro/ane@coreml-ios18"
    assert found.counts == {(STAYS, "ane"): 1, (STAYS, "cpu"): 1, (STAYS, ABSENT): 4}
    with pytest.raises(InputError, match="1 plans not of the unit of iphone-11/gpu"):
        hold(path, subject=chain, target="iphone-11/gpu")
    with pytest.raises(InputError, match="give --suite"):
        hold(path)


def test_a_plan_of_outputs_alone_needs_its_package(
    package: Path, placement: Placement, tmp_path: Path
) -> None:
    devices = {"ane": "neuralEngine", "cpu": "cpu"}
    infos = [
        {
            "deviceUsage": {"preferred": {devices[op.preferred]: {}}, "supported": []},
            "path": {"components": [{"programOperation": {"data": {"outputName": op.output}}}]},
        }
        for op in placement.ops
    ]
    timed = {"package": "a.mlpackage", "units": "cpuAndNeuralEngine", "samples": [0.5]}
    file = tmp_path / "timed.json"
    machine = {"machine": "iPhone16,1", "os_version": "18.1"}
    data = {"format": FORMAT, **machine, "measurements": [{**timed, "plan": {"infos": infos}}]}
    file.write_text(json.dumps(data))
    ((_, found),) = hold(file, subject=SMALL.to_text(), package=package).reports
    assert str(found.target) == "iphone-15-pro/ane@coreml-ios18"
    assert found.ops == compare_placement(SMALL, found.target, placement).ops
    with pytest.raises(InputError, match="name its package with --package"):
        hold(file, subject=SMALL.to_text())


def test_a_plan_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no op of the plan is one of"):
        hold(report(tmp_path), subject="mul 8x8x8 + 8x1x1 -> 8x8x8")


def test_plans_are_of_the_phone_of_the_results_beside_them(answers: Answers) -> None:
    """The suite was made for another phone; what is passed over is counted."""
    probe = "4*(ir_r1_k3_s1_e6_c24_relu6)@56x56x24 + 2*sigmoid@float32"
    changes = {"subject_kind": "probe", "subject": probe, "role": "probe"}
    entries = [
        replace(answers.entries[3], **changes) if one.position == 4 else one
        for one in answers.entries
    ]
    write_manifest(answers.suite, entries)
    op = {"place": 0, "operator": "ios17.conv", "output": "a", "preferred": "ane"}
    files = [{**op, "file": f"p{at}.mlpackage"} for at in (1, 3, 4)]
    answers.write_placement([*files, {**files[0], "units": "cpuOnly", "preferred": "cpu"}])
    path = answers.results.parent / "placement.csv"
    assert {str(one.target) for _, one in hold(path, suite=answers.suite).reports} == {
        *("iphone-15-pro/ane@coreml-ios18", "iphone-15-pro/cpu@coreml-ios18")
    }
    answers.write([answers.row(1, machine="iPhone14,5", os_version="16.2")])
    args = ["latency", "placement", str(path), "--suite", str(answers.suite)]
    shown = CliRunner().invoke(app, [*args, "--target", "iphone-13/ane"])
    assert [line.removeprefix(f"{path}: ") for line in shown.stderr.splitlines()] == [
        "passed over: 1 plans of probes, which are made to leave the unit",
        "passed over: 1 plans not of the unit of iphone-13/ane@coreml-ios16",
    ]
    found = hold(path, suite=answers.suite)
    assert [str(one.target) for _, one in found.reports] == [
        *["iphone-13/ane@coreml-ios16"] * 2,
        "iphone-13/cpu@coreml-ios16",
    ]
    answers.results.write_text("torn")
    (bad,) = hold(path, suite=answers.suite).left_out
    assert bad.file == str(answers.results) and "the first line must be" in bad.reason


def test_the_command_prints_counts_and_what_differs(tmp_path: Path) -> None:
    results = {"predict": {"samples": [0.001]}, **structure(["neuralEngine", "cpu"])}
    path = report(tmp_path, deviceResults=results)
    chain = "2*(ds_r1_k3_s1_c8_relu)@8x8x8"
    args = ["latency", "placement", str(path), "--subject", chain]
    shown = CliRunner().invoke(app, args).output
    assert "1 plans on" in shown and "iphone-15-pro/ane@coreml-ios18" in shown
    assert "conv 8x8x8 -> 8x8x8" in shown
    (answer,) = json.loads(CliRunner().invoke(app, [*args, "--json"]).output)
    assert answer["subject"] == chain and answer["ops"] == 6
    assert [one["actual"] for one in answer["differing"]] == ["cpu"]
