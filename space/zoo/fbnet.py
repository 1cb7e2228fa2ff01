"""FBNet (Wu et al. 2019).

FBNet-B and C have 5x5 depthwise convolutions where the authors' released graphs have pairs of 3x3:
in one block of B (1.0 M MACs more than theirs), in two of C (2.0 M).
FBNet-iPhoneX was never released: its blocks are those that others read off the paper's drawing, its
head is FBNet-A's, and together they have the MACs that the paper prints.
"""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

_RELEASE = "Wu et al. 2019; facebookresearch/mobile-vision README"

NETWORKS: dict[str, Reference] = {
    "fbnet_a": Reference(
        "224x224 stem_k3_s2_c16_relu | ir_r1_k3_s2_e3_c24_relu ir_r1_k3_s1_e1_c24_relu"
        " | ir_r1_k5_s2_e6_c32_relu ir_r1_k3_s1_e3_c32_relu ir_r1_k5_s1_e1_c32_relu"
        " ir_r1_k3_s1_e3_c32_relu"
        " | ir_r1_k5_s2_e6_c64_relu ir_r1_k5_s1_e3_c64_relu ir_r1_k3_s1_e1_c64_relu_g2_shuffle"
        " ir_r1_k5_s1_e6_c64_relu"
        " | ir_r1_k3_s1_e6_c112_relu ir_r1_k3_s1_e1_c112_relu_g2_shuffle ir_r1_k5_s1_e3_c112_relu"
        " ir_r1_k3_s1_e1_c112_relu_g2_shuffle"
        " | ir_r2_k5_s2_e6_c184_relu ir_r1_k5_s1_e3_c184_relu ir_r1_k5_s1_e6_c184_relu"
        " | ir_r1_k5_s1_e6_c352_relu | head_c1504_relu",
        4.3,
        249.4,
        73.3,
        "",
        _RELEASE,
    ),
    "fbnet_b": Reference(
        "224x224 stem_k3_s2_c16_relu | ir_r1_k3_s1_e1_c16_relu"
        " | ir_r1_k3_s2_e6_c24_relu ir_r1_k5_s1_e1_c24_relu ir_r2_k3_s1_e1_c24_relu"
        " | ir_r1_k5_s2_e6_c32_relu ir_r1_k5_s1_e3_c32_relu ir_r1_k3_s1_e6_c32_relu"
        " ir_r1_k5_s1_e6_c32_relu"
        " | ir_r1_k5_s2_e6_c64_relu ir_r1_k5_s1_e1_c64_relu ir_r1_k5_s1_e3_c64_relu"
        " | ir_r1_k5_s1_e6_c112_relu ir_r1_k3_s1_e1_c112_relu ir_r1_k5_s1_e1_c112_relu"
        " ir_r1_k5_s1_e3_c112_relu"
        " | ir_r1_k5_s2_e6_c184_relu ir_r1_k5_s1_e1_c184_relu ir_r2_k5_s1_e6_c184_relu"
        " | ir_r1_k3_s1_e6_c352_relu | head_c1984_relu",
        4.8,
        295.6,
        74.1,
        "",
        _RELEASE,
        "Hollemans 2020 quotes 4.5 M, which the paper prints too, and 74.5 %",
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
        "MACs: the paper prints 375 M, the README of the authors' release 383 M",
    ),
    "fbnet_iphonex": Reference(
        "224x224 stem_k3_s2_c16_relu | ir_r1_k3_s2_e6_c24_relu ir_r3_k3_s1_e1_c24_relu"
        " | ir_r4_k3_s2_e6_c32_relu"
        " | ir_r2_k3_s2_e6_c64_relu ir_r1_k3_s1_e3_c64_relu ir_r1_k3_s1_e6_c64_relu"
        " | ir_r1_k3_s1_e6_c112_relu ir_r3_k3_s1_e3_c112_relu"
        " | ir_r3_k5_s2_e6_c184_relu ir_r1_k5_s1_e3_c184_relu"
        " | ir_r1_k5_s1_e6_c352_relu | head_c1504_relu",
        4.47,
        322.0,
        73.2,
        "",
        "Wu et al. 2019, FBNet-iPhoneX; the figures were not checked against a copy of the paper",
    ),
}
