"""FBNet."""

from __future__ import annotations

from palmette.space.zoo.reference import Reference

NETWORKS: dict[str, Reference] = {
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
}
