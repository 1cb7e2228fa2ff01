"""MixNet; L is M at a width of 1.3."""

from __future__ import annotations

from palmette.space.zoo.reference import TIMM_COUNT, Reference

_PAPER = "Tan and Le 2019, MixNet, table 2"
_MACS = (
    "MACs: the paper's figure is not that of the authors' released layout, which has the published"
    " parameters and which timm builds as we do"
)

NETWORKS: dict[str, Reference] = {
    "mixnet_s": Reference(
        "224x224 stem_k3_s2_c16_relu | ds_r1_k3_s1_c16_relu"
        " | mix_r1_k3_s2_e6_c24_relu_ge2_gp2 mix_r1_k3_s1_e3_c24_relu_ge2_gp2"
        " | mix_r1_k3.5.7_s2_e6_c40_swish_se0.5_inswish"
        " mix_r3_k3.5_s1_e6_c40_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7_s2_e6_c80_swish_se0.25_inswish_gp2"
        " mix_r2_k3.5_s1_e6_c80_swish_se0.25_inswish_gp2"
        " | mix_r1_k3.5.7_s1_e6_c120_swish_se0.5_inswish_ge2_gp2"
        " mix_r2_k3.5.7.9_s1_e3_c120_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7.9.11_s2_e6_c200_swish_se0.5_inswish"
        " mix_r2_k3.5.7.9_s1_e6_c200_swish_se0.5_inswish_gp2"
        " | head_c1536_relu",
        4.1,
        256.0,
        75.8,
        "google_tpu",
        _PAPER,
        _MACS,
        recounted_macs_m=250.0,
        recount_source=TIMM_COUNT,
    ),
    "mixnet_m": Reference(
        "224x224 stem_k3_s2_c24_relu | ds_r1_k3_s1_c24_relu"
        " | mix_r1_k3.5.7_s2_e6_c32_relu_ge2_gp2 mix_r1_k3_s1_e3_c32_relu_ge2_gp2"
        " | mix_r1_k3.5.7.9_s2_e6_c40_swish_se0.5_inswish"
        " mix_r3_k3.5_s1_e6_c40_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7_s2_e6_c80_swish_se0.25_inswish"
        " mix_r3_k3.5.7.9_s1_e6_c80_swish_se0.25_inswish_ge2_gp2"
        " | ir_r1_k3_s1_e6_c120_swish_se0.5_inswish"
        " mix_r3_k3.5.7.9_s1_e3_c120_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7.9_s2_e6_c200_swish_se0.5_inswish"
        " mix_r3_k3.5.7.9_s1_e6_c200_swish_se0.5_inswish_gp2"
        " | head_c1536_relu",
        5.0,
        360.0,
        77.0,
        "google_tpu",
        _PAPER,
        _MACS,
        recounted_macs_m=360.0,
        recount_source=TIMM_COUNT,
    ),
    "mixnet_l": Reference(
        "224x224 stem_k3_s2_c32_relu | ds_r1_k3_s1_c32_relu"
        " | mix_r1_k3.5.7_s2_e6_c40_relu_ge2_gp2 mix_r1_k3_s1_e3_c40_relu_ge2_gp2"
        " | mix_r1_k3.5.7.9_s2_e6_c56_swish_se0.5_inswish"
        " mix_r3_k3.5_s1_e6_c56_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7_s2_e6_c104_swish_se0.25_inswish"
        " mix_r3_k3.5.7.9_s1_e6_c104_swish_se0.25_inswish_ge2_gp2"
        " | ir_r1_k3_s1_e6_c160_swish_se0.5_inswish"
        " mix_r3_k3.5.7.9_s1_e3_c160_swish_se0.5_inswish_ge2_gp2"
        " | mix_r1_k3.5.7.9_s2_e6_c264_swish_se0.5_inswish"
        " mix_r3_k3.5.7.9_s1_e6_c264_swish_se0.5_inswish_gp2"
        " | head_c1536_relu",
        7.3,
        565.0,
        78.9,
        "google_tpu",
        _PAPER,
    ),
}
