"""GhostNet, at the widths that its authors print; channels are rounded to multiples of 4."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_PAPER = "Han et al. 2020, GhostNet, table 7"

NETWORKS: dict[str, Reference] = {
    "ghostnet_0.5": Reference(
        "224x224 stem_k3_s2_c8_relu | ghost_r1_k3_s1_e1_c8_relu | ghost_r2_k3_s2_e3_c12_relu"
        " | ghost_r1_k5_s2_e3_c20_relu_se12_gatehsigmoid"
        " ghost_r1_k5_s1_e3_c20_relu_se16_gatehsigmoid"
        " | ghost_r1_k3_s2_e6_c40_relu ghost_r1_k3_s1_e2.5_c40_relu ghost_r2_k3_s1_x92_c40_relu"
        " | ghost_r1_k3_s1_e6_c56_relu_se60_gatehsigmoid"
        " ghost_r1_k3_s1_e6_c56_relu_se84_gatehsigmoid"
        " | ghost_r1_k5_s2_e6_c80_relu_se84_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c80_relu ghost_r1_k5_s1_e6_c80_relu_se120_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c80_relu ghost_r1_k5_s1_e6_c80_relu_se120_gatehsigmoid"
        " | cn_r1_k1_s1_c480_relu | head_c1280_relu_poolfirst",
        2.6,
        42.0,
        66.2,
        "",
        _PAPER,
    ),
    "ghostnet_1.0": Reference(
        "224x224 stem_k3_s2_c16_relu | ghost_r1_k3_s1_e1_c16_relu | ghost_r2_k3_s2_e3_c24_relu"
        " | ghost_r1_k5_s2_e3_c40_relu_se20_gatehsigmoid"
        " ghost_r1_k5_s1_e3_c40_relu_se32_gatehsigmoid"
        " | ghost_r1_k3_s2_e6_c80_relu ghost_r1_k3_s1_e2.5_c80_relu ghost_r2_k3_s1_x184_c80_relu"
        " | ghost_r1_k3_s1_e6_c112_relu_se120_gatehsigmoid"
        " ghost_r1_k3_s1_e6_c112_relu_se168_gatehsigmoid"
        " | ghost_r1_k5_s2_e6_c160_relu_se168_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c160_relu ghost_r1_k5_s1_e6_c160_relu_se240_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c160_relu ghost_r1_k5_s1_e6_c160_relu_se240_gatehsigmoid"
        " | cn_r1_k1_s1_c960_relu | head_c1280_relu_poolfirst",
        5.2,
        141.0,
        73.9,
        "",
        _PAPER,
    ),
    "ghostnet_1.3": Reference(
        "224x224 stem_k3_s2_c20_relu | ghost_r1_k3_s1_e1_c20_relu"
        " | ghost_r1_k3_s2_x64_c32_relu ghost_r1_k3_s1_x92_c32_relu"
        " | ghost_r1_k5_s2_x92_c52_relu_se24_gatehsigmoid"
        " ghost_r1_k5_s1_e3_c52_relu_se40_gatehsigmoid"
        " | ghost_r1_k3_s2_e6_c104_relu ghost_r1_k3_s1_e2.5_c104_relu"
        " ghost_r2_k3_s1_x240_c104_relu"
        " | ghost_r1_k3_s1_e6_c144_relu_se156_gatehsigmoid"
        " ghost_r1_k3_s1_x872_c144_relu_se220_gatehsigmoid"
        " | ghost_r1_k5_s2_x872_c208_relu_se220_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c208_relu ghost_r1_k5_s1_e6_c208_relu_se312_gatehsigmoid"
        " ghost_r1_k5_s1_e6_c208_relu ghost_r1_k5_s1_e6_c208_relu_se312_gatehsigmoid"
        " | cn_r1_k1_s1_c1248_relu | head_c1280_relu_poolfirst",
        7.3,
        226.0,
        75.7,
        "",
        _PAPER,
    ),
}
