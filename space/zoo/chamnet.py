"""ChamNet (Dai et al. 2019): layouts and figures of the authors' release."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_RELEASE = "Dai et al. 2019; facebookresearch/mobile-vision README"

NETWORKS: dict[str, Reference] = {
    "chamnet_a": Reference(
        "224x224 stem_k3_s2_c32_relu | ir_r1_k3_s1_e1_c24_relu | ir_r2_k3_s2_e4_c40_relu"
        " | ir_r3_k3_s2_e6_c48_relu | ir_r4_k3_s2_e4_c96_relu | ir_r3_k3_s1_e4_c160_relu"
        " | ir_r3_k3_s2_e4_c248_relu | ir_r1_k3_s1_e6_c480_relu | head_c2016_relu",
        6.2,
        552.9,
        75.4,
        "",
        _RELEASE,
    ),
    "chamnet_b": Reference(
        "192x192 stem_k3_s2_c24_relu | ir_r1_k3_s1_e1_c16_relu | ir_r2_k3_s2_e5_c40_relu"
        " | ir_r3_k3_s2_e6_c40_relu | ir_r3_k3_s2_e6_c92_relu | ir_r3_k3_s1_e6_c104_relu"
        " | ir_r3_k3_s2_e5_c200_relu | ir_r1_k3_s1_e6_c384_relu | head_c1984_relu",
        5.2,
        323.3,
        73.8,
        "",
        _RELEASE,
    ),
    "chamnet_c": Reference(
        "224x224 stem_k3_s2_c16_relu | ir_r1_k3_s1_e1_c16_relu | ir_r1_k3_s2_e4_c24_relu"
        " | ir_r3_k3_s2_e4_c32_relu | ir_r2_k3_s2_e5_c64_relu | ir_r3_k3_s1_e6_c96_relu"
        " | ir_r3_k3_s2_e6_c160_relu | ir_r1_k3_s1_e4_c256_relu | head_c1520_relu",
        3.4,
        211.6,
        71.6,
        "",
        _RELEASE,
        "Hollemans 2020 quotes 70.6 %, which is with 8-bit integers",
    ),
    "chamnet_d": Reference(
        "192x192 stem_k3_s2_c8_relu | ir_r1_k3_s1_e1_c8_relu | ir_r1_k3_s2_e6_c24_relu"
        " | ir_r2_k3_s2_e4_c32_relu | ir_r4_k3_s2_e6_c40_relu | ir_r3_k3_s1_e6_c80_relu"
        " | ir_r3_k3_s2_e5_c160_relu | ir_r1_k3_s1_e6_c224_relu | head_c1600_relu",
        3.3,
        120.0,
        69.1,
        "",
        _RELEASE,
    ),
    "chamnet_e": Reference(
        "160x160 stem_k3_s2_c8_relu | ir_r1_k3_s1_e1_c8_relu | ir_r1_k3_s2_e4_c24_relu"
        " | ir_r3_k3_s2_e4_c32_relu | ir_r1_k3_s2_e6_c64_relu | ir_r3_k3_s1_e6_c64_relu"
        " | ir_r2_k3_s2_e6_c96_relu | ir_r1_k3_s1_e4_c128_relu | head_c1600_relu",
        2.3,
        53.7,
        64.2,
        "",
        _RELEASE,
    ),
    "chamnet_f": Reference(
        "128x128 stem_k3_s2_c8_relu | ir_r1_k3_s1_e1_c8_relu | ir_r1_k3_s2_e4_c24_relu"
        " | ir_r3_k3_s2_e4_c32_relu | ir_r1_k3_s2_e4_c40_relu | ir_r3_k3_s1_e4_c64_relu"
        " | ir_r2_k3_s2_e4_c128_relu | ir_r1_k3_s1_e4_c192_relu | head_c1280_relu",
        2.0,
        30.8,
        59.5,
        "",
        _RELEASE,
    ),
}
