"""Features: single ops counted by hand, and what must hold of every network."""

from collections.abc import Callable

import numpy as np
import pytest

from palmette.latency.whole.features import FEATURES, WORKING_SET
from palmette.space import Op, OpTable

POINT = "conv 32x56x56 -> 16x56x56 relu6"
DEPTH = "conv 32x56x56 -> 32x28x28 k3 s2 g32 hswish"
DENSE = "conv 3x224x224 -> 32x112x112 k3 s2 swish"
GROUPED = "conv 32x8x8 -> 64x8x8 k3 g4"
LINEAR = "linear 1280 -> 1000"
POOL = "pool 8x10x10 -> 8x5x5 k2 s2"
MEAN = "mean 8x10x10 -> 8"
ADD = "add 24x7x7 + 24x7x7 -> 24x7x7"
GATE = "mul 96x56x56 + 96x1x1 -> 96x56x56"
PRODUCT = "mul 96x8x8 + 96x8x8 -> 96x8x8"
SIGMOID = "act 96x1x1 -> 96x1x1 sigmoid"
HARD = "conv 8x1x1 -> 96x1x1 hsigmoid"
SHUFFLE = "permute 58x28x28 -> 58x28x28"
GATHER = "gather 58x28x28 -> 58x28x28"
DILATED = "conv 32x8x8 -> 32x8x8 k3 d2 g32"
LARGE = "conv 16x300x300 -> 8x300x300"

M = 1e6
BY_HAND = [
    ("macs_point", POINT, 32 * 16 * 56 * 56 / M),
    ("macs_point", LINEAR, 1280 * 1000 / M),
    ("macs_point", DEPTH, 0),
    ("macs_point", DENSE, 0),
    ("macs_depth", DEPTH, 9 * 32 * 28 * 28 / M),
    ("macs_depth", POINT, 0),
    ("macs_depth", GROUPED, 0),
    ("macs_dense", DENSE, 27 * 32 * 112 * 112 / M),
    ("macs_dense", GROUPED, 9 * 8 * 64 * 64 / M),  # 8 inputs a group, 64 outputs, 8 x 8 px
    ("macs_dense", POINT, 0),
    ("macs", DENSE, 27 * 32 * 112 * 112 / M),
    ("macs", ADD, 0),
    ("elements", POINT, (32 + 16) * 56 * 56 / M),
    ("elements", LINEAR, 2280 / M),
    ("elements", POOL, 8 * 100 / M),  # what a pooling reads alone
    ("elements", MEAN, 0),
    ("elements", ADD, 0),
    ("traffic", ADD, 3 * 24 * 49 / M),
    ("traffic", POOL, 8 * 125 / M),
    ("spilled", LARGE, (16 * 300 * 300 - WORKING_SET) / M),
    ("spilled", POINT, 0),
    ("weights", POINT, (32 + 1) * 16 / M),
    ("weights", DEPTH, (9 + 1) * 32 / M),
    ("weights", LINEAR, 1281 * 1000 / M),
    ("weights", GATE, 0),
    ("clipped", POINT, 3 * 16 * 56 * 56 / M),  # relu6 is four layers, the first one free
    ("clipped", DEPTH, 6 * 32 * 28 * 28 / M),  # hard-swish is seven
    ("clipped", HARD, 4 * 96 / M),  # hard-sigmoid is five
    ("clipped", DENSE, 0),
    ("sigmoided", DENSE, 32 * 112 * 112 / M),
    ("sigmoided", SIGMOID, 96 / M),
    ("sigmoided", POINT, 0),
    ("activated", DENSE, 32 * 112 * 112 / M),
    ("activated", POINT, 3 * 16 * 56 * 56 / M),
    ("layers", POINT, 1 + 4),
    ("layers", DEPTH, 1 + 7),
    ("layers", DENSE, 1 + 2),  # SiLU is a sigmoid and a product
    ("layers", HARD, 1 + 5),
    ("layers", ADD, 1),
    ("layers", SIGMOID, 1),
    ("dispatched", DEPTH, 1),
    ("dispatched", SIGMOID, 0),
    ("gates", GATE, 1),
    ("gates", PRODUCT, 0),
    ("gates", "add 96x8x8 + 96x1x1 -> 96x8x8", 0),
    ("gated", GATE, 96 * 56 * 56 / M),
    ("moves", SHUFFLE, 58 * 28 * 28 / M),
    ("moves", GATHER, 58 * 28 * 28 / M),
    ("moves", POINT, 0),
    ("unusual", SHUFFLE, 1),
    ("unusual", GATHER, 1),
    ("unusual", DILATED, 1),
    ("unusual", DEPTH, 0),
    ("shuffles", SHUFFLE, 1),
    ("shuffles", GATHER, 1),
    ("shuffles", DILATED, 0),
    ("macs_dilated", DILATED, 9 * 32 * 8 * 8 / M),
    ("macs_dilated", SHUFFLE, 0),
]


@pytest.mark.parametrize(("feature", "text", "value"), BY_HAND)
def test_a_feature_of_one_op_is_what_a_hand_counts(
    ops_of_texts: Callable[..., OpTable], feature: str, text: str, value: float
) -> None:
    found = FEATURES[feature](ops_of_texts(text))
    assert found.shape == (1,)
    assert found[0] == pytest.approx(value, rel=1e-12, abs=1e-15)


def test_every_feature_is_counted_by_hand_once() -> None:
    assert {feature for feature, _, _ in BY_HAND} == set(FEATURES)


@pytest.mark.parametrize(
    ("act", "count"),
    [("none", 1), ("relu", 1), ("lrelu", 1), ("relu6", 5), ("hswish", 8), ("swish", 3)],
)
def test_layers_of_a_convolution_follow_the_2020_converter(
    ops_of_texts: Callable[..., OpTable], act: str, count: int
) -> None:
    text = f"conv 8x4x4 -> 8x4x4 {act}".removesuffix(" none")
    assert FEATURES["layers"](ops_of_texts(text)).tolist() == [count]


def test_features_of_several_ops_stand_in_their_order(
    ops_of_texts: Callable[..., OpTable],
) -> None:
    found = FEATURES["layers"](ops_of_texts(POINT, ADD, DEPTH))
    assert found.tolist() == [5, 1, 8]


def test_no_feature_of_any_known_network_is_negative(
    all_networks: dict[str, tuple[Op, ...]],
) -> None:
    for network, ops in all_networks.items():
        table = OpTable.of(ops)
        for name, feature in FEATURES.items():
            values = feature(table)
            assert values.dtype == np.float64, name
            assert np.isfinite(values).all() and (values >= 0).all(), (network, name)


def test_the_three_kinds_of_macs_add_up_to_all(all_networks: dict[str, tuple[Op, ...]]) -> None:
    for ops in all_networks.values():
        table = OpTable.of(ops)
        split = [FEATURES[f"macs_{kind}"](table).sum() for kind in ("point", "depth", "dense")]
        assert sum(split) * M == pytest.approx(sum(op.macs for op in ops), rel=1e-12)
