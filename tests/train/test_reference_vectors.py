"""Published networks with their features and bare estimates, computed apart from this code.

Features and estimates (mean recipe) belong to a sibling fit of the prior on more rows; its
coefficients stand below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from palmette.space import ZOO, Architecture
from palmette.train import AccuracyPrior
from palmette.train.formula import Coefficients, Formula

NAMES = ("Wear", "Wlat", "P", "R", "D", "SE", "K", "A", "H")
SHARED_RATES = {"SE": 0.045, "K": 0.035, "A": 0.032}

FLOOR, HEAD_RATE = 5.989, 0.0135
TERMS = {
    "Wear": (2.1289, 0.5266),
    "Wlat": (2.0055, 0.6258),
    "P": (5.2427, 0.5104),
    "R": (2.7653, 1.8952),
    "D": (7.2512, 0.5066),
}


@dataclass(frozen=True)
class Vector:
    """A network, its nine features in the order of NAMES, and its estimate in %."""

    text: str
    features: tuple[float, ...]
    top1: float


_LCNET = "hswish_pointact_noskip"
_LCNET_SE = "hswish_se0.25_gatehsigmoid_pointact_noskip"

VECTORS = {
    "mobilenet_v2": Vector(
        ZOO["mobilenet_v2"].text,
        (-0.2711, -0.1777, -0.2994, 0, 0.0606, 0, 0, 0, 0),
        73.41,
    ),
    "mobilenet_v2 0.35 at 96 px": Vector(
        "96x96 stem_k3_s2_c16_relu6 | ds_r1_k3_s1_c8_relu6 | ir_r2_k3_s2_e6_c8_relu6"
        " | ir_r3_k3_s2_e6_c16_relu6 | ir_r4_k3_s2_e6_c24_relu6 | ir_r3_k3_s1_e6_c32_relu6"
        " | ir_r3_k3_s2_e6_c56_relu6 | ir_r1_k3_s1_e6_c112_relu6 | head_c1280_relu6",
        (-1.0994, -1.1833, -2.0246, -0.8473, 0.0606, 0, 0, 0, 0),
        50.46,
    ),
    "mobilenet_v1": Vector(
        ZOO["mobilenet_v1"].text,
        (-0.3513, -0.1087, 0.0667, 0, -0.2076, 0, 0, 0, -0.2231),
        73.33,
    ),
    "mnasnet_a1": Vector(
        ZOO["mnasnet_a1"].text,
        (-0.5433, -0.0713, -0.1408, 0, 0, 0.5, 0.375, 0, 0),
        74.36,
    ),
    "mobilenet_v3_large": Vector(
        ZOO["mobilenet_v3_large"].text,
        (-0.8419, -0.3896, 0.337, 0, -0.0645, 0.5333, 0.4, 0.525, 0),
        74.88,
    ),
    "mobilenet_v3_small minimalistic": Vector(
        "224x224 stem_k3_s2_c16_relu | ds_r1_k3_s2_c16_relu"
        " | ir_r1_k3_s2_e4.5_c24_relu ir_r1_k3_s1_x88_c24_relu"
        " | ir_r1_k3_s2_e4_c40_relu ir_r2_k3_s1_e6_c40_relu | ir_r2_k3_s1_e3_c48_relu"
        " | ir_r3_k3_s2_e6_c96_relu | cn_r1_k1_s1_c576_relu | head_c1024_relu_poolfirst",
        (-1.4074, -0.9765, -1.0791, 0, -0.3747, 0, 0, 0, -0.2231),
        65.12,
    ),
    "lcnet 1.0": Vector(
        f"224x224 stem_k3_s2_c16_hswish | ds_r1_k3_s1_c32_{_LCNET} | ds_r2_k3_s2_c64_{_LCNET}"
        f" | ds_r2_k3_s2_c128_{_LCNET} | ds_r1_k3_s2_c256_{_LCNET} ds_r5_k5_s1_c256_{_LCNET}"
        f" | ds_r2_k5_s2_c512_{_LCNET_SE} | head_c1280_hswish_poolfirst",
        (-1.0445, -0.8019, -0.5841, 0, -0.2076, 0.1538, 0.5385, 0.9333, 0),
        70.79,
    ),
    "efficientnet_b0": Vector(
        ZOO["efficientnet_b0"].text,
        (-0.2361, 0.032, 0.2896, 0, 0, 1, 0.5625, 1, 0),
        77.39,
    ),
    "efficientnet_lite0": Vector(
        ZOO["efficientnet_lite0"].text,
        (-0.2361, 0.032, 0.1166, 0, 0, 0, 0.5625, 0, 0),
        75.17,
    ),
}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_features_agree_with_a_separate_computation(vector: Vector) -> None:
    features = AccuracyPrior.load().features(Architecture.from_text(vector.text))
    assert tuple(features) == NAMES
    np.testing.assert_allclose(list(features.values()), vector.features, atol=3e-4)


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_formula_agrees_with_a_separate_computation(vector: Vector) -> None:
    sibling = Formula.of([Coefficients(FLOOR, TERMS, HEAD_RATE)], SHARED_RATES)
    features = AccuracyPrior.load().features(Architecture.from_text(vector.text))
    column = np.array([[value] for value in features.values()])
    assert 100 - sibling.errors(column)[0, 0] == pytest.approx(vector.top1, abs=0.02)


def test_formula_is_the_documented_sum_of_exponentials() -> None:
    values = (-0.3, 0.2, 0.1, -0.15, 0.05, 0.5, 0.25, 0.75, -0.2)
    x = dict(zip(NAMES, values, strict=True))
    terms = sum(amplitude * math.exp(-rate * x[name]) for name, (amplitude, rate) in TERMS.items())
    factor = math.exp(-0.045 * x["SE"] - 0.035 * x["K"] - 0.032 * x["A"] - HEAD_RATE * x["H"])
    by_hand = math.exp(0.06) * (FLOOR + terms) * factor
    sibling = Formula.of([Coefficients(FLOOR, TERMS, HEAD_RATE)], SHARED_RATES)
    error = sibling.errors(np.array(values)[:, None], offset=0.06)
    assert error[0, 0] == pytest.approx(by_hand, rel=1e-12)
