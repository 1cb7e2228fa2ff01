"""A search that is to be exportable finds no network with an op that its target's unit refuses."""

from __future__ import annotations

import numpy as np
import pytest

from palmette.export.exportability import exportability
from palmette.export.unit_rules import LEVELS, Era, rule_from
from palmette.latency import load_predictor
from palmette.search.evolution import evolve
from palmette.search.exportable import REFUSED, level_table, without_refused
from palmette.search.limits import Limits
from palmette.search.problem import describe, pose
from palmette.space import Architecture, CompiledSpace, InputError, SearchSpace, compile_space

HEAD = """
format = "palmette/space@1"
[network]
resolution = [64, 96]
activation = ["relu", "hswish"]
[stem]
channels = 8
[head]
channels = 32
"""
MIXED = (
    HEAD
    + """
[[stages]]
block = ["ir", "uir"]
stride = 2
channels = [8, 16]
kernel = 3
expansion = 2
depth = [1, 2]
se = 0.0
[[stages]]
block = ["ir", "uir"]
stride = 2
channels = 16
kernel = 3
expansion = 2
depth = 1
se = 0.25
[[stages]]
stride = 1
channels = 16
kernel = [3, 5]
expansion = 2
depth = 1
se = [0.0, 0.25]
[[stages]]
stride = 2
channels = 16
kernel = 3
expansion = 2
depth = 1
se = 0.0
[[stages]]
stride = 2
channels = 16
kernel = 3
expansion = 2
depth = 1
se = 0.0
"""
)
OLD, NEW = Era("ane", 13, "A13"), Era("ane", 16, "A15")


@pytest.fixture(scope="module")
def mixed() -> CompiledSpace:
    return compile_space(SearchSpace.from_toml(MIXED, "mixed"))


def test_counts_of_codes_are_those_of_their_networks(mixed: CompiledSpace) -> None:
    target = load_predictor("iphone-11/ane").model_.target
    codes = mixed.space.sample(12, np.random.default_rng(0))
    counts = level_table(mixed, OLD).sums(codes)
    for code, found in zip(codes, counts, strict=True):
        report = exportability(mixed.space.decode(code), target)
        assert found.tolist() == [report.count(level) for level in LEVELS]
    assert (counts[:, REFUSED] > 0).sum() > 0


def test_a_choice_that_always_brings_a_refused_op_is_barred_and_no_other(
    mixed: CompiledSpace,
) -> None:
    space, names = without_refused(mixed, mixed.space, OLD)
    assert names == ["stage2.block=ir", "stage3.se=0.25"]
    assert space.sections["stage2"]["block"] == ("uir",)
    assert space.sections["stage1"] == mixed.space.sections["stage1"]
    assert without_refused(mixed, mixed.space, NEW) == (mixed.space, [])


@pytest.fixture
def windows_of_5_with_hswish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of our own, for what is refused in some combinations alone."""
    words = {"why": "w", "source": "s", "replacement": "r", "units": ["ane"]}
    about = {"kinds": ["conv"], "acts": ["hswish"], "when": ["kernel = 5"]}
    rule = rule_from({"name": "pair", "level": "refused", **words, **about}, "test")
    monkeypatch.setattr("palmette.export.unit_rules.all_rules", lambda: (rule,))


@pytest.mark.usefixtures("windows_of_5_with_hswish")
def test_what_is_refused_in_some_combinations_bars_no_choice_until_the_others_are_gone(
    mixed: CompiledSpace,
) -> None:
    assert without_refused(mixed, mixed.space, OLD) == (mixed.space, [])
    hswish = mixed.space.restrict("network.activation", ["hswish"])
    space, names = without_refused(mixed, hswish, OLD)
    assert names == ["stage3.kernel=5"] and space.sections["stage3"]["kernel"] == (3,)


@pytest.mark.usefixtures("windows_of_5_with_hswish")
def test_networks_with_a_refused_op_break_a_limit() -> None:
    space, predictor = SearchSpace.from_toml(MIXED, "mixed"), load_predictor("iphone-11/ane")
    options = {"extrapolate": True}
    plain = pose(space, predictor, Limits(100.0), **options)
    strict = pose(space, predictor, Limits(100.0), exportable=True, **options)
    codes = strict.space.sample(300, np.random.default_rng(1))
    refused = strict.levels.sums(strict.compiled_codes.full(codes))[:, REFUSED]
    more = strict.candidates(codes).violation - plain.candidates(codes).violation
    assert 0 < (refused > 0).sum() < len(codes) and more == pytest.approx(refused)


def test_a_space_with_nothing_else_is_refused_by_gene_and_rule() -> None:
    gated = MIXED.replace('block = ["ir", "uir"]', 'block = "ir"')
    compiled = compile_space(SearchSpace.from_toml(gated, "gated"))
    with pytest.raises(InputError, match=r"^space 'gated': every choice of .* refuses \(.*channel"):
        without_refused(compiled, compiled.space, OLD)


def test_a_search_finds_no_refused_op_and_says_what_it_barred() -> None:
    space, predictor = SearchSpace.from_toml(MIXED, "mixed"), load_predictor("iphone-11/ane")
    plain = pose(space, predictor, Limits(100.0), extrapolate=True)
    strict = pose(space, predictor, Limits(100.0), extrapolate=True, exportable=True)
    assert plain.refused == () and strict.refused == ("stage2.block=ir", "stage3.se=0.25")
    front = evolve(strict, evaluations=2000, seed=0)
    for row in describe(strict, front.codes):
        report = exportability(Architecture.from_text(row["architecture"]), predictor.model_.target)
        assert row["ops_refused"] == 0 == report.count("refused")
        assert row["ops_at_risk"] == report.count("risk")


def test_units_without_rules_bar_nothing(mixed: CompiledSpace) -> None:
    gpu = Era("gpu", 13, "A13")
    assert without_refused(mixed, mixed.space, gpu) == (mixed.space, [])
    assert not level_table(mixed, gpu).values.any()
