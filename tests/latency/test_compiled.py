"""Compiled predictors: equal to the traced path, and never cheaper for more work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from palmette.latency import TARGETS, CompiledLatency, LatencyPredictor
from palmette.latency.per_op.op_cost import STRICT_MODELS
from palmette.latency.validation.validate import MONOTONE_KEYS, monotonicity_violations
from palmette.space import (
    Architecture,
    CompiledSpace,
    DepthwiseSeparable,
    Head,
    InputError,
    InvertedResidual,
    Stem,
)
from palmette.space.search_space import presets
from tests.sweep import sweep

OFTEN = ("mnasnet", "mobilenet_v2", "fbnet", "mobilenet_v4", "repvit_like")
"""That of the main job, and what compiles in seconds: every kind of block that a preset has."""


def agree(
    predictors: Iterable[LatencyPredictor], compiled: CompiledSpace, codes: np.ndarray[Any, Any]
) -> None:
    """Compiled and traced milliseconds of codes are equal to a billionth."""
    networks = compiled.space.decode_batch(codes)
    for predictor in predictors:
        table = predictor.compile(compiled)
        for two_sided in (True, False):
            fast = table.interval(codes, 0.7, two_sided)
            slow = predictor.predict_interval(networks, 0.7, two_sided)
            for name in ("ms", "lower_ms", "upper_ms"):
                assert getattr(fast, name) == pytest.approx(getattr(slow, name), rel=1e-9)
        assert table.ms(codes).tolist() == fast.ms.tolist()
        assert table.outside(codes).tolist() == [predictor.outside(net) for net in networks]


@pytest.fixture(scope="module")
def predictors(
    every_shipped: dict[str, LatencyPredictor], made: dict[str, LatencyPredictor]
) -> dict[str, LatencyPredictor]:
    """All shipped predictors, and one fitted to timings per op with each op model."""
    return {**every_shipped, **made}


@pytest.fixture(scope="module")
def small_tables(
    small: CompiledSpace, predictors: dict[str, LatencyPredictor]
) -> dict[str, CompiledLatency]:
    """All predictors over the small space."""
    return {name: predictor.compile(small) for name, predictor in predictors.items()}


@pytest.mark.parametrize("preset", sweep(presets(), OFTEN))
def test_compiled_and_traced_milliseconds_are_equal_on_the_presets(
    predictors: dict[str, LatencyPredictor],
    compiled_presets: dict[str, CompiledSpace],
    preset: str,
) -> None:
    compiled = compiled_presets[preset]
    agree(predictors.values(), compiled, compiled.space.sample(6, np.random.default_rng(1)))


@settings(max_examples=30)
@given(data=st.data())
def test_compiled_and_traced_milliseconds_are_equal_for_any_code(
    small: CompiledSpace,
    small_tables: dict[str, CompiledLatency],
    data: st.DataObject,
) -> None:
    code = np.array([data.draw(st.integers(0, n - 1)) for n in small.space.cardinalities.tolist()])
    network, two_sided = small.space.decode(code), data.draw(st.booleans())
    for table in small_tables.values():
        fast = table.interval(code[None, :], 0.9, two_sided)
        slow = table.predictor.predict_interval([network], 0.9, two_sided)
        for name in ("ms", "lower_ms", "upper_ms"):
            assert getattr(fast, name) == pytest.approx(getattr(slow, name), rel=1e-9)


def test_no_codes_give_no_milliseconds(small_tables: dict[str, CompiledLatency]) -> None:
    for table in small_tables.values():
        none = np.empty((0, table.table.radix.shape[0]), dtype=np.int64)
        assert table.interval(none).upper_ms.shape == (0,)


def test_tables_keep_the_models_channels_and_the_hulls(
    small_tables: dict[str, CompiledLatency], made: dict[str, LatencyPredictor]
) -> None:
    for name, table in small_tables.items():
        model: Any = table.predictor.model_
        if name in made or "tflite" in name:
            width = 2  # milliseconds, and those of shapes that were not timed
        else:
            width = sum(len(state.components) + bool(state.feature) for state in model.states)
        assert table.width == width
        assert table.table.values.shape[1] == width + 6


# More work is never cheaper


def mobile_networks() -> SearchStrategy[Architecture]:
    """Small networks of inverted residuals, all with one activation, as searches make them."""
    eights = st.integers(1, 6).map(lambda n: 8 * n)
    block = st.tuples(
        st.sampled_from([3, 5, 7]), st.integers(1, 2), st.integers(1, 6), eights, st.booleans()
    )
    return st.builds(
        _network,
        st.integers(16, 80),
        st.sampled_from(["relu", "relu6", "hswish", "swish"]),
        eights,
        st.lists(st.tuples(block, st.integers(1, 3)), min_size=1, max_size=3),
        st.integers(4, 20).map(lambda n: 8 * n),
    )


def _network(side: int, act: str, stem: int, rows: list[Any], head: int) -> Architecture:
    stages, channels = [], stem
    for (kernel, stride, ratio, width, gated), depth in rows:
        stage = []
        for index in range(depth):
            se = max(1, channels // 4) if gated else 0
            block = InvertedResidual(
                kernel, stride if index == 0 else 1, ratio * channels, width, act, se
            )
            stage.append(block)
            channels = width
        stages.append(tuple(stage))
    return Architecture((side, side), Stem(3, 2, stem, act), tuple(stages), Head(head, act))


def _blocks(network: Architecture, change: Any) -> Architecture:
    """Every block changed; `change` gets the block and the channels before it."""
    stages, before = [], network.stem.channels
    for stage in network.stages:
        blocks = []
        for block in stage:
            blocks.append(change(block, before))
            before = blocks[-1].channels
        stages.append(tuple(blocks))
    return replace(network, stages=tuple(stages))


def _wider(network: Architecture) -> Architecture:
    # all by the same amount, so that every residual stays one
    stem = replace(network.stem, channels=network.stem.channels + 8)

    def widen(block: InvertedResidual, before: int) -> InvertedResidual:
        ratio = block.expanded // (before - 8)
        return replace(block, channels=block.channels + 8, expanded=ratio * before)

    return _blocks(replace(network, stem=stem), widen)


def _deeper(network: Architecture) -> Architecture:
    *stages, stage = network.stages
    last: Any = stage[-1]
    more = replace(last, stride=1, expanded=2 * last.channels)
    return replace(network, stages=(*stages, (*stage, more)))


STEPS = {
    "kernel": lambda net: _blocks(net, lambda b, _: replace(b, kernel=b.kernel + 2)),
    "expansion": lambda net: _blocks(net, lambda b, c: replace(b, expanded=b.expanded + c)),
    "width": _wider,
    "depth": _deeper,
    "resolution": lambda net: net.with_resolution(net.resolution[0] + 2),
    "squeeze-and-excitation": lambda net: _blocks(
        net, lambda b, c: replace(b, se=b.se + max(1, c // 4))
    ),
    "head": lambda net: replace(net, head=replace(net.head, channels=net.head.channels + 8)),
    "classes": lambda net: replace(net, head=replace(net.head, classes=net.head.classes + 8)),
}


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=12)
@given(network=mobile_networks())
def test_one_step_of_more_work_is_slower_on_every_target(
    predictors: dict[str, LatencyPredictor], step: str, network: Architecture
) -> None:
    more = STEPS[step](network)
    assert more != network
    for name, predictor in predictors.items():
        before, after = predictor.predict([network, more])
        assert after > before, (name, step)


@pytest.mark.parametrize("target", [*TARGETS, *STRICT_MODELS])
def test_no_random_step_of_a_preset_is_cheaper(
    predictors: dict[str, LatencyPredictor],
    compiled_presets: dict[str, CompiledSpace],
    target: str,
) -> None:
    compiled = compiled_presets["mnasnet"]
    assert monotonicity_violations(predictors[target], compiled, 20_000, seed=3) == 0


@pytest.mark.parametrize("preset", sweep(presets(), OFTEN))
@pytest.mark.parametrize("name", STRICT_MODELS)
def test_no_random_step_is_cheaper_with_any_op_model_a_search_may_use(
    made: dict[str, LatencyPredictor],
    compiled_presets: dict[str, CompiledSpace],
    preset: str,
    name: str,
) -> None:
    assert monotonicity_violations(made[name], compiled_presets[preset], 5000, seed=4) == 0


def test_a_predictor_that_looks_kernels_up_is_refused_by_a_search(
    small: CompiledSpace, made_rows: pd.DataFrame, made_phone: Any
) -> None:
    predictor = LatencyPredictor(made_phone.target, ("nearest",)).fit(made_rows)
    ms = predictor.predict(["mobilenet_v3_small"])
    assert ms.shape == (1,) and ms[0] > 0 and not predictor.model_.strict
    with pytest.raises(InputError) as caught:
        predictor.compile(small)
    assert str(caught.value) == (
        "the predictor of 'made-phone/gpu@tflite-1.0' looks kernels up: more work can be cheaper"
        " under it, which a search would exploit; fit it again without --lookup"
    )


class Planted:
    """Stands in for a predictor whose milliseconds are a weighted sum of choice indices."""

    def __init__(self, weights: np.ndarray[Any, Any]) -> None:
        self.weights = weights

    def compile(self, compiled: CompiledSpace) -> Planted:
        return self

    def ms(self, codes: np.ndarray[Any, Any]) -> Any:
        return 100.0 + codes @ self.weights


def test_planted_violations_are_counted(small: CompiledSpace) -> None:
    names = [gene.name.split(".")[1] for gene in small.space.genes]
    rising = np.array([float(name in MONOTONE_KEYS) for name in names])
    count = monotonicity_violations(Planted(rising), small, 3000, seed=0)  # type: ignore[arg-type]
    assert count == 0
    flat = rising * np.array([name != "kernel" for name in names])
    share = [name for name in names if name in MONOTONE_KEYS].count("kernel") / rising.sum()
    for weights in (flat, np.where(rising == flat, flat, -1.0)):  # free, and cheaper
        found = monotonicity_violations(Planted(weights), small, 3000, seed=0)  # type: ignore[arg-type]
        assert found / 3000 == pytest.approx(share, abs=0.03)
    assert monotonicity_violations(Planted(0 * rising), small, 500, seed=0) == 500  # type: ignore[arg-type]


def test_activations_are_no_step_of_work() -> None:
    assert "activation" not in MONOTONE_KEYS


def test_a_depthwise_separable_block_grows_too(predictors: dict[str, LatencyPredictor]) -> None:
    def network(kernel: int) -> Architecture:
        block = DepthwiseSeparable(kernel, 1, 16, "relu")
        return Architecture((64, 64), Stem(3, 2, 16, "relu"), ((block,),), Head(0))

    for predictor in predictors.values():
        ms = predictor.predict([network(3), network(5), network(7)])
        assert ms[0] < ms[1] < ms[2]
