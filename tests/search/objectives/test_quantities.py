"""Quantities: compiled and traced figures are equal, and each limit holds on what is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmette.latency import Target, load_predictor, parse_target
from palmette.search.config import SearchConfig
from palmette.search.evolution import evolve
from palmette.search.limits import Limits
from palmette.search.objectives.package_size import LEAST_VALUES, package_bytes
from palmette.search.objectives.precision import PRECISIONS, read_precisions, value_bytes
from palmette.search.objectives.quantities import (
    NAMES,
    CompiledQuantities,
    quantities_of,
)
from palmette.search.problem import SearchProblem, describe, pose
from palmette.space import CompiledSpace, InputError, Op, OpTable, SearchSpace, load, presets
from tests.sweep import sweep

ALL = tuple(PRECISIONS)


OFTEN = ("mnasnet", "mobilenet_v2", "mobilenet_v4", "repvit_like", "fbnet")  # every kind of block


@pytest.mark.parametrize("name", sweep(presets(), OFTEN))
def test_the_tables_of_every_preset_equal_the_traced_networks(
    name: str, compiled_presets: dict[str, CompiledSpace]
) -> None:
    compiled = compiled_presets[name]
    codes = compiled.space.sample(5, np.random.default_rng(2))
    networks = compiled.space.decode_batch(codes)
    for precision in ALL:
        found = CompiledQuantities.of(compiled, (precision,), 4).evaluate(codes)
        alone = [quantities_of(network, (precision,), 4) for network in networks]
        for quantity in NAMES:
            assert found.values[quantity].tolist() == [one[quantity] for one in alone]


# --- package --------------------------------------------------------------------------------------


def bytes_of(text: str, precision: str) -> float:
    return float(package_bytes(OpTable.of([Op.from_text(text)]), precision)[0])


def test_a_layer_takes_its_padded_arrays_and_its_place_in_the_graph() -> None:
    layer = "conv 32x8x8 -> 64x8x8"  # 2048 weights, 64 biases
    biases = 64 + 128
    assert bytes_of(layer, "float16") == (64 + 4096) + biases + 1320
    assert bytes_of(layer, "int8") == (64 + 2048) + biases + biases + 1320 + 166
    assert bytes_of(layer, "int4") == (64 + 1024) + biases + biases + 1320 + 166
    assert bytes_of(layer + " relu6", "float16") - bytes_of(layer, "float16") == 496
    # 33 biases are 66 bytes: two blocks of 64
    assert bytes_of("conv 32x8x8 -> 33x8x8", "float16") == 64 + 2112 + 64 + 128 + 1320


@pytest.mark.parametrize(
    "text",
    ["conv 3x8x8 -> 64x8x8 k3", "conv 32x8x8 -> 32x8x8 k3 g32", "conv 16x1x1 -> 32x1x1"],
    ids=["first layer", "288 weights", "512 weights"],
)
def test_the_first_layer_and_small_weights_stay_half_precision(text: str) -> None:
    assert len({bytes_of(text, name) for name in ALL}) == 1


def test_compression_leaves_the_same_weights_alone_and_knows_each_precision() -> None:
    from palmette.export.compression.schemes import LEAST_VALUES as LEFT_ALONE
    from palmette.export.compression.schemes import SCHEMES

    assert LEAST_VALUES == LEFT_ALONE
    for precision in PRECISIONS.values():
        if precision.name != "float16":
            assert SCHEMES[precision.name].bits == precision.bits
            assert SCHEMES[precision.name].system == f"iOS{precision.ios}"


def test_an_op_without_weights_is_a_line_of_the_graph() -> None:
    assert bytes_of("add 8x4x4 + 8x4x4 -> 8x4x4", "int4") == 250


def test_sizes_are_those_of_the_packages_that_were_written() -> None:
    # results/export_proofs.csv, of the networks with the head of ImageNet
    written = {("mobilenet_v1", "float16"): 8.498, ("mobilenet_v2", "int8"): 3.653}
    written |= {("mobilenet_v2", "int4"): 1.919}
    for (name, precision), megabytes in written.items():
        found = quantities_of(load(name), (precision,))["package_mb"]
        assert found == pytest.approx(megabytes, rel=0.01)


@pytest.mark.slow
def test_sizes_are_within_two_percent_of_fresh_exports(tmp_path: Path) -> None:
    from palmette.export import ExportOptions, export
    from palmette.export.compression import compress
    from palmette.export.compression.compress import size_bytes
    from palmette.latency.suite.values import settle

    space = SearchSpace.preset("mobilenet_v2")
    for seed in (11, 12):
        network = space.decode(space.sample(1, np.random.default_rng(seed))[0])
        module = settle(network.build(), (3, *network.resolution))
        options = ExportOptions(system="iOS18")
        package = export(network, tmp_path / f"{seed}", options=options, module=module)
        written = {"float16": size_bytes(package)}
        for name in ("int8", "int4"):
            written[name] = compress(package, tmp_path / f"{seed}-{name}", name).bytes
        for name, size in written.items():
            estimate = quantities_of(network, (name,))["package_mb"] * 1e6
            assert estimate == pytest.approx(size, rel=0.02), name


# --- precision ------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(ALL), min_size=1, unique=True))
def test_precisions_are_read_in_any_order_and_kept_by_bits(names: list[str]) -> None:
    assert list(read_precisions(", ".join(names))) == [name for name in ALL if name in names]


@pytest.mark.parametrize("text", ["", "float32", "int8,", "INT8"])
def test_an_unknown_precision_is_answered_with_the_known_ones(text: str) -> None:
    with pytest.raises(InputError, match="must be of float16, int8, int4, one or several"):
        read_precisions(text)


def test_a_precision_that_comes_twice_is_refused() -> None:
    with pytest.raises(InputError, match="'int8' comes twice in 'int8,int4,int8'"):
        read_precisions("int8,int4,int8")


def test_several_precisions_need_the_limit_that_chooses() -> None:
    with pytest.raises(InputError, match="package_mb chooses among 'int8,int4'; give that limit"):
        SearchConfig("iphone-13/ane", 1.0, precision="int8,int4")
    assert SearchConfig("iphone-13/ane", 1.0, precision="int4,int8", package_mb=2).precisions == (
        "int8",
        "int4",
    )


def test_each_network_has_the_most_precise_weights_that_keep_the_limit() -> None:
    network = load("mobilenet_v2")
    alone = {name: quantities_of(network, (name,))["package_mb"] for name in ALL}
    assert alone["float16"] > alone["int8"] > alone["int4"]
    for limit, wanted in ((8.0, "float16"), (4.0, "int8"), (2.0, "int4"), (0.1, "int4")):
        assert quantities_of(network, ALL, package_mb=limit)["package_mb"] == alone[wanted]
    assert quantities_of(network, ALL, package_mb=alone["int8"])["package_mb"] == alone["int8"]


@pytest.mark.parametrize(
    ("target", "size"),
    [("iphone-11/cpu", 4), ("iphone-11/gpu", 2), ("iphone-11/ane", 2), ("iphone-13/ane", 2)],
)
def test_values_are_of_single_precision_on_cpus_outside_ml_programs(target: str, size: int) -> None:
    assert value_bytes(parse_target(target)) == size
    assert value_bytes(Target("iphone-13", "cpu", "coreml-ios16", "A15", "cpu", 1.0)) == 2


def test_halving_the_bytes_of_a_value_halves_the_peak() -> None:
    network = load("mobilenet_v2")
    peak = 96 * (112 * 112 + 56 * 56)
    assert quantities_of(network)["peak_memory_mb"] == 2 * peak / 1e6
    assert quantities_of(network, value_bytes=4)["peak_memory_mb"] == 4 * peak / 1e6


# --- a search -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def free(small_space: SearchSpace) -> SearchProblem:
    return pose(small_space, load_predictor("iphone-13/ane"), Limits(1.0), precisions=ALL)


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_bites_and_holds_on_the_front(free: SearchProblem, name: str) -> None:
    before = evolve(free, evaluations=2000, seed=1)
    figures = free.candidates(before.codes).quantities[name]
    limit = float(np.quantile(figures, 0.5))
    tight = replace(free, limits=Limits(1.0, **{name: limit}))
    found = describe(tight, evolve(tight, evaluations=2000, seed=1).codes)
    assert found and all(row[name] <= limit for row in found)
    assert figures.max() > limit


def test_rows_name_the_precision_that_their_size_is_of(free: SearchProblem) -> None:
    tight = replace(free, limits=Limits(1.0, package_mb=3.0))
    codes = tight.space.sample(30, np.random.default_rng(4))
    rows = describe(tight, codes)
    assert {row["precision"] for row in rows} == {"int8", "int4"}
    for row, network in zip(rows, tight.space.decode_batch(codes), strict=True):
        alone = {name: quantities_of(network, (name,))["package_mb"] for name in ALL}
        assert row["package_mb"] == alone.pop(row["precision"])
        assert alone["float16"] > 3.0
        assert row["precision"] == "int8" or alone["int8"] > 3.0
