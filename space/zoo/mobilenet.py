"""MobileNet v1, v2, v3."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {
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
}
