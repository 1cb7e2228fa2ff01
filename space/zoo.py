"""Reference networks by name, in the notation of `Architecture.from_text`.

Each row gives the layout of its paper as timm's and the authors' code define it, and the published
figures: parameters and MACs (both in millions) and ImageNet top-1 (%), with their source. The eight
names here are the project's "MobileNet-like" networks in every table and metric.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from palmette.space.architecture import Architecture
from palmette.space.errors import expect


@dataclass(frozen=True, slots=True)
class Reference:
    """A published network: its text and what its authors say of it."""

    text: str
    params_m: float
    macs_m: float
    top1: float
    recipe: str
    """Training recipe behind `top1`, by the names of the accuracy prior."""
    source: str
    note: str = ""
    """Why our counts differ from the published ones, where they do by more than 2 %."""


ZOO: dict[str, Reference] = {
    "mobilenet_v1": Reference(
        "224x224 stem_k3_s2_c32_relu6"
        " | ds_r1_k3_s1_c64_relu6_pointact_noskip"
        " | ds_r2_k3_s2_c128_relu6_pointact_noskip | ds_r2_k3_s2_c256_relu6_pointact_noskip"
        " | ds_r6_k3_s2_c512_relu6_pointact_noskip | ds_r2_k3_s2_c1024_relu6_pointact_noskip"
        " | head",
        4.24,
        569.0,
        70.9,
        "tf_slim",
        "Howard et al. 2017; tensorflow/models slim mobilenet_v1.md",
    ),
    "mobilenet_v2": Reference(
        "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
        " | ir_r3_k3_s2_e6_c32_relu6 | ir_r4_k3_s2_e6_c64_relu6 | ir_r3_k3_s1_e6_c96_relu6"
        " | ir_r3_k3_s2_e6_c160_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6",
        3.47,
        300.0,
        71.8,
        "tf_slim",
        "Sandler et al. 2018; tensorflow/models slim mobilenet/README.md",
    ),
    "mobilenet_v3_small": Reference(
        "224x224 stem_k3_s2_c16_hswish | ds_r1_k3_s2_c16_relu_se0.5_gatehsigmoid"
        " | ir_r1_k3_s2_e4.5_c24_relu ir_r1_k3_s1_x88_c24_relu"
        " | ir_r1_k5_s2_e4_c40_hswish_se24_gatehsigmoid ir_r2_k5_s1_e6_c40_hswish_se64_gatehsigmoid"
        " | ir_r1_k5_s1_e3_c48_hswish_se32_gatehsigmoid ir_r1_k5_s1_e3_c48_hswish_se40_gatehsigmoid"
        " | ir_r1_k5_s2_e6_c96_hswish_se72_gatehsigmoid"
        " ir_r2_k5_s1_e6_c96_hswish_se144_gatehsigmoid"
        " | cn_r1_k1_s1_c576_hswish | head_c1024_hswish_poolfirst",
        2.5,
        56.0,
        67.5,
        "google_tpu",
        "Howard et al. 2019; top-1 of the slim README, whose 2.9 M and 66 M are of another head",
    ),
    "mobilenet_v3_large": Reference(
        "224x224 stem_k3_s2_c16_hswish | ds_r1_k3_s1_c16_relu"
        " | ir_r1_k3_s2_e4_c24_relu ir_r1_k3_s1_e3_c24_relu"
        " | ir_r1_k5_s2_e3_c40_relu_se24_gatehsigmoid ir_r2_k5_s1_e3_c40_relu_se32_gatehsigmoid"
        " | ir_r1_k3_s2_e6_c80_hswish ir_r1_k3_s1_e2.5_c80_hswish ir_r2_k3_s1_x184_c80_hswish"
        " | ir_r1_k3_s1_e6_c112_hswish_se120_gatehsigmoid"
        " ir_r1_k3_s1_e6_c112_hswish_se168_gatehsigmoid"
        " | ir_r1_k5_s2_e6_c160_hswish_se168_gatehsigmoid"
        " ir_r2_k5_s1_e6_c160_hswish_se240_gatehsigmoid"
        " | cn_r1_k1_s1_c960_hswish | head_c1280_hswish_poolfirst",
        5.4,
        219.0,
        75.2,
        "google_tpu",
        "Howard et al. 2019; tensorflow/models slim mobilenet/README.md",
    ),
    "mnasnet_a1": Reference(
        "224x224 stem_k3_s2_c32_relu | ds_r1_k3_s1_c16_relu_noskip | ir_r2_k3_s2_e6_c24_relu"
        " | ir_r3_k5_s2_e3_c40_relu_se0.25 | ir_r4_k3_s2_e6_c80_relu"
        " | ir_r2_k3_s1_e6_c112_relu_se0.25 | ir_r3_k5_s2_e6_c160_relu_se0.25"
        " | ir_r1_k3_s1_e6_c320_relu | head_c1280_relu",
        3.9,
        312.0,
        75.2,
        "google_tpu",
        "Tan et al. 2019, MnasNet-A1",
    ),
    "fbnet_c": Reference(
        "224x224 stem_k3_s2_c16_relu | ir_r1_k3_s1_e1_c16_relu"
        " | ir_r1_k3_s2_e6_c24_relu ir_r2_k3_s1_e1_c24_relu"
        " | ir_r1_k5_s2_e6_c32_relu ir_r1_k5_s1_e3_c32_relu ir_r1_k5_s1_e6_c32_relu"
        " ir_r1_k3_s1_e6_c32_relu"
        " | ir_r1_k5_s2_e6_c64_relu ir_r1_k5_s1_e3_c64_relu ir_r2_k5_s1_e6_c64_relu"
        " | ir_r3_k5_s1_e6_c112_relu ir_r1_k5_s1_e3_c112_relu | ir_r4_k5_s2_e6_c184_relu"
        " | ir_r1_k3_s1_e6_c352_relu | head_c1984_relu",
        5.5,
        375.0,
        75.2,
        "timm_rmsp",
        "Wu et al. 2019, FBNet-C, in timm's layout",
        "MACs: timm's layout of the searched network, checked block by block",
    ),
    "efficientnet_b0": Reference(
        "224x224 stem_k3_s2_c32_swish | ds_r1_k3_s1_c16_swish_se0.25_inswish"
        " | ir_r2_k3_s2_e6_c24_swish_se0.25_inswish | ir_r2_k5_s2_e6_c40_swish_se0.25_inswish"
        " | ir_r3_k3_s2_e6_c80_swish_se0.25_inswish | ir_r3_k5_s1_e6_c112_swish_se0.25_inswish"
        " | ir_r4_k5_s2_e6_c192_swish_se0.25_inswish | ir_r1_k3_s1_e6_c320_swish_se0.25_inswish"
        " | head_c1280_swish",
        5.3,
        390.0,
        77.3,
        "google_tpu",
        "Tan and Le 2019, EfficientNet-B0",
    ),
    "efficientnet_lite0": Reference(
        "224x224 stem_k3_s2_c32_relu6 | ds_r1_k3_s1_c16_relu6 | ir_r2_k3_s2_e6_c24_relu6"
        " | ir_r2_k5_s2_e6_c40_relu6 | ir_r3_k3_s2_e6_c80_relu6 | ir_r3_k5_s1_e6_c112_relu6"
        " | ir_r4_k5_s2_e6_c192_relu6 | ir_r1_k3_s1_e6_c320_relu6 | head_c1280_relu6",
        4.7,
        407.0,
        75.1,
        "google_tpu",
        "tensorflow/tpu efficientnet/lite README",
        "MACs: the README's figure is not that of its layout, which timm counts as we do",
    ),
}

MOBILENET_LIKE = tuple(ZOO)
"""The eight networks that every 'MobileNet-like' figure of this project refers to."""


@functools.cache
def load(name: str) -> Architecture:
    """Reference network by name.

    Raises:
        InputError: the name is not in the zoo; the message lists those that are.
    """
    expect(name in ZOO, f"network '{name}' is not in the zoo; known: {', '.join(ZOO)}")
    return Architecture.from_text(ZOO[name].text)
