"""MnasNet."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {
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
}
