"""MobileNetV4 of convolutions alone, at the resolutions of its paper."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_SOURCE = "Qin et al. 2024 (counts); timm results-imagenet.csv (top-1)"
_RECOUNT = "d-li14/mobilenetv4.pytorch README"

NETWORKS: dict[str, Reference] = {
    "mobilenet_v4_conv_small": Reference(
        "224x224 stem_k3_s2_c32_relu | cn_r1_k3_s2_c32_relu cn_r1_k1_s1_c32_relu"
        " | cn_r1_k3_s2_c96_relu cn_r1_k1_s1_c64_relu"
        " | uir_r1_k5_s2_e3_c96_relu_a5 uir_r4_k3_s1_e2_c96_relu uir_r1_k0_s1_e4_c96_relu_a3"
        " | uir_r1_k3_s2_e6_c128_relu_a3 uir_r1_k5_s1_e4_c128_relu_a5 uir_r1_k5_s1_e4_c128_relu"
        " uir_r1_k5_s1_e3_c128_relu uir_r2_k3_s1_e4_c128_relu"
        " | cn_r1_k1_s1_c960_relu | head_c1280_relu_poolfirst",
        3.8,
        200.0,
        73.8,
        "timm_e2400",
        _SOURCE,
        "MACs: the paper prints 0.2 G, a figure of one digit; timm's layout has 186 M too",
        recounted_macs_m=241.0,
        recount_px=256,
        recount_source="deepghs/timms README, of timm's network without its classifier",
    ),
    "mobilenet_v4_conv_medium": Reference(
        "256x256 stem_k3_s2_c32_relu | er_r1_k3_s2_e4_c48_relu"
        " | uir_r1_k5_s2_e4_c80_relu_a3 uir_r1_k3_s1_e2_c80_relu_a3"
        " | uir_r1_k5_s2_e6_c160_relu_a3 uir_r2_k3_s1_e4_c160_relu_a3 uir_r1_k5_s1_e4_c160_relu_a3"
        " uir_r1_k3_s1_e4_c160_relu_a3 uir_r1_k0_s1_e4_c160_relu_a3 uir_r1_k0_s1_e2_c160_relu"
        " uir_r1_k0_s1_e4_c160_relu_a3"
        " | uir_r1_k5_s2_e6_c256_relu_a5 uir_r1_k5_s1_e4_c256_relu_a5 uir_r2_k5_s1_e4_c256_relu_a3"
        " uir_r1_k0_s1_e4_c256_relu uir_r1_k0_s1_e4_c256_relu_a3 uir_r1_k5_s1_e2_c256_relu_a3"
        " uir_r1_k5_s1_e4_c256_relu_a5 uir_r2_k0_s1_e4_c256_relu uir_r1_k0_s1_e2_c256_relu_a5"
        " | cn_r1_k1_s1_c960_relu | head_c1280_relu_poolfirst",
        9.2,
        1000.0,
        79.9,
        "timm_e500",
        _SOURCE,
        "the layout that the authors released, and timm's, has 9.7 M and 1.08 G",
        recounted_macs_m=1080.0,
        recount_source=_RECOUNT,
    ),
    "mobilenet_v4_conv_large": Reference(
        "384x384 stem_k3_s2_c24_relu | er_r1_k3_s2_e4_c48_relu"
        " | uir_r1_k5_s2_e4_c96_relu_a3 uir_r1_k3_s1_e4_c96_relu_a3"
        " | uir_r1_k5_s2_e4_c192_relu_a3 uir_r3_k3_s1_e4_c192_relu_a3 uir_r1_k5_s1_e4_c192_relu_a3"
        " uir_r5_k3_s1_e4_c192_relu_a5 uir_r1_k0_s1_e4_c192_relu_a3"
        " | uir_r4_k5_s2_e4_c512_relu_a5 uir_r1_k0_s1_e4_c512_relu_a5 uir_r1_k3_s1_e4_c512_relu_a5"
        " uir_r2_k0_s1_e4_c512_relu_a5 uir_r1_k3_s1_e4_c512_relu_a5 uir_r1_k5_s1_e4_c512_relu_a5"
        " uir_r3_k0_s1_e4_c512_relu_a5"
        " | cn_r1_k1_s1_c960_relu | head_c1280_relu_poolfirst",
        31.0,
        5900.0,
        83.0,
        "timm_e600",
        _SOURCE,
        "the layout that the authors released, and timm's, has 32.6 M and 6.38 G",
        recounted_macs_m=6376.0,
        recount_source=_RECOUNT,
    ),
}
